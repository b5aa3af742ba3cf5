"""The languages that a browser asks for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from fastapi import Request

Language = Literal["en", "zh-CN"]
_OURS: dict[str, Language] = {"en": "en", "zh": "zh-CN"}


def asked_for(request: Request) -> Iterator[Language]:
    """Those of our languages that the browser of a request names, in the browser's order."""
    for each in request.headers.get("accept-language", "").split(","):
        ours = _OURS.get(each.partition(";")[0].partition("-")[0].strip().lower())
        if ours is not None:
            yield ours
