"""The guarantees there are: their IDs, what they promise, and the rule that judges them."""

from __future__ import annotations

from collections.abc import Mapping

from harness.judging import (
    after_cut,
    availability,
    bystanders,
    deployment,
    history,
    kubernetes,
    membership,
    quorum_model,
    rbac,
    snapshots,
    sweep,
    workloads,
)
from harness.judging.guarantee import Guarantee
from harness.judging.managed_guarantees import MANAGED

__all__ = ["GUARANTEES", "Guarantee"]

_ALL = (
    Guarantee(
        "quorum-kept", "Quorum kept",
        "At every moment the voters that serve are a majority of the voters listed.",
        membership.quorum_kept,
    ),
    Guarantee(
        "write-gap-bounded", "Writes go on",
        "Clients never wait longer than the given bound for the next acknowledged write.",
        history.write_gap_bounded,
    ),
    Guarantee(
        "no-ghost-member", "No ghost",
        "At the end nobody is on the member list who does not serve.",
        membership.no_ghost_member,
    ),
    Guarantee(
        "replacement-complete", "Replaced",
        "The new node votes and serves, the old one is off the list, and as many vote as before.",
        membership.replacement_complete,
    ),
    Guarantee(
        "clean-before-next-node", "Clean first",
        "The procedure lays hands on a node only while every other member listed does serve.",
        membership.clean_before_next_node,
    ),
    Guarantee(
        "bystanders-kept", "Bystanders kept",
        "No healthy node but the one to be replaced is stopped or taken off the member list.",
        membership.bystanders_kept,
    ),
    Guarantee(
        "success-is-true", "Success is true",
        "When the procedure says it is done, the new node is a voter that serves, right then.",
        membership.success_is_true,
    ),
    Guarantee(
        "snapshot-restorable", "Snapshot first",
        "Before the first change there is a snapshot that restores everything acknowledged by then.",
        snapshots.snapshot_restorable,
    ),
    Guarantee(
        "acknowledged-writes-kept", "Writes kept",
        "Every write that was acknowledged is found again at the end, on every node.",
        history.acknowledged_writes_kept,
    ),
    Guarantee(
        "cluster-identity-kept", "One cluster",
        "Whoever answers belongs to the founding cluster.",
        history.cluster_identity_kept,
    ),
    Guarantee(
        "revisions-monotonic", "Time goes on",
        "A call that began after another was answered is never answered at an earlier revision.",
        history.revisions_monotonic,
    ),
    Guarantee(
        "reads-linearizable", "Reads true",
        "Each read sees the newest write there was, and nothing that was never written.",
        history.reads_linearizable,
    ),
    Guarantee(
        "service-restored", "Service back",
        "At the end every member takes writes again, all of them in one cluster.",
        snapshots.service_restored,
    ),
    Guarantee(
        "writes-before-snapshot-kept", "Loss bounded",
        "After a restore everything acknowledged before the snapshot is there, and what is gone is counted.",
        snapshots.writes_before_snapshot_kept,
    ),
    Guarantee(
        "botched-state-saved", "Evidence kept",
        "The broken state is saved, restorable, before it is thrown away.",
        snapshots.botched_state_saved,
    ),
    Guarantee(
        "model-agrees", "As foretold",
        "Each step of an order of membership changes ends as a small model of the quorum foretells.",
        quorum_model.model_agrees,
    ),
    Guarantee(
        "nodes-ready", "Nodes ready",
        "Every machine that is on is a Ready node, and nothing else is listed as one.",
        kubernetes.nodes_ready,
    ),
    Guarantee(
        "api-service-present", "API Service",
        "The Service default/kubernetes is there and leads to living API servers.",
        kubernetes.api_service_present,
    ),
    Guarantee(
        "system-workloads-stable", "System stable",
        "The cluster's own workloads are complete, available, and restart no more.",
        workloads.system_workloads_stable,
    ),
    Guarantee(
        "bootstrap-rbac-present", "RBAC there",
        "The roles and bindings a cluster is born with are there, and the admin is let in.",
        rbac.bootstrap_rbac_present,
    ),
    Guarantee(
        "objects-decode", "Objects read",
        "Every object of every resource can be listed, and every Secret's bytes be read.",
        kubernetes.objects_decode,
    ),
    Guarantee(
        "fresh-pod-works", "Pods work",
        "A pod made afterwards gets service variables, DNS, the API and storage.",
        kubernetes.fresh_pod_works,
    ),
    Guarantee(
        "foreign-workloads-kept", "Others kept",
        "What others run on the cluster is still there, or the tool says that it is lost.",
        kubernetes.foreign_workloads_kept,
    ),
    Guarantee(
        "api-available", "API there",
        "Clients of the load balancer never wait longer than the given bound for the API.",
        availability.api_available,
    ),
    Guarantee(
        "restart-succeeds", "Starts again",
        "A start that nobody cuts does its work, whatever was cut before.",
        deployment.restart_succeeds,
    ),
    Guarantee(
        "app-reachable", "App answers",
        "The app answers through the ingress, over HTTP, and over TLS with its users' certificate.",
        deployment.app_reachable,
    ),
    Guarantee(
        "app-configured", "App configured",
        "The app runs with the configuration it was deployed with.",
        deployment.app_configured,
    ),
    Guarantee(
        "secrets-kept", "Secrets kept",
        "Every secret that users had is there, byte for byte.",
        deployment.secrets_kept,
    ),
    Guarantee(
        "secret-loss-told", "Loss told",
        "A secret that can't be brought back is told to be lost; no start says in silence that all is done.",
        deployment.secret_loss_told,
    ),
    Guarantee(
        "app-data-kept", "Data kept",
        "What the app was given to keep is there, byte for byte.",
        deployment.app_data_kept,
    ),
    Guarantee(
        "ready-when-done", "Done is done",
        "When a start says that it is done, the app answers, right then.",
        deployment.ready_when_done,
    ),
    Guarantee(
        "stopped-is-gone", "Stop is stop",
        "When a stop is over it says that it is done, and no node of the cluster is left.",
        deployment.stopped_is_gone,
    ),
    Guarantee(
        "every-cut-recovers", "Every cut",
        "Wherever a start is cut, the next one does its work and leaves what an uncut start leaves.",
        sweep.every_cut_recovers,
    ),
    Guarantee(
        "same-state-as-uncut", "As if uncut",
        "All that the cluster holds in the end is what a start leaves that nobody cut.",
        after_cut.same_state_as_uncut,
    ),
    Guarantee(
        "no-traces-left", "No traces",
        "The tool's files are those of an uncut start; no process, container or temporary file is left.",
        after_cut.no_traces_left,
    ),
    Guarantee(
        "foreign-untouched", "Neighbours safe",
        "Whatever else runs on this engine is what it was: same IDs, start times and restart counts.",
        bystanders.foreign_untouched,
    ),
)  # fmt: skip

GUARANTEES: Mapping[str, Guarantee] = {guarantee.id: guarantee for guarantee in (*_ALL, *MANAGED)}
