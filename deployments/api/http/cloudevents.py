"""The content modes in which a CloudEvent comes over HTTP: structured, batched, or binary.

In structured mode, and in a batch, the body is the event or events, which its media type says. In binary mode
the body is the event's data alone, and its attributes stand in headers `ce-...`.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from urllib.parse import unquote

from fastapi import Request

from deployments.api.http.problems import Problem

_PREFIX = "ce-"
# The attribute that every CloudEvent has, and that says of headers that they are one's.
_MARK = "ce-specversion"
_STRUCTURED = "application/cloudevents"


def binary_attributes(request: Request) -> Mapping[str, str] | None:
    """The attributes that the headers of a request in binary mode carry; None for every other request."""
    media = request.headers.get("content-type", "")
    if _MARK not in request.headers or media.strip().lower().startswith(_STRUCTURED):
        return None
    carried = {
        name.removeprefix(_PREFIX): unquote(value)
        for name, value in request.headers.items()
        if name.startswith(_PREFIX)
    }
    return {"datacontenttype": media, **carried} if media else carried


def refuse_binary(request: Request) -> None:
    """Require another mode than the binary one: a signature covers the body, and no header.

    Raises:
        Problem: 415 for a request in binary mode.
    """
    if binary_attributes(request) is not None:
        said = (
            f"a signed event is sent whole in the body, as {_STRUCTURED}+json: headers ce-... are not signed"
        )
        raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "media-type", said)
