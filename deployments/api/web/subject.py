"""The page of one subject: plan and why, what was sent, what was stated, deviations, response."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, NamedTuple

import segno
from fastapi import Query, Request
from fastapi.responses import HTMLResponse

from deployments.api.http.dependencies import ApiContext, Code, Dependencies
from deployments.api.web.forms import FORM_OF, FORMS, SOURCE, Form
from deployments.api.web.in_words import InWords
from deployments.api.web.rendering import page_router, show, words_for
from deployments.api.web.today import day_of
from deployments.api.web.viewer import Looking, Viewer
from deployments.api.web.waiting import of_subject
from itp_events.errors import Refused
from itp_events.events import DECISIONS, INVESTIGATORS, Booked, Data, Event, EventKey, NoticeIssued, Voided
from itp_events.marks import marked
from itp_events.notices.contents import of_visit
from itp_events.rules.assumptions import target_assumed, window_assumed
from itp_events.rules.deviations import Deviation, deviations
from itp_events.rules.response import responses
from itp_events.rules.subject import not_voided
from itp_events.rules.windows import PlannedVisit
from tasks.board.cards import card
from tasks.board.story import Story, story
from tasks.database.queries import NoticeRow, recorded, subject
from tasks.signatures.signing import signatures_of
from tasks.text.render import Occasion, render
from tasks.text.wording import why

# Events that a form on the subject's page states; the others have pages of their own.
_NOT_LISTED = ("enrol", "decide", "assess")
_SAID_OF = {"recorded": "said.recorded", "again": "said.again", "stands": "said.stands"}

router = page_router()


class Signed(NamedTuple):
    """A signature in words, its account, and why it does not hold; empty where it does."""

    said: str
    account: str
    broken: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of what was stated: the sentence, who stated it when and through which door, who signed it.

    `correct` and `sign` are the pages that do so, where the viewer may.
    """

    sentence: str
    by: str
    at: str
    door: str
    stands: bool
    correct: str | None
    signed: tuple[Signed, ...]
    sign: str | None


def seen_story(api: ApiContext, viewer: Viewer, code: str) -> Story:
    """A subject as it stands now, for somebody who sees its site.

    Raises:
        Refused: nobody of that code is enrolled at a site that the viewer sees (rule `enrolment`).
    """
    row = subject(api.study.store, code)
    if row is None or not viewer.sees(row.site):
        said = words_for(viewer.language, api.study.protocol.site("default")).say("subject.unknown")
        raise Refused("enrolment", said)
    return story(api.study.store, api.study.protocol, code, api.study.clock.now())


@router.get("/s/{code}")
def page(
    request: Request,
    api: Dependencies,
    viewer: Looking,
    code: Code,
    said: Annotated[str, Query(max_length=20)] = "",
    id: Annotated[str, Query(max_length=200)] = "",  # noqa: A002 - the name in the address
) -> HTMLResponse:
    """Show a subject; after a form was sent, with the answer above."""
    told = seen_story(api, viewer, code)
    state = told.subject_state
    words = words_for(viewer.language, state.subject.site)
    return show(
        request,
        api,
        "subject",
        words.say("subject.title", code=code),
        viewer=viewer,
        site=state.subject.site,
        code=code,
        answer=_answer(api, words, told, said, id),
        phase=words.phase(told.decision.state),
        state=state,
        waits=of_subject(day_of(api, viewer), card(told), viewer.role),
        forms=[form for form in FORMS.values() if _listed(form, viewer)],
        visits=[_visit(words, told, planned) for planned in state.visits],
        responses=[each for each in responses(state) if each.on],
        deviations=[(each, _assessor(words, told, each)) for each in deviations(state)],
        notices=[_notice(words, viewer, each) for each in reversed(told.notices)],
        stated=list(entries(api, viewer, words, told))[::-1],
        decided=list(_decided(words, told))[::-1],
    )


@router.get("/s/{code}/paper")
def paper(request: Request, api: Dependencies, viewer: Looking, code: Code) -> HTMLResponse:
    """Show the code to scan that opens the subject's page. It holds the address alone, and no name."""
    told = seen_story(api, viewer, code)
    words = words_for(viewer.language, told.subject_state.subject.site)
    address = f"{api.links.base}/s/{told.code}"
    drawn = segno.make(address, error="m", micro=False)
    svg = drawn.svg_inline(scale=6, border=4, dark="#000", light="#fff", omitsize=True)
    facts: dict[str, Any] = {"code": told.code, "address": address, "svg": svg}
    return show(request, api, "paper", words.say("paper.title"), viewer=viewer, **facts)


def _assessor(words: InWords, told: Story, deviation: Deviation) -> str:
    if deviation.assessed is None:
        return ""
    return words.author(deviation.assessed.data.by, told.record.origin(deviation.assessed))


def _listed(form: Form, viewer: Viewer) -> bool:
    return form.name not in _NOT_LISTED and viewer.may(form.role)


class _Answer(NamedTuple):
    """The answer to a form; `outside` warns of a date outside the visit's window."""

    said: str
    sentence: str
    outside: str = ""


