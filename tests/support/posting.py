"""Events as senders post them to Prefect's own events API."""

import uuid
from datetime import datetime
from typing import Any


def posted(event: dict[str, Any]) -> dict[str, Any]:
    """What a sender posts to Prefect of a CloudEvent."""
    return of_kind(event["type"], event, event["time"], subject=event["subject"])


def of_kind(
    kind: str, payload: dict[str, Any], occurred: datetime | str, *, subject: str = "ITP-001", known: str = ""
) -> dict[str, Any]:
    """An event of any kind with any payload; with `known` under the id of another one."""
    return {
        "id": known or f"{uuid.uuid4()}",
        "occurred": f"{occurred}",
        "event": kind,
        "resource": {"prefect.resource.id": f"itp.subject.{subject}"},
        "payload": payload,
    }
