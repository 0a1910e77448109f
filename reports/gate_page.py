"""The gate's answer for a release page (Markdown) and for machines (JSON)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import Any

from harness.judging.guarantees import GUARANTEES
from reports.baseline import Against, Change, label_of
from reports.gate import BROKEN, INCONCLUSIVE, OK, Decision
from reports.pace import LEAST_PLAYS, GuaranteePace, Pace
from reports.run import RunResult
from reports.world import played_on

SCHEMA = 1
ANSWERS = {OK: "ship", BROKEN: "do not ship", INCONCLUSIVE: "nobody can say"}
# A page of thousands of lines answers nothing; all of them are in the JSON.
_MOST = 40


def to_markdown(run: RunResult, decision: Decision) -> str:
    """The page: the answer, then why, then everything behind it."""
    against = decision.against
    sections = [
        f"# {_safe(_title(run, decision))}",
        _facts(run, decision),
        _listed("Why not", decision.broken),
        _listed("What nobody can say", decision.unclear),
        *(_compared(against) if against else ()),
        _known(run),
        _listed("Not run", decision.not_run),
        _listed("Cases in no line of the manifest", decision.fresh),
        _listed("Skipped", _grouped(run.facts.skipped)),
        _listed("Notes", run.facts.notes),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def to_json(run: RunResult, decision: Decision) -> dict[str, Any]:
    """The same as plain JSON values; `SCHEMA` says which fields there are."""
    against = decision.against
    facts = {name: value for name, value in asdict(run.facts).items() if name not in ("planned", "skipped")}
    return {
        "schema": SCHEMA,
        "answer": ANSWERS[decision.exit_code],
        "exit_code": decision.exit_code,
        "headline": decision.headline,
        "broken": list(decision.broken),
        "unclear": list(decision.unclear),
        "not_run": list(decision.not_run),
        "not_in_manifest": list(decision.fresh),
        "run": facts | {"planned": len(run.facts.planned), "skipped": len(run.facts.skipped)},
        "known": [
            {"id": name, "place": place, "plays": plays, "since": since, "expires": expires, "link": link}
            for name, place, plays, since, expires, _, link in _known_rows(run)
        ],
        "against": _against_json(against) if against else None,
        "cases": [
            {
                "play_id": case.spec.play_id,
                "standing": case.standing,
                "verdict": case.verdict,
                "news": {finding.guarantee: finding.signature for finding in case.news},
                "known": case.known,
                "missing": [defect.id for defect in case.missing],
                "inconclusive": [finding.guarantee for finding in case.inconclusive],
            }
            for case in run.cases
        ],
    }


def _title(run: RunResult, decision: Decision) -> str:
    answer = ANSWERS[decision.exit_code]
    return f"{answer[0].upper()}{answer[1:]}: {label_of(run)}"


def _facts(run: RunResult, decision: Decision) -> str:
    number = len({case.spec.case_id for case in run.cases})
    cases = "1 case" if number == 1 else f"{number} cases"
    plays = f" in {len(run.cases)} plays" if len(run.cases) > number else ""
    world = [f"{name} {value}" for name, value in played_on(run)]
    shard = [f"shard {run.facts.shard}"] if run.facts.shard else []
    when = [run.facts.started_at] if run.facts.started_at else []
    told = ", ".join([f"{cases}{plays}", *world, f"seed {run.facts.seed}", *shard, *when])
    against = f"; against {decision.against.baseline}" if decision.against else ""
    return f"**{_safe(decision.headline)}** (exit code {decision.exit_code}{_safe(against)})\n\n{_safe(told)}"


def _compared(against: Against) -> Iterator[str]:
    words = _safe(against.counts)
    yield f"## Against the baseline\n{words[0].upper()}{words[1:]}."
    yield _listed("Not played on the same", against.worlds)
    yield _listed("Regressions", against.regressions)
    yield _listed("Fixes", against.fixes)
    yield _listed("Broken otherwise", against.otherwise)
    yield _listed("New cases", against.fresh)
    yield _paces(against.paces)


def _paces(paces: Sequence[GuaranteePace]) -> str:
    if not paces:
        return ""
    head = "| guarantee | cases | then | now | judged | slower | faster |\n|---|---|---|---|---|---|---|"
    rows = [
        _row(_named(each.guarantee), len(each.paces), f"{each.before:.1f} s", f"{each.now:.1f} s", each.judged,
             len(each.slower), len(each.faster))
        for each in paces
    ]  # fmt: skip
    told = f"Medians over cases of medians over plays. Judged only with {LEAST_PLAYS} plays on either side."
    return "\n".join(["## Time to recovery", told, "", head, *rows])


def _known(run: RunResult) -> str:
    rows = [
        _row(name, place, len(plays), since or "-", expires or "-", why, link)
        for name, place, plays, since, expires, why, link in _known_rows(run)
    ]
    head = "| known defect | line | plays | since | expires | what | written up |\n|---|---|---|---|---|---|---|"
    return "\n".join(["## Red as known", head, *rows]) if rows else ""


def _known_rows(run: RunResult) -> Iterator[tuple[str, str, list[str], str, str, str, str]]:
    for defect in run.ledger.defects:
        plays = [case.spec.play_id for case in run.cases if defect.id in case.known.values()]
        if plays:
            since, expires = (str(day or "") for day in (defect.since, defect.expires))
            yield defect.id, run.ledger.place(defect), plays, since, expires, defect.why, defect.link


def _against_json(against: Against) -> dict[str, Any]:
    return {
        "baseline": against.baseline,
        "worlds": list(against.worlds),
        "changes": [_change_json(change) for change in against.changes if change.kind != "unchanged"],
        "unchanged": against.unchanged,
        "new_cases": list(against.fresh),
        "gone_cases": list(against.gone),
        "recovery": [
            {
                "guarantee": each.guarantee,
                "before_seconds": round(each.before, 3),
                "now_seconds": round(each.now, 3),
                "cases": [_pace_json(pace) for pace in each.paces],
            }
            for each in against.paces
        ],
    }


def _change_json(change: Change) -> dict[str, Any]:
    red, plays = change.plays
    return {
        "kind": change.kind,
        "case_id": change.case_id,
        "guarantee": change.guarantee,
        "before": change.before,
        "verdict": change.now.verdict,
        "signature": change.now.signature,
        "reason": change.now.reason,
        "red_plays": red,
        "plays": plays,
        "known": change.known,
    }


def _pace_json(pace: Pace) -> dict[str, Any]:
    return {
        "case_id": pace.case_id,
        "before": list(pace.before),
        "now": list(pace.now),
        "judged": pace.is_judged,
        "margin_seconds": round(pace.margin_seconds, 3) if pace.is_judged else None,
        "slower": pace.is_slower,
        "faster": pace.is_faster,
    }


def _listed(title: str, lines: Sequence[str]) -> str:
    if not lines:
        return ""
    shown = [f"- {_safe(line)}" for line in lines[:_MOST]]
    more = [f"- and {len(lines) - _MOST} more"] if len(lines) > _MOST else []
    return "\n".join([f"## {title} ({len(lines)})", *shown, *more])


def _grouped(skipped: Iterable[str]) -> list[str]:
    """One line a reason: of a story that a machine can't play, each test is skipped by itself."""
    groups: dict[str, int] = {}
    for text in skipped:
        test, _, why = text.partition(": ")
        groups[why if "::" in test else text] = groups.get(why if "::" in test else text, 0) + 1
    return [f"{why} ({number} tests)" if number > 1 else why for why, number in groups.items()]


def _row(*cells: object) -> str:
    return f"| {' | '.join(_safe(str(cell)) for cell in cells)} |"


def _named(guarantee: str) -> str:
    return f"{guarantee} ({GUARANTEES[guarantee].title})" if guarantee in GUARANTEES else guarantee


def _safe(words: str) -> str:
    """Text from outside: it ends no line, no cell and opens no tag."""
    return " ".join(words.replace("&", "&amp;").replace("<", "&lt;").replace("|", "\\|").split())
