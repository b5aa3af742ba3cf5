"""GET /pictures: a subject's timeline and everybody's lanes, drawn when somebody looks at them.

Pages in Prefect's UI show them by their address, whose signature is what permits it: no token is asked. They
show subject codes and nothing else of a subject.
"""

from __future__ import annotations

import threading

from fastapi import APIRouter, Response

from deployments.api.http.dependencies import ApiContext, Dependencies
from deployments.api.routes.subjects import enrolled
from tasks.board.reading import all_cards
from tasks.board.story import story
from tasks.database.unreadable import naming

MEDIA_TYPE = "image/png"
# Each look shows what holds then, and no other site learns anything from it.
_HEADERS = {"Cache-Control": "no-cache, private", "X-Content-Type-Options": "nosniff"}
# One at a time: a drawing takes the interpreter for tenths of a second, and events come first.
_drawing = threading.Lock()

router = APIRouter(include_in_schema=False)


@router.get("/pictures/{signed}", response_class=Response)
def picture(signed: str, api: Dependencies) -> Response:
    """The drawing that an address names, as of now.

    Raises:
        Forbidden: the address was not signed here, or was changed.
        Problem: 404 when the subject is not enrolled.
    """
    code = api.links.read_picture(signed)
    with _drawing:
        drawn = _lanes(api) if code is None else _timeline(api, code)
    return Response(drawn, media_type=MEDIA_TYPE, headers=_HEADERS)


def _timeline(api: ApiContext, code: str) -> bytes:
    from tasks.board.drawings import timeline
    from tasks.board.paper import image

    enrolled(api, code)
    with naming(code):
        told = story(api.study.store, api.study.protocol, code, api.study.clock.now())
    return image(timeline(told))


def _lanes(api: ApiContext) -> bytes:
    from tasks.board.lanes import swimmer
    from tasks.board.paper import image

    cards = all_cards(api.study.store)
    today = api.study.protocol.site("default").date_of(api.study.clock.now())
    return image(swimmer([cards[code] for code in sorted(cards)], today))
