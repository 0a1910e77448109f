"""Named places at which a deploy tool's start is cut; the taps' names of calls are the same for any tool."""

from __future__ import annotations

from harness.cuts import Cut, CutPoint, Means, Moment

_CREATING = CutPoint("kind create cluster", Moment.BEFORE)
_CREATED = CutPoint("kind create cluster", Moment.AFTER)
_INGRESS_BEGUN = CutPoint("api * namespaces caddy-system", Moment.AFTER)
# Its pod never comes, so nobody takes it for ready: the window of the incident, however fast the machine is.
_INGRESS_HALF = CutPoint("api * deployments.apps caddy-system/*", Moment.BEFORE)
_INGRESS_INSTALLED = CutPoint("api * deployments.apps caddy-system/*", Moment.AFTER)
# Tools name the app's namespace as they like; it is not the ingress's.
_APP_HALF = CutPoint("api * deployments.apps [!c]*/*", Moment.BEFORE)

CREATING_CTRL_C = Cut(Means.SIGINT_GROUP, _CREATING, after_seconds=6)
CREATING_TOOL_KILLED = Cut(Means.SIGKILL_TOOL, _CREATING, after_seconds=6)
CREATED_KILLED = Cut(Means.SIGKILL_GROUP, _CREATED)
INGRESS_BEGUN_KILLED = Cut(Means.SIGKILL_GROUP, _INGRESS_BEGUN)
INGRESS_HALF_TIMEOUT = Cut(Means.TIMEOUT, _INGRESS_HALF)
INGRESS_INSTALLED_TERMINATED = Cut(Means.SIGTERM, _INGRESS_INSTALLED)
APP_HALF_CTRL_C = Cut(Means.SIGINT_GROUP, _APP_HALF)

CUTS = {
    "creating-ctrl-c": CREATING_CTRL_C,
    "creating-tool-killed": CREATING_TOOL_KILLED,
    "created-killed": CREATED_KILLED,
    "ingress-begun-killed": INGRESS_BEGUN_KILLED,
    "ingress-half-timeout": INGRESS_HALF_TIMEOUT,
    "ingress-installed-terminated": INGRESS_INSTALLED_TERMINATED,
    "app-half-ctrl-c": APP_HALF_CTRL_C,
}
