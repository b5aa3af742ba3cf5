"""Asking Prefect as its own clients do: again, while its SQLite is busy."""

from http import HTTPStatus
from typing import Any

import httpx

from tests.support.waiting import wait_until


class _Again(httpx.HTTPTransport):
    """Sends a request again while the answer is 503, with which Prefect has done nothing."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        def answered() -> httpx.Response | None:
            answer = super(_Again, self).handle_request(request)
            if answer.status_code != HTTPStatus.SERVICE_UNAVAILABLE:
                return answer
            answer.close()
            return None

        answer = wait_until(answered, f"Prefect to have time for {request.url.path}", every=0.5)
        assert answer is not None
        return answer


def prefect_at(api: str, **how: Any) -> httpx.Client:
    """A client of Prefect's API, which has patience with a busy server."""
    return httpx.Client(base_url=api, transport=_Again(), timeout=30, **how)
