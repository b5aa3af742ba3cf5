"""What the service tells: notices to issue, and those to take back because they no longer hold."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from itp_events.events import (
    OWN_SOURCE,
    SERVICE,
    Data,
    Event,
    NoticeClosed,
    NoticeIssued,
    NoticeReopened,
    NoticeSuperseded,
    NoticeWithdrawn,
)
from itp_events.notices.contents import facts
from itp_events.notices.wanted import Duty
from itp_events.rules.decision_log import Issue, again, marked
from itp_events.rules.explain import day
from itp_events.rules.state import View

# The fact that says how many cells an order before this one asked for.
_REPLACES = "replaces"


def own(seen: View, key: str, data: Data) -> Event:
    """A decision of the service at the instant of the view."""
    return Event(key, OWN_SOURCE, seen.subject.code, seen.now, data)


def told(seen: View, duties: Iterable[Duty]) -> Iterator[Event]:
    """What changes among the notices: issued, reopened, withdrawn, closed, superseded."""
    valid = {duty.key: duty for duty in duties}
    yield from _ended(seen, valid)
    for key, duty in valid.items():
        issue = seen.subject.ledger.issues.get(key)
        if duty.stands(seen.now):
            yield from _standing(seen, duty, issue)
        elif issue is None and _overdue_reminder(seen, duty):
            data = NoticeSuperseded(by=SERVICE, notice=key, step=duty.step)
            yield own(seen, marked(key, "superseded"), data)


def _standing(seen: View, duty: Duty, issue: Issue | None) -> Iterator[Event]:
    if issue is None:
        yield own(seen, duty.key, notice(seen, duty, duty.key))
    elif issue.status == "issued":
        yield from _said_anew(seen, duty, issue)
    elif issue.status == "closed" and _restated(seen, duty):
        return  # it was told, and is one fact with its correction
    elif issue.status == "withdrawn" and not _says_else(seen, duty, issue):
        yield _touch(seen, issue, NoticeReopened(by=SERVICE, notice=issue.row))
    else:
        yield _anew(seen, duty, issue)


def _restated(seen: View, duty: Duty) -> bool:
    """Whether what was told of has been voided and stated anew, unchanged in what the duty rests on."""
    return duty.kind == "alert" and duty.fact is not None and duty.fact.key != duty.event


def _said_anew(seen: View, duty: Duty, issue: Issue) -> Iterator[Event]:
    """What is not handed over yet says what holds when it leaves; an order of cells stays right after it."""
    if issue.row not in seen.subject.handed:
        if not _says_else(seen, duty, issue):
            return
        data: Data = NoticeWithdrawn(by=SERVICE, notice=issue.row, reason="it would say something else now")
    elif _ordered(issue) and _ordered(issue) != _ordered_now(seen, duty):
        data = NoticeClosed(by=SERVICE, notice=issue.row, reason="the dose changed")
    else:
        return
    yield _touch(seen, issue, data)
    yield _anew(seen, duty, issue)


def _says_else(seen: View, duty: Duty, issue: Issue) -> bool:
    now = notice(seen, duty, issue.row, issue.notice.facts.get(_REPLACES))
    return now != issue.notice


def _ordered(issue: Issue) -> float | None:
    """How many cells a notice asks the cell laboratory to prepare, if it does."""
    cells: float | None = issue.notice.facts.get("dose", {}).get("cells")
    return cells


def _ordered_now(seen: View, duty: Duty) -> float | None:
    cells: float | None = facts(seen, duty).get("dose", {}).get("cells")
    return cells


def _anew(seen: View, duty: Duty, issue: Issue) -> Event:
    row = again(issue.row)
    return own(seen, row, notice(seen, duty, row, _replaced(seen, issue)))


def _replaced(seen: View, issue: Issue) -> float | None:
    """How many cells are being prepared because of an order that the next one replaces."""
    if issue.row not in seen.subject.handed:
        cells: float | None = issue.notice.facts.get(_REPLACES)
        return cells
    return _ordered(issue) if issue.status == "issued" else None


def _overdue_reminder(seen: View, duty: Duty) -> bool:
    past = duty.due <= seen.now and duty.kind == "reminder"
    return past and duty.key not in seen.subject.ledger.superseded


def notice(seen: View, duty: Duty, row: str, replaces: float | None = None) -> NoticeIssued:
    """The notice that a duty asks for, under its key in the outbox; `replaces`: cells ordered before."""
    said = facts(seen, duty) | ({_REPLACES: replaces} if replaces is not None else {})
    return NoticeIssued(
        by=SERVICE,
        notice=row,
        kind=duty.kind,
        visit=duty.visit,
        step=duty.step,
        audience=duty.audience,
        due=duty.due,
        until=duty.until,
        facts=said,
    )


def _ended(seen: View, valid: dict[str, Duty]) -> Iterator[Event]:
    """Notices that are no longer to be sent, and those whose duty ended after they were handed over."""
    for key, issue in seen.subject.ledger.issues.items():
        if issue.status != "issued" or (key in valid and valid[key].stands(seen.now)):
            continue
        if issue.row not in seen.subject.handed:
            reason = _why_ended(seen, issue, valid.get(key))
            yield _touch(seen, issue, NoticeWithdrawn(by=SERVICE, notice=issue.row, reason=reason))
        elif key not in valid and (issue.notice.until is None or seen.now < issue.notice.until):
            # It could become due again: the log must know that what was sent was contradicted.
            reason = _why_ended(seen, issue, None)
            yield _touch(seen, issue, NoticeClosed(by=SERVICE, notice=issue.row, reason=reason))


def _touch(seen: View, issue: Issue, data: Data) -> Event:
    return own(seen, marked(issue.row, issue.touched), data)


def _why_ended(seen: View, issue: Issue, duty: Duty | None) -> str:
    if duty or (issue.notice.until and issue.notice.until <= seen.now):
        return "no longer of use" if issue.notice.kind == "reminder" else "a newer one is due"
    planned = next((each for each in seen.visits if each.code == issue.notice.visit), None)
    if planned is None:
        return "what it stood on no longer holds"
    if planned.outcome:
        return f"{planned.code} is {planned.outcome}"
    if seen.held(planned):
        return seen.state[:1].lower() + seen.state[1:]
    return f"the date of {planned.code} changed to {day(planned.day)}"
