"""Small runs as they are saved: hand-written stories in sealed journals, with their facts and their ledger."""

import itertools

from harness.journal import Journal
from harness.run_folder import RunFolder
from harness.spec import CaseSpec, EtcdSpec, Target
from reports.run import RunFacts, save_facts
from tests.judging.story import Story

GUARANTEES = ("quorum-kept", "no-ghost-member", "write-gap-bounded")
LINE = """\
# what the incident's author did
- id: loses-quorum
  tool: reference
  variant: bad
  scenario: rolling_replacement
  clusters: [3-strict]
  guarantee: quorum-kept
  signature: quorum-lost
  also: [no-ghost-member, write-gap-bounded]
  why: two of three are gone
  link: 002.txt
"""


def spec(variant, *, tool="reference", version="", members=3, play=1, moment=""):
    case = CaseSpec(
        "rolling_replacement",
        "002.txt",
        Target(tool, variant, version),
        EtcdSpec(members),
        GUARANTEES,
        write_gap_seconds=60,
        moment=moment,
    )
    return case.play(play)


def kept(variant="good", *, gap=1.0, **more):
    """All is well, and clients waited that long once."""
    story = Story(spec=spec(variant, **more)).write(0.5, "a").replaced(1)
    return story.write(0.51 + gap, "b").end(gap + 2)


def lost(variant="bad", **more):
    """Two of three voters go."""
    return Story(spec=spec(variant, **more)).write(0.5, "a").asked(1).down(1, "n1").down(1.2, "n2").ended(2).end(6)


def haunted(variant="bad", **more):
    """One is listed and gone; the others serve."""
    story = Story(spec=spec(variant, **more)).write(0.5, "a").asked(1).down(1, "n1").ended(2).write(3, "b")
    return story.end(6, serving=("n2", "n3"), lost=("n1",))


def blind(variant="good", **more):
    """Nobody saw the end."""
    return [entry for entry in kept(variant, **more) if entry.kind != "case.ended"]


def save(path, *stories, ledger="", **facts):
    """The folder of a run that played these."""
    folder = RunFolder(path)
    folder.cases.mkdir(parents=True)
    for number, entries in enumerate(stories):
        moments = itertools.chain([0.0], (entry.at for entry in entries), itertools.repeat(entries[-1].at))
        journal = Journal(folder.cases / str(number) / "journal.jsonl", lambda moments=moments: next(moments))
        for entry in entries:
            journal.append(entry.kind, **entry.data)
        journal.seal()
    save_facts(folder, RunFacts(path.name, started_at="2026-11-21T10:00:00+00:00", **facts))
    folder.ledger.write_text(ledger)
    return folder
