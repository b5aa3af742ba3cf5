"""Prefect's API and UI by the service's rules: as its own child, and as one of several servers."""

from __future__ import annotations

from typing import cast

from deployments.http.origin import App, Guard
from deployments.prefect.as_stated import AsStated
from deployments.prefect.stored_first import store_first

# The discard port of this machine, where nothing listens.
NOWHERE = "http://127.0.0.1:9/"


def server_app(*, asks_who: bool, webserver_only: bool = False) -> App:
    """Prefect's application, which loads Prefect; without its background services if `webserver_only`.

    With `asks_who` Prefect itself asks for a password.
    """
    from prefect.server.api import collections, events
    from prefect.server.api.server import create_app
    from prefect.server.events.services import event_persister

    # Prefect uses its own copies of its lists of blocks and workers instead of asking the internet for them.
    collections.KNOWN_VIEWS.update(dict.fromkeys(collections.KNOWN_VIEWS, NOWHERE))
    store_first(events, event_persister)
    # Not `final`: with this FastAPI that frees nothing, and looks for garbage for a third of a second.
    app = cast("App", create_app(webserver_only=webserver_only))
    return Guard(AsStated(app), asks_who=asks_who)
