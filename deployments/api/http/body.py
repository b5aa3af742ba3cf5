"""Reads the body of a request, bounded in size. Its JSON is read by deployments/strict_json.py."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from email.message import Message
from http import HTTPStatus

from fastapi import Request

from deployments.api.http.problems import Problem

MAX_BYTES = 2 * 1024 * 1024
# What the body of events is declared as.
MEDIA_TYPES = ("application/json", "application/cloudevents+json", "application/cloudevents-batch+json")
_CHARSETS = ("utf-8", "utf8", "us-ascii")


@dataclass
class Room:
    """The memory for large bodies that are being received, of all clients together."""

    free: int
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, count: int) -> bool:
        """Take `count` bytes; False when fewer are free."""
        with self._lock:
            taken = count <= self.free
            self.free -= count if taken else 0
            return taken

    def give_back(self, count: int) -> None:
        """Free `count` bytes."""
        with self._lock:
            self.free += count


# Smaller bodies are not counted: an event has some hundred bytes. Clients without a token could fill the
# memory with large bodies that they never finish.
SMALL_BYTES = 64 * 1024
ROOM = Room(64 * 1024 * 1024)


async def read_body(request: Request, limit: int = MAX_BYTES) -> bytes:
    """The whole body.

    Raises:
        Problem: 413 when it is longer than `limit` bytes, 503 while too many large ones are on their way.
    """
    found, taken = bytearray(), 0
    try:
        async for chunk in request.stream():
            found += chunk
            if len(found) > limit:
                said = f"the body is longer than {limit} bytes"
                raise Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too-large", said)
            if len(found) > SMALL_BYTES:
                _take(len(found) - taken)
                taken = len(found)
        return bytes(found)
    finally:
        ROOM.give_back(taken)


def _take(count: int) -> None:
    if not ROOM.take(count):
        said = f"too many bodies of more than {SMALL_BYTES} bytes at once; send smaller ones, or come again"
        raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, "busy", said, {"Retry-After": "10"})


async def read_json_text(request: Request) -> bytes:
    """The whole body of a request that says it carries JSON, not parsed yet.

    Raises:
        Problem: 413 when it is too long, 415 when it is of another kind.
    """
    given = Message()
    given["content-type"] = request.headers.get("content-type", MEDIA_TYPES[0])
    kind, charset = given.get_content_type(), str(given.get_param("charset", _CHARSETS[0]))
    if kind not in MEDIA_TYPES or charset.lower() not in _CHARSETS:
        declared = given["content-type"][:100]
        said = f"events are sent as {MEDIA_TYPES[1]} or {MEDIA_TYPES[0]}, in UTF-8, not as {declared!r}"
        raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "media-type", said)
    return await read_body(request)
