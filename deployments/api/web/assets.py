"""The files that pages load: style, script, the worker for the time without network."""

from __future__ import annotations

from fastapi.responses import Response

from deployments.api.web.rendering import asset, page_router

router = page_router()

_HEADERS = {"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}


@router.get("/web/style.css")
def style() -> Response:
    """The look of the pages."""
    return Response(asset("style.css"), media_type="text/css", headers=_HEADERS)


@router.get("/web/app.js")
def script() -> Response:
    """The script of the pages, which work without it."""
    return Response(asset("app.js"), media_type="text/javascript", headers=_HEADERS)


@router.get("/worker.js")
def worker() -> Response:
    """The worker that keeps pages for the time without network; from the root it sees all of them."""
    return Response(asset("worker.js"), media_type="text/javascript", headers=_HEADERS)
