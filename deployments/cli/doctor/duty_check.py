"""The checks of duty by `itp doctor`: people without a recipient, gaps ahead, deputies who are away too."""

from __future__ import annotations

from collections.abc import Iterator

import sqlalchemy as sa

from deployments.cli.doctor.finding import Finding, Surroundings
from itp_events.duty.ahead import GAP_DAYS, absent_deputies, days_from, gaps_ahead
from itp_events.errors import BadInput
from itp_events.protocol.file import load_protocol
from tasks.database import duty
from tasks.database.schema import accounts
from tasks.delivery.channels import AUDIENCES, Channels
from tasks.text.duty import reasons


def duty_findings(connection: sa.Connection, around: Surroundings) -> Iterator[Finding]:
    """The findings of the coming weeks; none where nothing was ever stated about duty."""
    if not sa.inspect(connection).has_table("duty_changes"):
        return
    try:
        protocol = load_protocol(around.settings.protocols)
        channels = Channels.from_config(around.settings.apprise_config)
    except BadInput:
        return  # said where they are looked at
    for each in channels.unused(connection.scalars(sa.select(accounts.c.code))):
        said = f"{each.label} has no tag of an audience ({', '.join(AUDIENCES)}), and none of an account"
        yield Finding("duty", "warn", f"{said}: nothing goes there", "mend its tag in ITP_APPRISE_CONFIG")
    roster = duty.roster_in(connection)
    untagged: dict[str, None] = {}
    for audience, site in duty.places_in(connection, roster, protocol):
        days = days_from(protocol.site(site).date_of(around.now), GAP_DAYS)
        for gap in gaps_ahead(roster, audience, site, days):
            said = f"nobody is {audience} at site {site} from {gap.first} to {gap.last}: "
            mend = "itp duty set, itp duty except, or a deputy: itp duty absent"
            yield Finding("duty", "warn", said + reasons(gap.missing, "en"), mend)
        on_duty = {person for day in days for person in roster.on_duty(audience, site, day).people}
        untagged |= dict.fromkeys(sorted(each for each in on_duty if not channels.reaches(each)))
    for person in untagged:
        mend = "add a URL with this tag to ITP_APPRISE_CONFIG"
        yield Finding("duty", "warn", f"no recipient is tagged {person}, who will be on duty", mend)
    for absence, day in absent_deputies(roster, days_from(around.now.date(), GAP_DAYS)):
        said = f"{absence.deputy}, the deputy of {absence.person}, is away too on {day}"
        yield Finding("duty", "warn", said, "name another deputy: itp duty absent")
