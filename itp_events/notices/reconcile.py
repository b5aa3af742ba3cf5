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
from itp_events.notices.content_types import NoticeContents, said_by
from itp_events.notices.contents import contents
from itp_events.notices.wanted import WantedNotice
from itp_events.rules.decision_log import Issue
from itp_events.rules.explain import day
from itp_events.rules.keys import marked, next_key
from itp_events.rules.state import SubjectState


def own(state: SubjectState, key: str, data: Data) -> Event:
    """A decision of the service at the instant of the view."""
    return Event(key, OWN_SOURCE, state.subject.code, state.now, data)


def reconcile_notices(state: SubjectState, wanted_notices: Iterable[WantedNotice]) -> Iterator[Event]:
    """What changes among the notices: issued, reopened, withdrawn, closed, superseded."""
    valid = {wanted.key: wanted for wanted in wanted_notices}
    yield from _ended(state, valid)
    for key, wanted in valid.items():
        issue = state.subject.decision_log.issues.get(key)
        if wanted.stands(state.now):
            yield from _standing(state, wanted, issue)
        elif issue is None and _overdue_reminder(state, wanted):
            data = NoticeSuperseded(by=SERVICE, notice=key, step=wanted.step)
            yield own(state, marked(key, "superseded"), data)


def _standing(state: SubjectState, wanted: WantedNotice, issue: Issue | None) -> Iterator[Event]:
    if issue is None:
        yield own(state, wanted.key, notice(state, wanted, wanted.key))
    elif issue.status == "issued":
        yield from _said_anew(state, wanted, issue)
    elif issue.status == "closed" and _restated(state, wanted):
        return  # it was told, and is one fact with its correction
    elif issue.status == "withdrawn" and not _says_else(state, wanted, issue):
        yield _touch(state, issue, NoticeReopened(by=SERVICE, notice=issue.row))
    else:
        yield _anew(state, wanted, issue)


def _restated(state: SubjectState, wanted: WantedNotice) -> bool:
    """Whether what was told of has been voided and stated anew, unchanged in what the duty rests on."""
    return wanted.kind == "alert" and wanted.fact is not None and wanted.fact.key != wanted.event


def _said_anew(state: SubjectState, wanted: WantedNotice, issue: Issue) -> Iterator[Event]:
    """What is not handed over yet says what holds when it leaves; an order of cells stays right after it."""
    if issue.row not in state.subject.handed:
        if not _says_else(state, wanted, issue):
            return
        data: Data = NoticeWithdrawn(by=SERVICE, notice=issue.row, reason="it would say something else now")
    elif (cells := _ordered(said_by(issue.notice))) and cells != _ordered(contents(state, wanted)):
        data = NoticeClosed(by=SERVICE, notice=issue.row, reason="the dose changed")
    else:
        return
    yield _touch(state, issue, data)
    yield _anew(state, wanted, issue)


def _says_else(state: SubjectState, wanted: WantedNotice, issue: Issue) -> bool:
    now = notice(state, wanted, issue.row, said_by(issue.notice).get("replaces"))
    return now != issue.notice


def _ordered(said: NoticeContents) -> float | None:
    """How many cells a notice asks the cell laboratory to prepare; None when it asks for none."""
    return said["dose"]["cells"] if "dose" in said else None


def _anew(state: SubjectState, wanted: WantedNotice, issue: Issue) -> Event:
    row = next_key(issue.row)
    return own(state, row, notice(state, wanted, row, _replaced(state, issue)))


def _replaced(state: SubjectState, issue: Issue) -> float | None:
    """How many cells are being prepared because of an order that the next one replaces."""
    said = said_by(issue.notice)
    if issue.row not in state.subject.handed:
        return said.get("replaces")
    return _ordered(said) if issue.status == "issued" else None


def _overdue_reminder(state: SubjectState, wanted: WantedNotice) -> bool:
    past = wanted.due <= state.now and wanted.kind == "reminder"
    return past and wanted.key not in state.subject.decision_log.superseded


def notice(
    state: SubjectState, wanted: WantedNotice, row: str, replaces: float | None = None
) -> NoticeIssued:
    """The notice that a duty asks for, under its key in the outbox; `replaces`: cells ordered before."""
    said = contents(state, wanted)
    if replaces is not None:
        said["replaces"] = replaces
    return NoticeIssued(
        by=SERVICE,
        notice=row,
        kind=wanted.kind,
        visit=wanted.visit,
        step=wanted.step,
        audience=wanted.audience,
        due=wanted.due,
        until=wanted.until,
        facts=dict(said),
    )


def _ended(state: SubjectState, valid: dict[str, WantedNotice]) -> Iterator[Event]:
    """Notices that are no longer to be sent, and those whose duty ended after they were handed over."""
    for key, issue in state.subject.decision_log.issues.items():
        if issue.status != "issued" or (key in valid and valid[key].stands(state.now)):
            continue
        if issue.row not in state.subject.handed:
            reason = _why_ended(state, issue, valid.get(key))
            yield _touch(state, issue, NoticeWithdrawn(by=SERVICE, notice=issue.row, reason=reason))
        elif key not in valid and (issue.notice.until is None or state.now < issue.notice.until):
            # It could become due again: the log must know that what was sent was contradicted.
            reason = _why_ended(state, issue, None)
            yield _touch(state, issue, NoticeClosed(by=SERVICE, notice=issue.row, reason=reason))


def _touch(state: SubjectState, issue: Issue, data: Data) -> Event:
    return own(state, marked(issue.row, issue.touched), data)


def _why_ended(state: SubjectState, issue: Issue, wanted: WantedNotice | None) -> str:
    if wanted or (issue.notice.until and issue.notice.until <= state.now):
        return "no longer of use" if issue.notice.kind == "reminder" else "a newer one is due"
    planned = next((each for each in state.visits if each.code == issue.notice.visit), None)
    if planned is None:
        return "what it stood on no longer holds"
    if planned.outcome:
        return f"{planned.code} is {planned.outcome}"
    if state.held(planned):
        return state.phase[:1].lower() + state.phase[1:]
    return f"the date of {planned.code} changed to {day(planned.day)}"
