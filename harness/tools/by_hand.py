"""What a person does by hand, as an incident's workaround says; through the same taps as the tool's own calls."""

from __future__ import annotations

from dataclasses import dataclass

from harness.spec import Target
from harness.tools.deploy_tool import DeployTool

BY_HAND = "by-hand"
_SECONDS = 120.0

# Whoever it is, they wait for a command's end.
OPERATOR = DeployTool(Target("operator", BY_HAND), (BY_HAND,), _SECONDS)


@dataclass(frozen=True, slots=True)
class ByHand:
    """One command of a person, with the tool's own environment.

    Args:
        words: program and arguments; ``{cluster}`` stands for the name of the kind cluster.
    """

    words: tuple[str, ...]
    cut: None = None
    action: str = BY_HAND

    @property
    def sentence(self) -> str:
        """What is done, for people."""
        return f"by hand: {' '.join(self.words)}"

    def command(self, cluster: str) -> tuple[str, ...]:
        """The words, with the cluster's name in place."""
        return tuple(word.replace("{cluster}", cluster) for word in self.words)


# Incident 001: "delete the caddy ingress resources before re-running", in its order.
DELETE_INGRESS_NAMESPACE = ByHand(("kubectl", "delete", "namespace", "caddy-system"))
DELETE_INGRESS_ROLE = ByHand(("kubectl", "delete", "clusterrole", "caddy-ingress-controller"))
DELETE_INGRESS_BINDING = ByHand(("kubectl", "delete", "clusterrolebinding", "caddy-ingress-controller"))
DELETE_INGRESS_CLASS = ByHand(("kubectl", "delete", "ingressclass", "caddy"))
# Incidents 000 and 001: "fully delete the kind cluster before start".
DELETE_CLUSTER = ByHand(("kind", "delete", "cluster", "--name", "{cluster}"))
