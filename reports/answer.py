"""Which procedures keep the cluster alive? The question a reader comes with, answered over all cases of a run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from harness.judging import Verdict
from harness.judging.guarantees import GUARANTEES
from harness.spec import CaseSpec, DeploymentSpec, ManagedSpec
from reports.run import CaseResult, RunResult

# Stories in which a node is (or should not be) replaced ask for one of these; the others are about something else.
_REPLACING = {"replacement-complete", "clean-before-next-node"}
# Stories of workarounds, and where each is done.
_WORKAROUNDS = {
    "workaround_after_cut": "after a cut",
    "workaround_in_use": "in use",
    "workaround_persisted": "over persisted etcd",
}
_BY_WORKAROUND = "answers-workarounds"
# Stories of managed clusters that are about what an operator does; a cell of the state table answers nothing by itself.
_WAYS_BACK = ("after_reseed",)
_RESTORE, _RESTORED_BY = "restore_backup", "restore-backup"
_STATE_TABLE = "state_table"
_BY_WAY_BACK = "answers-ways-back"


@dataclass(frozen=True, slots=True)
class Question:
    """What a reader wants to know of a family of stories.

    Args:
        id: as places on a page have it.
        asks: the question.
        short: what it is about, in two words.
        incident: first figures of the incident's file, of stories about deployments, for people too; empty for
            the others.
        vital: a procedure that breaks one of these has lost what it was about.
        words: what it means to be in a group, by group: ``kept``, ``alive``, ``lost``, ``unclear``.
        options: by variant of the reference tool, what it stands for; the incident's own fix options first.
    """

    id: str
    asks: str
    short: str
    incident: str
    vital: tuple[str, ...]
    words: Mapping[str, str]
    options: Mapping[str, str]

    def is_about(self, spec: CaseSpec) -> bool:
        """Whether a case helps to answer it."""
        if self.id == _BY_WORKAROUND:
            return spec.scenario in _WORKAROUNDS
        if isinstance(spec.cluster, ManagedSpec):
            return self._is_about_managed(spec)
        if self.incident:
            is_deployment = isinstance(spec.cluster, DeploymentSpec) and spec.scenario not in _WORKAROUNDS
            return is_deployment and spec.incident.startswith(self.incident)
        return bool(_REPLACING & set(spec.guarantees))

    def _is_about_managed(self, spec: CaseSpec) -> bool:
        if spec.scenario == _STATE_TABLE or not self.incident.startswith("003"):
            return False
        slips = spec.scenario == _RESTORE and not spec.moment.startswith(_RESTORED_BY)
        return (spec.scenario in _WAYS_BACK or slips) == (self.id == _BY_WAY_BACK)

    def row_of(self, case: CaseResult) -> str:
        """What a case is counted under: its procedure; of a workaround or a way back how it was done."""
        if self.id == _BY_WAY_BACK:
            return f"{case.spec.moment} ({case.procedure})"
        if self.id != _BY_WORKAROUND:
            return case.procedure
        where = _WORKAROUNDS[case.spec.scenario]
        return ", ".join(filter(None, [f"{case.procedure} {where}", case.spec.moment]))


REPLACED = Question(
    "answers",
    "Which procedures keep the cluster alive while nodes are replaced?",
    "nodes replaced",
    "",
    ("quorum-kept", "write-gap-bounded", "acknowledged-writes-kept", "cluster-identity-kept"),
    {
        "kept": "keep the cluster alive, and every guarantee",
        "alive": "keep it alive, and break something else",
        "lost": "lose the quorum, writes or data",
        "unclear": "can't be judged",
    },
    {},
)
STOPPED = Question(
    "answers-000",
    "Which ways to keep state bring a deployment back after a stop and a start?",
    "stop and start",
    "000",
    ("restart-succeeds", "nodes-ready", "api-service-present", "system-workloads-stable"),
    {
        "kept": "bring it back, and keep every guarantee",
        "alive": "bring the cluster back, and lose something",
        "lost": "do not bring the cluster back",
        "unclear": "can't be judged",
    },
    {
        "keep-caddy": "etcd persisted, only the ingress's Secrets kept: the incident",
        "keep-caddy-exact": "the same whitelist, values byte for byte",
        "keep-core": "fix option 1: a wider whitelist",
        "wipe": "fix option 2: etcd wiped",
        "backup-secrets": "fix option 3: etcd not persisted, Secrets backed up",
        "faithful": "fix option 3: etcd not persisted, Secrets backed up",
        "corrupts-binary": "defect: binary values spoilt in the backup",
        "trusts-backup": "defect: takes any backup for whole",
        "restores-once": "defect: puts Secrets back once only",
        "deletes-dead": "defect: deletes a cluster that is switched off",
        "drops-rbac": "defect: a wider whitelist, without RBAC",
        "drops-cni": "defect: a wider whitelist, without the network's objects",
        "other-etcd": "defect: cleaned up with another minor of etcd",
    },
)
INTERRUPTED = Question(
    "answers-001",
    "Which ways to start survive being interrupted, by simply being started again?",
    "interrupted starts",
    "001",
    ("restart-succeeds", "app-reachable", "every-cut-recovers"),
    {
        "kept": "survive it, and keep every guarantee",
        "alive": "survive it, and break something else",
        "lost": "do not survive it",
        "unclear": "can't be judged",
    },
    {
        "ingress-create": "plain create: the incident",
        "faithful": "fix option 1: server-side apply",
        "ingress-apply": "fix option 1: server-side apply",
        "ingress-skip": "fix option 2: skipped if the namespace is there",
        "ingress-conflict-ok": "fix option 3: 409 taken for success",
        "forgets-after-interruption": "defect: forgets an object after an interruption",
        "says-ready-too-early": "defect: says it is done too early",
        "never-returns": "defect: never returns",
        "deletes-foreign": "defect: deletes the cluster of others",
        "stop-trusts-notes": "defect: stops what its notes say is there",
        "leaves-child": "defect: leaves a process behind",
    },
)
WORKED_AROUND = Question(
    _BY_WORKAROUND,
    "What do the incidents' workarounds bring, and what do they cost?",
    "workarounds",
    "000 and 001",
    ("restart-succeeds", "app-reachable"),
    {
        "kept": "bring it back, and cost nothing",
        "alive": "bring it back, at a price",
        "lost": "do not bring it back as it was",
        "unclear": "can't be judged",
    },
    {},
)
MANAGED = Question(
    "answers-003",
    "Which managers keep a cluster whose control files vanish?",
    "managers",
    "003",
    ("no-unasked-seed", "served-is-ours", "writes-accounted", "backups-fresh", "restore-complete", "bad-name-harmless"),
    {
        "kept": "keep it, and every guarantee",
        "alive": "keep it and its backups, and break something else",
        "lost": "lose the cluster, its data or its backups",
        "unclear": "can't be judged",
    },
    {
        "etcd-manager": "as etcd-manager does: the incident",
        "wishes": "the reporter's wishes: refuses, tells, reads again, backs up always",
        "seeds-silently": "the wishes, but founds a new cluster without a word",
        "caches-spec": "the wishes, but reads control files when it begins to lead",
        "control-in-backups": "the wishes, but keeps control files beneath the backups",
        "backs-up-with-spec-only": "the wishes, but backs up with a spec only",
        "seeds-on-unreadable-marker": "defect: takes what it can't read for gone",
        "restores-before-check": "defect: stops everything before it looks for the backup",
        "serves-before-restored": "defect: lets clients in before the data is there",
        "purges-archive": "defect: removes old data instead of putting it aside",
        "reports-untaken-backup": "defect: reports backups it did not take",
        "empty-snapshots": "defect: backs up nothing at all",
        "restores-one-member": "defect: restores onto one member only",
    },
)
BROUGHT_BACK = Question(
    _BY_WAY_BACK,
    "Which ways back bring a cluster's data back, and what do they leave undone?",
    "ways back",
    "003, ways back",
    ("restore-complete", "writes-accounted", "archive-kept"),
    {
        "kept": "bring it back, and tell the price",
        "alive": "bring it back, and leave something undone",
        "lost": "do not bring back all there was, or lose the archive",
        "unclear": "can't be judged",
    },
    {},
)
QUESTIONS = (REPLACED, STOPPED, INTERRUPTED, WORKED_AROUND, MANAGED, BROUGHT_BACK)


@dataclass(frozen=True, slots=True)
class Procedure:
    """What one procedure came to, over all stories and shapes of a question.

    Args:
        name: the variant; with its tool in front unless it is the reference.
        group: ``kept`` all guarantees, ``alive`` but something else broke, ``lost`` the cluster,
            or ``unclear``.
        broken: titles of the guarantees broken, those that cost the cluster its life alone when
            it was lost.
        cases: how many cases tell.
        lost: in how many of them the cluster was lost.
        anchor: the case to look at: the first one that put it into this group.
        words: what it stands for; empty where the name says it all.
    """

    name: str
    group: str
    broken: tuple[str, ...]
    cases: int
    lost: int
    anchor: str
    words: str = ""


def procedures(run: RunResult, question: Question = REPLACED) -> tuple[Procedure, ...]:
    """Every procedure that answers a question, by name."""
    return tuple(_procedure(name, cases, question) for name, cases in sorted(by_procedure(run.cases, question).items()))


def by_procedure(cases: Iterable[CaseResult], question: Question) -> dict[str, Sequence[CaseResult]]:
    """The cases that a question is about, by procedure."""
    groups: dict[str, list[CaseResult]] = {}
    for case in cases:
        if question.is_about(case.spec):
            groups.setdefault(question.row_of(case), []).append(case)
    return dict(groups)


def _procedure(name: str, cases: Sequence[CaseResult], question: Question) -> Procedure:
    lost = [case for case in cases if _red(case) & set(question.vital)]
    other = [case for case in cases if _red(case)]
    unclear = [case for case in cases if case.inconclusive]
    group = "lost" if lost else "unclear" if unclear else "alive" if other else "kept"
    telling = {"lost": lost, "unclear": unclear, "alive": other, "kept": cases}[group]
    reds: Iterable[str] = set().union(*(_red(case) for case in telling))
    named = [gid for gid in GUARANTEES if gid in reds and (group != "lost" or gid in question.vital)]
    titles = tuple(GUARANTEES[gid].title for gid in named)
    return Procedure(name, group, titles, len(cases), len(lost), telling[0].anchor, question.options.get(name, ""))


def _red(case: CaseResult) -> set[str]:
    return {finding.guarantee for finding in case.findings if finding.verdict is Verdict.NOT_RECOVERED}