def _answer(api: ApiContext, words: InWords, told: Story, said: str, identity: str) -> _Answer | None:
    """The answer to a form that was sent just now; the sentence is of the event that the log holds."""
    if said == "signed":
        found = [line.event for line in told.record.log if str(line.seq) == identity]
        lines = signatures_on(api, words, told).get(found[0].key, ()) if found else ()
        return _Answer(words.say("said.signed"), lines[-1].said) if lines else None
    event = recorded(api.study.store, (SOURCE, identity)) if said in _SAID_OF and identity else None
    if event is None or event.subject != told.code:
        return None
    return _Answer(words.say(_SAID_OF[said]), words.sentence(event), _outside(words, told, event))


def _outside(words: InWords, told: Story, event: Event) -> str:
    """The warning of a date booked outside the visit's window; empty for every other event."""
    visits = {each.code: each for each in told.subject_state.visits}
    data = event.data
    planned = visits.get(data.visit) if isinstance(data, Booked) else None
    if planned is None or planned.outcome or planned.booked is None:
        return ""
    days = abs(planned.outside(planned.booked))
    return words.say.counted("said.outside", days=days) if days else ""


def _visit(words: InWords, told: Story, planned: PlannedVisit) -> dict[str, Any]:
    state = told.subject_state
    status = planned.status(state.today)
    target, window = target_assumed(planned, state.visits), window_assumed(planned, state.visits)
    return {
        "code": planned.code,
        "name": words.visit(planned.visit, planned.code),
        "status": status,
        "target": marked(words.day(planned.target), target),
        "opens": words.day(planned.opens),
        "closes": marked(words.day(planned.closes), window),
        "on": words.day(planned.on) if planned.on else None,
        "booked": words.day(planned.booked) if planned.booked and not planned.outcome else None,
        "outside": planned.deviation_days,
        "why": why(words.say.language, of_visit(state, planned)),
        "may_be_done": planned.outcome is None and planned.firm and not state.exit,
    }


def _notice(words: InWords, viewer: Viewer, row: NoticeRow) -> dict[str, str]:
    about = Occasion(row.step, row.audience, row.subject, row.visit, row.facts)
    title, _ = render(about, viewer.language, words.zone)
    settled = row.settled_at or row.queued_at
    status = words.say(f"notice.{row.status}", at=words.short_instant(settled))
    line = words.say("notice.line", at=words.short_instant(row.due), audience=words.audience(row.audience))
    return {"title": title, "status": status, "line": line}


def signatures_on(api: ApiContext, words: InWords, told: Story) -> dict[EventKey, tuple[Signed, ...]]:
    """The signatures on each event that has some, in words."""
    found: dict[EventKey, tuple[Signed, ...]] = {}
    for each in signatures_of(api.study.store, told.code, told.record.events):
        at = words.short_instant(each.at)
        who = {"name": each.name, "account": each.account, "at": at}
        line = words.say("subject.signature", **who, meaning=each.meaning)
        broken = words.refusal(each.broken) if each.broken else ""
        found[each.key] = *found.get(each.key, ()), Signed(line, each.account, broken)
    return found


def entries(
    api: ApiContext, viewer: Viewer, words: InWords, told: Story, kinds: tuple[type[Data], ...] = (Data,)
) -> Iterator[Entry]:
    """The statements of people about a subject, of these kinds, the oldest first."""
    standing = {event.key for event in not_voided(told.record.events)}
    signed = signatures_on(api, words, told)
    for line in told.record.log:
        event = line.event
        if event.own or not isinstance(event.data, kinds):
            continue
        form = FORM_OF.get(type(event.data))
        stands = event.key in standing
        may = stands and form is not None and viewer.may(form.role)
        there = signed.get(event.key, ())
        may_sign = may and _waits_for_a_signature(viewer, event, there)
        yield Entry(
            _sentence(words, told, event),
            words.author(event.data.by, line.origin),
            words.short_instant(event.time),
            words.door(line.origin.door) if line.origin.door else event.source,
            stands or isinstance(event.data, Voided),
            f"/s/{told.code}/correct/{line.seq}" if may and viewer.may("recorder") else None,
            there,
            f"/s/{told.code}/sign/{line.seq}" if may_sign else None,
        )


def _waits_for_a_signature(viewer: Viewer, event: Event, signed: Iterable[Signed]) -> bool:
    """Whether it is a decision or an assessment without a signature that holds, which the viewer may give."""
    account = viewer.caller.account
    if account is None or not isinstance(event.data, INVESTIGATORS):
        return False
    return all(each.broken and each.account != account.code for each in signed)


def _sentence(words: InWords, told: Story, event: Event) -> str:
    if not isinstance(event.data, Voided):
        return words.sentence(event)
    key = (event.data.event.source, event.data.event.id)
    target = next((each for each in told.record.events if each.key == key), None)
    what = words.sentence(target) if target else f"{key[0]} {key[1]}"
    return f"{words.say(f'type.{event.type}')}: {what} ({event.data.reason})"


def _decided(words: InWords, told: Story) -> Iterator[tuple[str, datetime]]:
    """The decisions of the service about the subject, without those about notices."""
    kinds = tuple(each for each in DECISIONS if "notice" not in each.type and each is not Voided)
    for event in told.record.events:
        if event.own and isinstance(event.data, kinds) and not isinstance(event.data, NoticeIssued):
            yield words.sentence(event), event.time
