"""Channels that stay dead: each outage is noticed once, and told to `ops` through another channel.

A single failed send is tried again by `tasks.delivery.deliveries`.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy as sa

from tasks.database.contents import OutageContents
from tasks.database.schema import notices, outages
from tasks.delivery import deliveries
from tasks.delivery.channels import CONSOLE, Channels, Recipient
from tasks.delivery.sending import Outcome

STEP = "channel-dead"
# A channel counts as dead when no message has got through for so long, in so many attempts.
DEAD_AFTER = timedelta(minutes=5)
DEAD_ATTEMPTS = 3


def note(
    connection: sa.Connection, recipient: Recipient, outcome: Outcome, now: datetime, wall: datetime
) -> bool:
    """Count an outcome for or against a channel; True when it has just been found dead.

    When a message gets through again, everything that waits for the channel is tried at once.
    """
    if outcome.kind == "sent":
        if connection.execute(outages.delete().where(outages.c.recipient == recipient.id)).rowcount:
            deliveries.hurry(connection, recipient.id, wall)
        return False
    query = sa.select(outages).where(outages.c.recipient == recipient.id).with_for_update()
    row = connection.execute(query).one_or_none()
    if row is None:
        first = {
            "recipient": recipient.id,
            "label": recipient.label,
            "since": wall,
            "failures": 1,
            "alerted": False,
        }
        connection.execute(outages.insert(), first)
        return False
    failures = row.failures + 1
    dead = not row.alerted and failures >= DEAD_ATTEMPTS and wall - row.since >= DEAD_AFTER
    if dead:
        _alert(connection, recipient, row.since, failures, outcome, now)
    connection.execute(
        outages.update()
        .where(outages.c.recipient == recipient.id)
        .values(failures=failures, alerted=row.alerted or dead)
    )
    return dead


def _alert(
    connection: sa.Connection,
    recipient: Recipient,
    since: datetime,
    failures: int,
    outcome: Outcome,
    now: datetime,
) -> None:
    said: OutageContents = {
        "channel": recipient.label,
        "channel_id": recipient.id,
        "since": since.isoformat(),
        "failures": failures,
        "error": outcome.error,
    }
    row = {
        "key": f"{STEP}/{recipient.id}/{since.isoformat()}",
        "kind": "alert",
        "step": STEP,
        "audience": "ops",
        "due": now,
        "facts": said,
        "queued_at": now,
        "status": "queued",
    }
    connection.execute(notices.insert(), row)


def told(channels: Channels, said: OutageContents) -> list[Recipient]:
    """The recipients of an alert about a dead channel: those of `ops` on other channels, else the console."""
    return [each for each in channels.of("ops") if each.id != said.get("channel_id")] or [CONSOLE]
