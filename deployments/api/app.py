"""Puts together the application: every route and page, and the OpenAPI document that describes them."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from deployments.api.http.dependencies import ApiContext
from deployments.api.http.gate import Gate
from deployments.api.http.handlers import answer_errors
from deployments.api.http.schemas import EVENTS_OPERATION, components
from deployments.api.http.traced import Traced
from deployments.api.pages import participant
from deployments.api.redcap import door as redcap
from deployments.api.redcap.project import Project
from deployments.api.routes import (
    amendments,
    audit,
    calendars,
    dead_letters,
    events,
    health,
    metrics,
    pictures,
    signatures,
    subjects,
    webhook,
)
from deployments.api.web.cards import Cards
from deployments.api.web.rendering import error_page
from deployments.api.web.routes import ROUTERS
from tasks.spans import are_recorded

ABOUT = """The API of the trial's visit service: record events of subjects, and read plans and calendars. Each
event is checked against the study's rules and answered by itself. Recording the same event twice has no
further effect. Instants are in UTC; visit dates are local dates of the subject's site."""


def create_app(api: ApiContext, project: Project | None = None) -> FastAPI:
    """The application that serves an open study; `project` is the REDCap project, None when there is none."""
    app = FastAPI(
        title="ITP visits",
        version="1",
        description=ABOUT,
        redoc_url=None,
        docs_url=None,
        # A redirect would repeat the Host header, which a client may set to any address.
        redirect_slashes=False,
    )
    app.state.api, app.state.redcap, app.state.cards = api, project, Cards()
    # First, as it is asked most.
    app.router.routes.insert(0, events.ROUTE)
    for door in (
        subjects,
        calendars,
        health,
        metrics,
        pictures,
        participant,
        dead_letters,
        amendments,
        audit,
        signatures,
        webhook,
        redcap,
    ):
        app.include_router(door.router)
    for pages in ROUTERS:
        app.include_router(pages)
    answer_errors(app, error_page)
    app.add_middleware(Gate)
    if are_recorded():
        app.add_middleware(Traced)
    _describe(app)
    return app


def _describe(app: FastAPI) -> None:
    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _document(app: FastAPI) -> dict[str, Any]:
    described = get_openapi(title=app.title, version=app.version, description=ABOUT, routes=app.routes)
    described["paths"] = {events.ROUTE.path: {"post": EVENTS_OPERATION}} | described["paths"]
    parts = described.setdefault("components", {})
    schemas = parts.setdefault("schemas", {}) | components()
    parts["schemas"] = {name: schema for name, schema in schemas.items() if "ValidationError" not in name}
    parts["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer"},
        "basic": {
            "type": "http",
            "scheme": "basic",
            "description": "the token as the password, with any user name, as calendar programs send it",
        },
    }
    for path, operations in described["paths"].items():
        if path not in health.OPEN:
            for operation in operations.values():
                operation["security"] = [{"bearer": []}, {"basic": []}]
    return described
