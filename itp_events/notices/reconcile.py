"""Comparing the notices that are wanted with those in the log: some must be issued, others taken back.

This module does not say which notices are wanted, and it sends nothing.
"""

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
from itp_events.protocol.model import PARTICIPANT
from itp_events.rules.decision_log import Issue
from itp_events.rules.explain import day
from itp_events.rules.keys import decision_id, next_key
from itp_events.rules.state import SubjectState


def own(state: SubjectState, key: str, data: Data) -> Event:
    """A decision of the service, as an event at the instant of `state`."""
    return Event(key, OWN_SOURCE, state.subject.code, state.now, data)


def reconcile_notices(state: SubjectState, wanted_notices: Iterable[WantedNotice]) -> Iterator[Event]:
    """The events that bring the log in line with the wanted notices.

    They are of the types issued, reopened, withdrawn, closed and superseded.
    """
    valid = {wanted.key: wanted for wanted in wanted_notices}
    yield from _ended(state, valid)
    for key, wanted in valid.items():
        issue = state.subject.decision_log.issues.get(key)
        if wanted.stands(state.now):
            yield from _of_use(state, wanted, issue)
        elif issue is None and _overdue_reminder(state, wanted):
            data = NoticeSuperseded(by=SERVICE, notice=key, step=wanted.step)
            yield own(state, decision_id(key, "superseded"), data)


def _of_use(state: SubjectState, wanted: WantedNotice, issue: Issue | None) -> Iterator[Event]:
    """The events for a wanted notice that is due and of use now; `issue` is how it was issued last."""
    if issue is None:
        yield own(state, wanted.key, notice(state, wanted, wanted.key))
    elif issue.status == "issued":
        yield from _said_anew(state, wanted, issue)
    elif issue.status == "closed" and (_restated(state, wanted) or _knows(state, wanted, issue)):
        return  # people were told, and a correction without change is no news
    elif issue.status == "withdrawn" and not _says_else(state, wanted, issue):
        yield _touch(state, issue, NoticeReopened(by=SERVICE, notice=issue.key))
    else:
        yield _anew(state, wanted, issue)


def _restated(state: SubjectState, wanted: WantedNotice) -> bool:
    """Whether the event behind an alert was voided and stated anew without a change that matters to it."""
    return wanted.kind == "alert" and wanted.fact is not None and wanted.fact.key != wanted.event


def _knows(state: SubjectState, wanted: WantedNotice, issue: Issue) -> bool:
    """Whether a subject was told this day of a visit, and no other day of it since."""
    later = (
        each
        for each in state.subject.decision_log.issues.values()
        if each.notice.audience == PARTICIPANT and each.notice.visit == wanted.visit and each.at > issue.at
    )
    return wanted.audience == PARTICIPANT and not any(each.key in state.subject.handed for each in later)


def _said_anew(state: SubjectState, wanted: WantedNotice, issue: Issue) -> Iterator[Event]:
    """The events when a notice that was issued would say something else now.

    A notice that is not handed over yet is replaced, so that it is true when it leaves. An order of
    cells is replaced even later, when the number of cells has changed.
    """
    if issue.key not in state.subject.handed:
        if not _says_else(state, wanted, issue):
            return
        data: Data = NoticeWithdrawn(by=SERVICE, notice=issue.key, reason="it would say something else now")
    elif (cells := _ordered(said_by(issue.notice))) and cells != _ordered(contents(state, wanted)):
        data = NoticeClosed(by=SERVICE, notice=issue.key, reason="the dose changed")
    else:
        return
    yield _touch(state, issue, data)
    yield _anew(state, wanted, issue)


def _says_else(state: SubjectState, wanted: WantedNotice, issue: Issue) -> bool:
    now = notice(state, wanted, issue.key, said_by(issue.notice).get("replaces"))
    return now != issue.notice


def _ordered(said: NoticeContents) -> float | None:
    """The cells that a notice asks the cell laboratory to prepare; None when it asks for none."""
    return said["dose"].get("cells") if "dose" in said else None


def _anew(state: SubjectState, wanted: WantedNotice, issue: Issue) -> Event:
    key = next_key(issue.key)
    return own(state, key, notice(state, wanted, key, _replaced(state, issue)))


def _replaced(state: SubjectState, issue: Issue) -> float | None:
    """The number of cells being prepared by an order that the next one replaces; None when there is none."""
    said = said_by(issue.notice)
    if issue.key not in state.subject.handed:
        return said.get("replaces")
    return _ordered(said) if issue.status == "issued" else None


def _overdue_reminder(state: SubjectState, wanted: WantedNotice) -> bool:
    past = wanted.due <= state.now and wanted.kind == "reminder"
    return past and wanted.key not in state.subject.decision_log.superseded


def notice(
    state: SubjectState, wanted: WantedNotice, key: str, replaces: float | None = None
) -> NoticeIssued:
    """The notice to issue for a wanted one, under the outbox key `key`.

    `replaces` is the number of cells that an earlier order asked for; None when there was no such order.
    """
    said = contents(state, wanted)
    if replaces is not None:
        said["replaces"] = replaces
    return NoticeIssued(
        by=SERVICE,
        notice=key,
        kind=wanted.kind,
        visit=wanted.visit,
        step=wanted.step,
        audience=wanted.audience,
        due=wanted.due,
        until=wanted.until,
        facts=dict(said),
    )


def _ended(state: SubjectState, valid: dict[str, WantedNotice]) -> Iterator[Event]:
    """The events for issued notices that are not wanted any more: withdrawn before hand-over, else closed."""
    for key, issue in state.subject.decision_log.issues.items():
        if issue.status != "issued" or (key in valid and valid[key].stands(state.now)):
            continue
        if issue.key not in state.subject.handed:
            reason = _why_ended(state, issue, valid.get(key))
            yield _touch(state, issue, NoticeWithdrawn(by=SERVICE, notice=issue.key, reason=reason))
        elif key not in valid and (issue.notice.until is None or state.now < issue.notice.until):
            # It could become due again, so that the log must say that it was taken back after it was sent.
            reason = _why_ended(state, issue, None)
            yield _touch(state, issue, NoticeClosed(by=SERVICE, notice=issue.key, reason=reason))


def _touch(state: SubjectState, issue: Issue, data: Data) -> Event:
    return own(state, decision_id(issue.key, issue.touched), data)


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
