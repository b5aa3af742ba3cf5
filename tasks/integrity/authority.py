"""The request to a time-stamping authority: within seconds, without redirects, and no long answer is read."""

from __future__ import annotations

import asyncio
from http import HTTPStatus

import httpx

from itp_events.errors import ItpError
from tasks.tls import trusted

# For the whole answer, however slowly it comes.
SECONDS = 15.0
# A stamp with a chain of certificates has a few thousand.
MOST_BYTES = 64 * 1024
_ASKED, _ANSWERED = "application/timestamp-query", "application/timestamp-reply"


class Silent(ItpError):
    """The authority gave no answer that can be used."""


def ask(url: str, query: bytes) -> bytes:
    """The authority's answer to a query, both in DER; raises Silent."""
    try:
        return asyncio.run(asyncio.wait_for(_ask(url, query), SECONDS))
    except TimeoutError as error:
        raise Silent(f"the authority does not answer within {SECONDS:g} s") from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise Silent(f"the authority does not answer: {type(error).__name__}") from error


async def _ask(url: str, query: bytes) -> bytes:
    headers = {"Content-Type": _ASKED, "Accept": _ANSWERED, "Accept-Encoding": "identity"}
    async with (
        httpx.AsyncClient(timeout=SECONDS, verify=trusted(), follow_redirects=False) as client,
        client.stream("POST", url, content=query, headers=headers) as answer,
    ):
        if answer.status_code != HTTPStatus.OK:
            raise Silent(f"the authority answers {answer.status_code}")
        body = bytearray()
        async for part in answer.aiter_raw():
            body += part
            if len(body) > MOST_BYTES:
                raise Silent(f"the authority's answer is longer than {MOST_BYTES} bytes")
        return bytes(body)
