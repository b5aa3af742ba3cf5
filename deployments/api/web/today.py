"""The page of the day, the list of subjects, and the deviations that wait."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query, Request
from fastapi.responses import HTMLResponse, Response

from deployments.api.http.dependencies import ApiContext, Dependencies
from deployments.api.web.cards import Cards
from deployments.api.web.rendering import page_router, show, to, words_for
from deployments.api.web.viewer import Anybody, Looking, Viewer
from deployments.api.web.waiting import Day, sections
from tasks.board.cards import Card

# A list longer than this ends with a link to all of it.
ROWS_SHOWN = 25
# Who looks for one subject among more types a part of its code.
SUBJECTS_SHOWN = 200

router = page_router()


@router.get("/")
def first(viewer: Anybody) -> Response:
    """Lead to the page of the day; administrators see no subjects, and get to the duty."""
    return to("/today" if viewer.may("reader") else "/duty")


@router.get("/today")
def today(
    request: Request, api: Dependencies, viewer: Looking, every: Annotated[str, Query(max_length=20)] = ""
) -> HTMLResponse:
    """Show what waits, by role and site; `every` names a section to show without a limit."""
    day = day_of(api, viewer)
    found = sections(day, visible_cards(request, api, viewer), viewer.role)
    words, site = day.words, api.study.protocol.site("default")
    return show(
        request,
        api,
        "today",
        words.say("today.title"),
        viewer=viewer,
        sections=found,
        limits={
            section.name: len(section.matters) if section.name == every else ROWS_SHOWN for section in found
        },
        day=words.day(site.date_of(day.now)),
    )


@router.get("/find")
def find(
    request: Request, api: Dependencies, viewer: Looking, code: Annotated[str, Query(max_length=64)] = ""
) -> HTMLResponse:
    """Show the subjects whose code holds some letters; one alone is opened."""
    day = day_of(api, viewer)
    wanted = code.strip().lower()
    found = [card for card in visible_cards(request, api, viewer) if wanted in card["code"].lower()]
    rows = [(card["code"], day.words.phase(card["state"]), card["site"]) for card in found[:SUBJECTS_SHOWN]]
    facts: dict[str, Any] = {"code": code, "rows": rows, "count": len(found)}
    return show(request, api, "find", day.words.say("find.title"), viewer=viewer, **facts)


@router.get("/deviations")
def deviations(request: Request, api: Dependencies, viewer: Looking) -> HTMLResponse:
    """Show the important deviations that nobody has assessed."""
    day = day_of(api, viewer)
    found = sections(day, visible_cards(request, api, viewer), viewer.role)
    waiting = next((section.items() for section in found if section.name == "deviations"), [])
    return show(request, api, "deviations", day.words.say("deviations.title"), viewer=viewer, waiting=waiting)


def day_of(api: ApiContext, viewer: Viewer) -> Day:
    """The present day, in the viewer's language."""
    site = api.study.protocol.site("default")
    return Day(api.study.clock.now(), api.study.protocol, words_for(viewer.language, site))


def visible_cards(request: Request, api: ApiContext, viewer: Viewer) -> list[Card]:
    """The cards of the subjects that the viewer sees, as fresh as the log."""
    kept: Cards = request.app.state.cards
    fresh = kept.fresh(api.study.store, api.study.protocol, api.study.clock.now())
    return [card for card in fresh if viewer.sees(card["site"])]
