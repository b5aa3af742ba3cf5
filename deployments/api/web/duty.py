"""The page of duty: rotas, absences, deputies and gaps; an administrator states changes of them.

The changes are those of `itp duty`, and are judged where those are: `tasks.database.duty`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from http import HTTPStatus
from typing import Annotated, Any, get_args

from fastapi import Path, Query, Request
from fastapi.responses import HTMLResponse, Response

from deployments.api.http.dependencies import ApiContext, Dependencies
from deployments.api.http.form_body import read_form
from deployments.api.web.administering import as_administrator
from deployments.api.web.in_words import InWords
from deployments.api.web.rendering import own_words, page_router, show, to
from deployments.api.web.viewer import Administering, Anybody, Viewer, check_form
from itp_events.duty.ahead import GAP_DAYS, absent_deputies, days_from, gaps_ahead
from itp_events.duty.changes import DutyVoided, read_change, write_change
from itp_events.duty.roster import OnDuty, Roster
from itp_events.errors import BadInput
from itp_events.protocol.model import Audience
from tasks.accounts.changing import every_account
from tasks.database import duty
from tasks.text.duty import reasons

# Two weeks fit a phone.
_DAYS = 14
_AUDIENCES = get_args(Audience)
_FORMS = ("absent", "rota", "exception", "rota-ended")
_NEEDED = {
    "absent": ("person", "first"),
    "rota": ("audience", "days", "people", "first"),
    "exception": ("audience", "first", "last"),
    "rota-ended": ("audience", "first"),
    "back": ("person", "on"),
    "void": ("change", "reason"),
}
_DATES = ("first", "last", "on")
_What = Annotated[str, Path(pattern=f"^({'|'.join(_NEEDED)})$")]

router = page_router()


@dataclass(frozen=True, slots=True)
class _Refusal:
    """A change that was not recorded: the form it came from, what was entered, and why.

    `fields` names what is wrong with each field, as a key of the pages' words.
    """

    what: str
    entered: Mapping[str, str]
    fields: Mapping[str, str] = field(default_factory=dict)
    said: str = ""


@router.get("/duty")
def ask(
    request: Request, api: Dependencies, viewer: Anybody, said: Annotated[str, Query(max_length=20)] = ""
) -> HTMLResponse:
    """Show who is on duty, the gaps, and who is away; to administrators also the forms that change it."""
    return _page(request, api, viewer, said=said)


@router.post("/duty/{what}")
async def change(request: Request, api: Dependencies, viewer: Administering, what: _What) -> Response:
    """Record a change of duty; pressed twice it counts once."""
    given = await read_form(request)
    check_form(request, api, viewer, given)
    return await api.in_door(_change, request, api, viewer, what, given)


def _change(request: Request, api: ApiContext, viewer: Viewer, what: str, given: dict[str, str]) -> Response:
    said = _stated(what, given)
    wrong = {name: "wrong.missing" for name in _NEEDED[what] if not said.get(name)}
    wrong |= {name: "wrong.date" for name in _DATES if name in said and not _is_date(said[name])}
    if wrong:
        return _refused(request, api, viewer, _Refusal(what, given, wrong))
    words = own_words(api, viewer)
    if what == "back" and not _is_away(api, said):
        sentence = words.say("duty.not-away", person=said["person"])
        return _refused(request, api, viewer, _Refusal(what, given, said=sentence))
    try:
        now = api.study.clock.now()
        new = read_change(said)
        _, is_new = as_administrator(
            api,
            viewer,
            lambda connection, by: duty.state_once(connection, new, now, actor=by.actor, door=by.door),
        )
    except BadInput as error:
        return _refused(request, api, viewer, _Refusal(what, given, said=error.problem))
    return to(f"/duty?said={'recorded' if is_new else 'again'}")


def _is_away(api: ApiContext, said: Mapping[str, str]) -> bool:
    roster = duty.current_roster(api.study.store)
    return any(roster.absences_of(said["person"].lower(), date.fromisoformat(said["on"])))


def _stated(what: str, given: Mapping[str, str]) -> dict[str, Any]:
    """The change that a form states, as JSON types; days and people are its ticked boxes."""
    said: dict[str, Any] = {"what": what}
    said |= {name: value.strip() for name, value in given.items() if "." not in name and value.strip()}
    if what == "rota":
        said["days"] = [number for number in range(1, 8) if f"day.{number}" in given]
    if what in ("rota", "exception"):
        said["people"] = [name.partition(".")[2] for name in given if name.startswith("person.")]
    return said


def _is_date(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _refused(request: Request, api: ApiContext, viewer: Viewer, refusal: _Refusal) -> HTMLResponse:
    return _page(request, api, viewer, refusal=refusal)


def _page(
    request: Request, api: ApiContext, viewer: Viewer, *, said: str = "", refusal: _Refusal | None = None
) -> HTMLResponse:
    words, store = own_words(api, viewer), api.study.store
    with store.reading() as connection:
        stated = duty.changes_in(connection)
        roster = duty.roster_in(connection)
        places = duty.places_in(connection, roster, api.study.protocol)
        people = [each.code for each in every_account(connection) if each.active]
    sight = _Sight(api, viewer, words, roster, [each for each in places if viewer.sees(each[1])])
    status = HTTPStatus.UNPROCESSABLE_ENTITY if refusal else HTTPStatus.OK
    return show(
        request,
        api,
        "duty",
        words.say("duty.title"),
        status=status,
        viewer=viewer,
        said=words.say(f"duty.{said}") if said in ("recorded", "again") else "",
        refusal=refusal,
        refused=words.refusal(refusal.said) if refusal else "",
        entered=refusal.entered if refusal else {"first": str(sight.today), "on": str(sight.today)},
        warnings=list(sight.warnings()),
        plans=list(sight.plans()),
        absences=list(sight.absences()),
        log=list(_log(words, stated)) if viewer.may("admin") else [],
        forms=_FORMS,
        people=people,
        audiences=[(each, words.audience(each)) for each in _AUDIENCES],
        sites=sorted({site for _, site in places} | set(api.study.protocol.sites) - {"default"}),
    )


@dataclass(frozen=True, slots=True)
class _Sight:
    """The duty as one person sees it, in words; `places` are the audiences at the sites that they see."""

    api: ApiContext
    viewer: Viewer
    words: InWords
    roster: Roster
    places: Sequence[tuple[str, str]]

    @property
    def today(self) -> date:
        """Today at the default site."""
        return self._today("default")

    def _today(self, site: str) -> date:
        return self.api.study.protocol.site(site).date_of(self.api.study.clock.now())

    def warnings(self) -> Iterator[str]:
        """Gaps, deputies who are away too, and people on duty whom nothing can reach."""
        say, reachable = self.words.say, self.api.study.channels.reaches
        untagged: dict[str, None] = {}
        for audience, site in self.places:
            days = days_from(self._today(site), GAP_DAYS)
            for gap in gaps_ahead(self.roster, audience, site, days):
                dates = {"first": self.words.day(gap.first), "last": self.words.day(gap.last)}
                why = reasons(gap.missing, say.language)
                yield say("duty.gap", audience=self.words.audience(audience), site=site, **dates, why=why)
            on_duty = {who for day in days for who in self.roster.on_duty(audience, site, day).people}
            untagged |= dict.fromkeys(sorted(who for who in on_duty if not reachable(who)))
        for absence, day in absent_deputies(self.roster, days_from(self.today, GAP_DAYS)):
            names = {"person": absence.person, "deputy": absence.deputy}
            yield say("duty.deputy-away", **names, day=self.words.day(day))
        for person in untagged:
            yield say("duty.no-address", person=person)

    def plans(self) -> Iterator[tuple[str, list[tuple[str, str]]]]:
        """For each rota its name, and the people of each of the next days."""
        for audience, site in self.places:
            days = days_from(self._today(site), _DAYS)
            on_duty = [(day, self.roster.on_duty(audience, site, day)) for day in days]
            rows = [
                (self.words.day(day), self._people(each)) for day, each in on_duty if each.planned is not None
            ]
            if rows:
                name = self.words.say("duty.plan", audience=self.words.audience(audience), site=site)
                yield name, rows

    def _people(self, on_duty: OnDuty) -> str:
        """The people of a day, with those for whom they stand in; empty: nobody."""
        shown = (
            who if who == planned else self.words.say("duty.for", person=who, planned=planned)
            for who, planned in on_duty.covers
        )
        return ", ".join(dict.fromkeys(shown))

    def absences(self) -> Iterator[tuple[str, str]]:
        """The absences of today and later: the person, and the sentence."""
        say = self.words.say
        for each in self.roster.absences:
            if each.last is not None and each.last < self.today:
                continue
            last = self.words.day(each.last) if each.last else say("duty.open-end")
            deputy = each.deputy or say("duty.no-deputy")
            first = self.words.day(each.first)
            yield (
                each.person,
                say("duty.absence", person=each.person, first=first, last=last, deputy=deputy),
            )


def _log(words: InWords, stated: Sequence[duty.Stated]) -> Iterator[dict[str, Any]]:
    """Every change in words, the newest first; `open` where it can still be taken back."""
    void = {each.change.change for each in stated if isinstance(each.change, DutyVoided)}
    for each in reversed(stated):
        by = each.actor or words.door(each.door)
        yield {
            "id": each.id,
            "said": _said(words, write_change(each.change)),
            "line": words.say("duty.log-line", at=words.short_instant(each.at), by=by),
            "void": each.id in void,
            "open": each.id not in void and not isinstance(each.change, DutyVoided),
        }


def _said(words: InWords, change: dict[str, Any]) -> str:
    parts = [words.say(f"duty.what.{change.pop('what')}")]
    for name, value in change.items():
        if name == "audience":
            parts.append(words.audience(value))
        elif name == "days":
            parts.append(", ".join(words.say(f"duty.day.{day}") for day in value))
        elif name == "people":
            parts.append(", ".join(value) or words.say("duty.nobody"))
        elif name == "change":
            parts.append(words.say("duty.change-number", number=value))
        elif name in _DATES:
            parts.append(words.day(value))
        elif name in ("site", "deputy"):
            parts.append(f"{words.say(f'duty.{name}')}: {value}")
        else:
            parts.append(str(value))
    return "; ".join(parts)
