"""`itp show`: one subject of the running study, every date and decision with its reason."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import click
from rich.console import Console
from rich.text import Text

from deployments.cli.opening import OpenStudy, open_to_read
from deployments.cli.output.schedule import (
    deviation_document,
    print_deviations,
    print_flags,
    print_head,
    print_next,
    print_responses,
    print_visits,
    why,
)
from deployments.cli.output.sentences import author, decided, stated
from deployments.cli.output.tables import bullets, coloured, console, heading, print_json, table
from itp_events.events import (
    INVESTIGATORS,
    Event,
    NoticeClosed,
    NoticeIssued,
    NoticeReopened,
    NoticeSuperseded,
    NoticeWithdrawn,
)
from itp_events.outputs.plan import Plan, plan
from itp_events.outputs.plan_json import document, instant
from itp_events.protocol.model import Protocol, Site
from itp_events.rules.deviations import deviations
from itp_events.rules.explain import at_site, counted
from itp_events.rules.response import ResponseCourse, response_course
from itp_events.rules.subject import not_voided
from tasks.database.queries import AttemptRow, LogLine, NoticeRow
from tasks.database.subject_record import SubjectRecord, subject_record
from tasks.signatures.signing import Signature, signatures_of

_ABOUT_NOTICES = (NoticeIssued, NoticeReopened, NoticeSuperseded, NoticeWithdrawn, NoticeClosed)


@dataclass(frozen=True)
class _Shown:
    """A subject's record, the plan that its facts give, and the signatures on its events."""

    record: SubjectRecord
    plan: Plan
    signatures: Sequence[Signature]

    @property
    def unsigned(self) -> Sequence[LogLine]:
        """The decisions and assessments that stand and nobody has signed."""
        signed = {each.key for each in self.signatures}
        standing = {event.key for event in not_voided(self.record.events)} - signed
        asked = (line for line in self.record.log if isinstance(line.event.data, INVESTIGATORS))
        return [line for line in asked if line.event.key in standing]

    @property
    def site(self) -> Site:
        return self.plan.decision.subject_state.subject.site

    @property
    def protocol(self) -> Protocol:
        return self.plan.decision.subject_state.protocol


@click.command("show", short_help="One subject, with every date explained.")
@click.argument("code", metavar="SUBJECT")
@click.option("--json", "as_json", is_flag=True, help="The plan as `itp plan --json`, with log and notices.")
def command(code: str, as_json: bool) -> None:
    """Show SUBJECT in the running study: visits with the reasons of their dates, flags, decisions, notices.

    Each rule says where it comes from: the sponsor's synopsis, or an assumption that the site must confirm.

    \b
    Examples:
      itp show ITP-007
      itp show ITP-007 --json
    """
    with open_to_read() as study:
        shown = _look_up(study, code)
    if as_json:
        print_json(_document(shown))
    else:
        _print(shown)


def subject_document(study: OpenStudy, code: str) -> dict[str, Any]:
    """The document of `itp show --json` about a subject."""
    return _document(_look_up(study, code))


def _look_up(study: OpenStudy, code: str) -> _Shown:
    record = subject_record(study.store, code)
    signed = signatures_of(study.store, record.code, record.events)
    return _Shown(record, plan(study.protocol, record.events, study.now), signed)


def _print(shown: _Shown) -> None:
    out = console()
    state = shown.plan.decision.subject_state
    print_head(out, state)
    print_visits(out, state)
    print_flags(out, state)
    print_deviations(out, state, shown.record.origin)
    print_responses(out, state)
    heading(out, "Recorded")
    out.print(_recorded(shown))
    if shown.signatures or shown.unsigned:
        heading(out, "Signed")
        out.print(_signed(shown))
    _print_decisions(out, shown)
    heading(out, "Notices")
    out.print(_notices(shown) if shown.record.notices else "none yet")
    print_next(out, state, shown.plan.forecast)


def _recorded(shown: _Shown) -> object:
    columns = ("#", "Reported (site)", "What", "By")
    counts = {event.key for event in not_voided(shown.record.events)}
    rows = (
        (str(line.seq), at_site(shown.site, line.event.time), _fact(line.event, counts), author(line))
        for line in shown.record.log
        if not line.event.own
    )
    return table(columns, rows, columns[:2])


def _signed(shown: _Shown) -> object:
    columns = ("Signed (site)", "By", "Event", "Meaning", "Holds")
    rows = [
        (
            at_site(shown.site, each.at),
            f"{each.name} ({each.account})",
            f"{each.source}: {each.id}",
            each.meaning,
            Text(f"BROKEN: {each.broken}", style="bold red") if each.broken else "yes",
        )
        for each in shown.signatures
    ]
    rows += [
        ("not signed", "", f"{line.event.source}: {line.event.id}", f"line {line.seq}", "")
        for line in shown.unsigned
    ]
    return table(columns, rows, columns[:1])


