"""What two uncut starts of the same thing differ in: the listed rules, each with its reason.

Learnt by comparing real clusters (kind, Kubernetes 1.34; tests/kind/one_cluster/test_state.py does it again), not
by looking at what a cut start differs in: a field that differs only after a cut is a finding. Each
rule has a test that it hides what it names and nothing beside it (tests/judging/test_state_rules.py).

Names, UIDs, addresses and moments stand in any text; `harness.judging.state_words` puts placeholders
there, by the rules in `WORDS`. The rest is here: whole objects in `PASSING`, fields in `FIELDS`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from functools import cached_property

# A place in a list, as a step of a path.
PLACE = "*"
# Stands at the beginning of a path for any number of steps.
ANYWHERE = "**"


class Action(StrEnum):
    """What becomes of a field."""

    DROP = "dropped"
    MASK = "replaced by a placeholder"
    MASK_IF_CHOSEN = "replaced by a placeholder, unless somebody asked for this value"
    SORT = "compared as a set"


@dataclass(frozen=True)
class FieldRule:
    """One sort of field that does not count as it stands.

    Args:
        resource: of which resource, as a pattern.
        path: of the field: patterns of its steps with a space between; a place in a list is ``*``, and
            ``**`` stands for any first steps.
        action: what becomes of it.
        why: in a sentence.
        name: of the object, as a pattern over ``namespace/name``.
    """

    resource: str
    path: str
    action: Action
    why: str
    name: str = "*"

    @cached_property
    def steps(self) -> tuple[str, ...]:
        """The patterns of the path's steps."""
        return tuple(self.path.split())

    def covers(self, resource: str, name: str) -> bool:
        """Whether the rule is about this object."""
        return fnmatchcase(resource, self.resource) and fnmatchcase(name, self.name)

    def matches(self, path: tuple[str, ...]) -> bool:
        """Whether the rule is about the field at this path."""
        steps = self.steps
        if not fnmatchcase(path[-1], steps[-1]):
            return False
        if steps[0] == ANYWHERE:
            steps = steps[1:]
            path = path[-len(steps) :]
        return len(path) == len(steps) and all(map(fnmatchcase, path, steps))


@dataclass(frozen=True, slots=True)
class PassingRule:
    """Objects that come and go by themselves.

    Args:
        resource: which.
        why: in a sentence.
    """

    resource: str
    why: str


PASSING = (
    PassingRule("events", "a log of what happened; the API server forgets each event after an hour"),
    PassingRule("events.events.k8s.io", "the same events, served a second time"),
    PassingRule("leases.coordination.k8s.io", "heartbeats: holder and time change every ten seconds"),
    PassingRule(
        "certificatesigningrequests.certificates.k8s.io",
        "a kubelet's own request at its start; the controller manager removes it after an hour",
    ),
)


# Whose objects pass, too, and what those own: it makes them by the clock, and takes the old ones away.
CLOCKWORK = "CronJob"


@dataclass(frozen=True, slots=True)
class ManagerRule:
    """Somebody who may or may not have written an object, whatever was done to it.

    Args:
        resource: of which.
        manager: as in `managers`.
        why: in a sentence.
    """

    resource: str
    manager: str
    why: str


MANAGERS = (
    ManagerRule(
        "pods", "kube-scheduler (Update of status)", "it writes only when a first attempt fails: the claim came late"
    ),
    ManagerRule("cronjobs.batch", "kube-controller-manager (Update of status)", "it writes when the time has come"),
)

DROP, MASK, SORT, CHOSEN = Action.DROP, Action.MASK, Action.SORT, Action.MASK_IF_CHOSEN
_TRIGGER = "metadata annotations endpoints.kubernetes.io/last-change-trigger-time"
_TRIGGERED = "there only when the controller saw the last change as it happened"
_HASH = "a hash of the pod template, which is compared itself; where it names the run, it differs"
_SLICES = "endpointslices.discovery.k8s.io"
_AUTHENTICATION = "kube-system/extension-apiserver-authentication"
_TOKEN_TRACKING = "kube-system/kube-apiserver-legacy-service-account-token-tracking"

