"""Prefect's server as a child of the service: `python -m deployments.prefect.server_child PORT`.

It lives no longer than its parent, which holds the other end of the standard input: when that is closed, by a
SIGKILL too, the server stops.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from datetime import timedelta
from functools import partial
from typing import Any

from deployments.http.connection import KEPT_SECONDS, WithWebsockets, backlog
from deployments.loading import loading
from deployments.prefect.server_app import server_app

AUTH = "PREFECT_SERVER_API_AUTH_STRING"
GRACE_SECONDS = 5.0
# How often Prefect looks for background tasks that have come due. Its own four times a second take more of a
# processor at rest than all these tasks, of which none is due more often than every five seconds.
LOOK = timedelta(seconds=1)


def main() -> None:
    """Serve Prefect's API and UI on the loopback address until the parent ends."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with loading():
        import uvicorn
        from prefect.server.api import background_workers

        look_less_often(background_workers)
        app = server_app(asks_who=bool(os.environ.get(AUTH)))
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=int(sys.argv[1]),
        log_level="warning",
        http=WithWebsockets,
        backlog=backlog(),
        timeout_keep_alive=KEPT_SECONDS,
    )


def look_less_often(background_workers: Any) -> None:
    """Let Prefect's worker of background tasks look for them once a second; Prefect has no setting for it.

    `background_workers` is Prefect's module of that name.
    """
    often = {"minimum_check_interval": LOOK, "scheduling_resolution": LOOK}
    background_workers.Worker = partial(background_workers.Worker, **often)


def _end_with_parent() -> None:
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait(GRACE_SECONDS)
    os._exit(1)


if __name__ == "__main__":
    main()
