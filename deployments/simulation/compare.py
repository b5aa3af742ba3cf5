"""The same subjects under two protocols: which windows, outcomes and notices differ.

Both runs draw the same chances for the same subject and purpose, so what differs comes from the protocol.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from deployments.simulation.record import Notice, Record, VisitRecord
from deployments.simulation.study_run import Run
from deployments.simulation.summary import summary
from deployments.tables import table
from itp_events.rules.explain import days
from itp_events.rules.keys import stable


def compare(old: Run, new: Run, names: tuple[str, str]) -> dict[str, Any]:
    """The differences as JSON types: totals, and row by row windows, outcomes and notices."""
    pairs = list(zip(old.records, new.records, strict=True))
    before, after = _sent(old), _sent(new)
    return {
        "old": names[0],
        "new": names[1],
        "subjects": len(pairs),
        "totals": list(_totals(old, new)),
        "windows": [row for pair in pairs for row in _windows(*pair)],
        "outcomes": [row for pair in pairs for row in _outcomes(*pair)],
        "notices": _by_step(before, after),
        "notices_only_old": len(before.keys() - after.keys()),
        "notices_only_new": len(after.keys() - before.keys()),
        "only_old": sorted(before.keys() - after.keys()),
        "only_new": sorted(after.keys() - before.keys()),
    }


def _sent(run: Run) -> dict[str, Notice]:
    """The notices that left, by their stable keys."""
    notices = (notice for record in run.records for notice in record.notices)
    return {stable(notice.row): notice for notice in notices if notice.sent}


def _totals(old: Run, new: Run) -> Iterator[dict[str, Any]]:
    first, second = summary(old), summary(new)
    weekly = [numbers["messages_per_week"] for numbers in (first, second)]
    for audience in dict.fromkeys([*weekly[0], *weekly[1]]):
        for name, words in (("mean", "a week"), ("busiest", "busiest week"), ("total", "in all")):
            values = [each.get(audience, {}).get(name, 0) for each in weekly]
            yield _total(f"messages to {audience}, {words}", *values)
    for outcome in ("in_window", "out_of_window", "missed", "cancelled"):
        values = [sum(visit[outcome] for visit in numbers["visits"]) for numbers in (first, second)]
        yield _total(f"visits {outcome.replace('_', ' ')}", *values)
    for state in sorted({*first["subjects_by_state"], *second["subjects_by_state"]}):
        values = [numbers["subjects_by_state"].get(state, 0) for numbers in (first, second)]
        yield _total(f"subjects: {state}", *values)


def _total(what: str, old: float, new: float) -> dict[str, Any]:
    return {"what": what, "old": old, "new": new, "difference": round(new - old, 1)}


def _windows(old: Record, new: Record) -> Iterator[dict[str, Any]]:
    for code, before, after in _visits(old, new):
        spans = [days(visit.opens, visit.closes) if visit else "not planned" for visit in (before, after)]
        if spans[0] != spans[1]:
            yield {"subject": old.code, "visit": code, "old": spans[0], "new": spans[1]}


def _outcomes(old: Record, new: Record) -> Iterator[dict[str, Any]]:
    if old.state != new.state:
        yield {"subject": old.code, "visit": "the subject", "old": old.state, "new": new.state}
    for code, before, after in _visits(old, new):
        words = [_outcome(visit) for visit in (before, after)]
        if words[0] != words[1]:
            yield {"subject": old.code, "visit": code, "old": words[0], "new": words[1]}


def _outcome(visit: VisitRecord | None) -> str:
    if visit is None:
        return "not planned"
    if not visit.on:
        return visit.outcome
    return "in its window" if not visit.deviation else f"{visit.deviation:+d} days outside"


def _visits(old: Record, new: Record) -> Iterator[tuple[str, VisitRecord | None, VisitRecord | None]]:
    before = {visit.code: visit for visit in old.visits}
    after = {visit.code: visit for visit in new.visits}
    for code in dict.fromkeys([*before, *after]):
        yield code, before.get(code), after.get(code)


def _by_step(before: dict[str, Notice], after: dict[str, Notice]) -> list[dict[str, Any]]:
    counts: dict[tuple[str, str], Counter[str]] = {}
    for key in sorted({*before, *after}):
        notice = after.get(key) or before[key]
        where = "both" if key in before and key in after else "only_new" if key in after else "only_old"
        counts.setdefault((notice.step, notice.audience), Counter())[where] += 1
    return [
        {
            "step": step,
            "audience": audience,
            **{name: found[name] for name in ("only_old", "only_new", "both")},
        }
        for (step, audience), found in sorted(counts.items())
    ]


def differences_csv(found: dict[str, Any]) -> str:
    """Every difference, one per line."""
    changed = [
        (what, row["subject"], row["visit"], row["old"], row["new"])
        for what in ("windows", "outcomes")
        for row in found[what]
    ]
    sent = [
        ("notice", key.partition("/")[0], key, *columns)
        for side, columns in (("only_old", ("sent", "")), ("only_new", ("", "sent")))
        for key in found[side]
    ]
    return table(("what", "subject", "visit or notice", "old", "new"), [*changed, *sent])