def _fact(event: Event, counts: set[tuple[str, str]]) -> str:
    voided = event.type != "itp.event.voided" and event.key not in counts
    return f"{stated(event)} (VOIDED)" if voided else stated(event)


def _decisions(shown: _Shown) -> Iterator[tuple[LogLine, str]]:
    known = {line.event.key: line.event for line in shown.record.log}
    for line in shown.record.log:
        if line.event.own and not isinstance(line.event.data, _ABOUT_NOTICES):
            yield line, decided(shown.protocol, line.event, known)


def _print_decisions(out: Console, shown: _Shown) -> None:
    heading(out, "Decided by the service")
    bullets(out, ((at_site(shown.site, line.event.time), text) for line, text in _decisions(shown)))


def _notices(shown: _Shown) -> object:
    columns = ("Due (site)", "Visit", "What", "To", "Outcome")
    rows = (
        (at_site(shown.site, each.due), each.visit or "", each.step, each.audience, _outcome(shown, each))
        for each in shown.record.notices
    )
    return table(columns, rows, columns[:1])


def _outcome(shown: _Shown, notice: NoticeRow) -> Text:
    outcome = shown.record.outcome(notice)
    said = []
    if notice.reason:
        said.append(notice.reason)
    if outcome.arrived_at:
        said.append(f"{at_site(shown.site, outcome.arrived_at)} by {', '.join(outcome.arrived_by)}")
    if outcome.failed:
        said.append(f"{counted(outcome.failed, 'attempt')} failed: {outcome.error}")
    if outcome.repeated:
        said.append("possibly repeated")
    return coloured(notice.status, f": {'; '.join(said)}" if said else "")


def _document(shown: _Shown) -> dict[str, Any]:
    state = shown.plan.decision.subject_state
    shown_as = document(shown.plan)
    shown_as["deviations"] = [deviation_document(each, shown.record.origin) for each in deviations(state)]
    shown_as["message"] = shown.plan.decision.message
    shown_as["response"] = _response(response_course(state))
    shown_as["why"] = {planned.code: why(state, planned) for planned in state.visits}
    shown_as["log"] = [_line(line) for line in shown.record.log]
    shown_as["signatures"] = [signature_document(each) for each in shown.signatures]
    shown_as["decisions"] = [
        {"at": instant(line.event.time), "id": line.event.id, "what": text}
        for line, text in _decisions(shown)
    ]
    shown_as["sent"] = [_sent(shown, notice) for notice in shown.record.notices]
    return shown_as


def signature_document(signature: Signature) -> dict[str, Any]:
    """A signature as JSON types; `broken` says why it does not hold, and is null when it does."""
    return {
        "event": {"source": signature.source, "id": signature.id},
        "account": signature.account,
        "name": signature.name,
        "meaning": signature.meaning,
        "at": instant(signature.at),
        "broken": signature.broken,
    }


def _response(responses: ResponseCourse) -> dict[str, Any]:
    """The confirmed responses over time, and the visits at which a sustained one is asked for."""
    return {
        "first_infusion": responses.first_infusion.isoformat() if responses.first_infusion else None,
        "spells": [
            {
                "grade": each.grade,
                "since": each.since.isoformat(),
                "visit": each.visit,
                "days": each.days,
                "until": each.until.isoformat() if each.until else None,
                "ended": each.ended or None,
            }
            for each in responses.spells
        ],
        "sustained": [
            {"visit": each.visit, "held": each.held, "why": each.why} for each in responses.sustained
        ],
    }


def _line(line: LogLine) -> dict[str, Any]:
    said = {"seq": line.seq, "recorded_at": instant(line.recorded_at), "event": line.event.to_json()}
    return said | {"actor": line.origin.actor, "door": line.origin.door}


def _sent(shown: _Shown, notice: NoticeRow) -> dict[str, Any]:
    return {
        "key": notice.key,
        "kind": notice.kind,
        "visit": notice.visit,
        "step": notice.step,
        "audience": notice.audience,
        "due": instant(notice.due),
        "status": notice.status,
        "reason": notice.reason,
        "title": notice.title,
        "body": notice.body,
        "attempts": [_attempt(each) for each in shown.record.tries(notice)],
    }


def _attempt(attempt: AttemptRow) -> dict[str, Any]:
    return {
        "recipient": attempt.recipient,
        "number": attempt.number,
        "repeated": attempt.repeated,
        "began_at": instant(attempt.began_at),
        "ended_at": instant(attempt.ended_at) if attempt.ended_at else None,
        "outcome": attempt.outcome,
        "error": attempt.error,
    }
