"""Writes a simulated study's events and notices into its folder, beside the report."""

from __future__ import annotations

from datetime import UTC, datetime

from deployments.simulation.record import Notice
from deployments.simulation.study_run import Run
from deployments.tables import table

NOTICE_COLUMNS = ("subject", "key", "kind", "visit", "step", "audience", "due", "issued", "sent", "ended")


def events_jsonl(run: Run) -> str:
    """The accepted facts of all subjects in the order in which they were reported, one event per line."""
    rows = []
    for position, record in enumerate(run.records):
        pairs = zip(record.facts, record.lines, strict=True)
        rows += [(event.time, position, place, line) for place, (event, line) in enumerate(pairs)]
    return "".join(f"{line}\n" for *_, line in sorted(rows))


def notices_csv(run: Run) -> str:
    """Every notice that was issued, in the order in which they were; instants in UTC."""
    notices = [notice for record in run.records for notice in record.notices]
    ordered = sorted(notices, key=lambda notice: (notice.issued, notice.row))
    return table(NOTICE_COLUMNS, map(_row, ordered))


def _row(notice: Notice) -> list[str]:
    instants = [_instant(at) for at in (notice.due, notice.issued, notice.sent)]
    about = [notice.subject, notice.row, notice.kind, notice.visit or "", notice.step, notice.audience]
    return [*about, *instants, notice.ended or ""]


def _instant(at: datetime | None) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if at else ""