# A rule that hides nothing in the runs it was learnt from has no place here, but where a comment says why.
FIELDS = (
    # every object
    FieldRule("*", "metadata resourceVersion", DROP, "counts all writes of the whole cluster"),
    FieldRule("*", "metadata managedFields", DROP, "who wrote is compared as `managers`, what they wrote as itself"),
    FieldRule("*", "** conditions", SORT, "each is written when it comes true; they are told by their type"),
    # hashes of what is compared itself; some were the same in all runs, as their templates were
    FieldRule("*", "** pod-template-hash", MASK, _HASH),
    FieldRule("*", "** controller-revision-hash", MASK, _HASH),
    FieldRule("controllerrevisions.apps", "metadata labels *-hash", MASK, _HASH),
    FieldRule("pods", "metadata annotations kubernetes.io/config.hash", MASK, "a hash of the static pod's manifest"),
    FieldRule("pods", "metadata annotations kubernetes.io/config.mirror", MASK, "the same; that it is there counts"),
    # services
    FieldRule("services", "spec ports * nodePort", CHOSEN, "chosen by the API server, where nobody asked for one"),
    FieldRule("endpoints", _TRIGGER, DROP, _TRIGGERED),
    # by the design of the same controllers; the runs this was learnt from were too small to show it
    FieldRule(_SLICES, _TRIGGER, DROP, _TRIGGERED),
    FieldRule(_SLICES, "metadata generation", DROP, "counts the steps in which pods became ready"),
    FieldRule(_SLICES, "endpoints", SORT, "in the order in which pods became ready"),
    FieldRule("endpoints", "subsets * addresses", SORT, "ordered by address, and addresses are random"),
    # pods
    FieldRule("pods", "status podIP", DROP, "given in the order of starts"),
    FieldRule("pods", "status podIPs", DROP, "given in the order of starts"),
    FieldRule("pods", "status *ontainerStatuses * containerID", DROP, "random"),
    FieldRule("pods", "status *ontainerStatuses * state * containerID", DROP, "random"),
    FieldRule("pods", "status *ontainerStatuses * restartCount", DROP, "who waits for another may restart"),
    FieldRule("pods", "status *ontainerStatuses * lastState", DROP, "goes with the restarts"),
    # volumes
    FieldRule("persistentvolumes", "spec claimRef resourceVersion", DROP, "counts all writes of the whole cluster"),
    # nodes
    FieldRule("nodes", "status nodeInfo machineID", DROP, "random, made when the node's container first boots"),
    FieldRule("nodes", "status nodeInfo systemUUID", DROP, "random, made when the node's container first boots"),
    FieldRule(
        "nodes", "status images", DROP, "the kubelet looks at its images every half minute, and tells them later"
    ),
    # what runs by the clock
    FieldRule("cronjobs.batch", "status lastScheduleTime", DROP, "there once the time has come"),
    FieldRule("cronjobs.batch", "status lastSuccessfulTime", DROP, "there once the time has come"),
    FieldRule("cronjobs.batch", "status active", DROP, "while a job of its runs"),
    # what a cluster is born with
    FieldRule("secrets", "data expiration", DROP, "a day after the cluster's birth", "kube-system/bootstrap-token-*"),
    FieldRule("configmaps", "data jws-kubeconfig-*", MASK, "signs the cluster's authority", "kube-public/cluster-info"),
    FieldRule("configmaps", "data requestheader-client-ca-file", MASK, "a second authority, random", _AUTHENTICATION),
    # the same for runs of one day, which those this was learnt from were
    FieldRule("configmaps", "data since", MASK, "the date of the cluster's birth", _TOKEN_TRACKING),
)

# How an object came to be, as opposed to what it is. It counts: a start over the remains of another
# may leave the same objects behind with another history. But where the harness itself made or restored
# an object (to bring a used cluster back to its golden state), its history is the harness's.
HISTORY = (
    "managers",
    "metadata generation",
    "status observedGeneration",
    "metadata annotations deployment.kubernetes.io/revision",
    "metadata annotations deprecated.daemonset.template.generation",
)
# By the user agent of `harness.clusters.kube_api`.
HARNESS_MANAGERS = ("afterfault",)

WORDS: Mapping[str, str] = {
    "names of the run": "cluster, folders: each run has its own, and the observation lists them",
    "the cluster's authority": "random; any other than the one that serves stays as it is, and is found",
    "UIDs": "random; replaced by whose they are, if that object is there",
    "addresses": "of services, pods and nodes: replaced by whose they are, if nobody asked for that very one",
    "moments": "that there is one counts, which one does not",
    "random name parts": "five letters, a template's hash, a cron job's minute: chosen by controllers",
    "imported images": "import-<date>@...: containerd names an image without a digest of its own by the day it came",
    "token volumes": "kube-api-access-xxxxx: five random letters for each pod",
}

# Objects that end by themselves: an old cluster lacks them, and no tool has done it.
EXPIRING = ("secrets kube-system/bootstrap-token-*",)
