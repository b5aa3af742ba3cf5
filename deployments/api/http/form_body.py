"""Reads the body of a form, as a browser sends it."""

from __future__ import annotations

from urllib.parse import parse_qsl

from fastapi import Request

from deployments.api.http.body import read_body
from itp_events.errors import BadInput

FORM_BYTES = 16 * 1024
FORM_FIELDS = 50


async def read_form(request: Request) -> dict[str, str]:
    """The fields of a form, as a browser sends them; empty ones left out.

    Raises:
        Problem: 413 when it is too long.
        BadInput: it is no form.
    """
    body = await read_body(request, FORM_BYTES)
    try:
        pairs = parse_qsl(body.decode("ascii"), errors="strict", max_num_fields=FORM_FIELDS)
    except ValueError as error:
        raise BadInput("this is not what a form sends") from error
    return dict(pairs)
