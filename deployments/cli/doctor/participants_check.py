"""The check by `itp doctor` that subjects who agreed to reminders have a recipient of their own."""

from __future__ import annotations

from collections.abc import Iterator

import sqlalchemy as sa

from deployments.cli.doctor.finding import Finding, Surroundings
from itp_events.errors import BadInput, ItpError
from itp_events.events import ContactAgreed
from itp_events.protocol.file import load_protocol
from itp_events.rules.contact import agreement
from itp_events.rules.subject import fold
from tasks.database.event_log import history
from tasks.database.schema import events, subjects
from tasks.delivery.channels import Channels, participant_tag


def participant_findings(connection: sa.Connection, around: Surroundings) -> Iterator[Finding]:
    """One finding for each subject who agreed to reminders and whom no URL reaches."""
    try:
        protocol = load_protocol(around.settings.protocols)
        channels = Channels.from_config(around.settings.apprise_config)
    except BadInput:
        return  # said where they are looked at
    if not channels.configured or protocol.participant is None:
        return
    asked = sa.select(events.c.subject).where(events.c.type == ContactAgreed.type).distinct()
    codes = sa.select(subjects.c.code).where(subjects.c.code.in_(asked), sa.not_(subjects.c.exited))
    for code in connection.scalars(codes.order_by(subjects.c.code)):
        try:
            agreed = agreement(fold(protocol, history(connection, code)))
        except ItpError:
            continue  # what the log of a subject lacks is said elsewhere
        if agreed and not channels.of_participant(code):
            tag = participant_tag(code)
            said = f"{code} agreed to reminders, and no recipient is tagged {tag}"
            yield Finding("participants", "warn", said, f"add a URL with the tag {tag} to ITP_APPRISE_CONFIG")
