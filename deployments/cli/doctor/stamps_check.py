"""The check of the time-stamps of seals by `itp doctor`: does the authority give some, and how old are they?

It asks the authority for one stamp of random bytes, and keeps none.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import sqlalchemy as sa

from deployments.cli.doctor.finding import Finding, Surroundings
from deployments.stamping import stamping_authority
from itp_events.errors import BadInput
from itp_events.rules.explain import counted
from tasks.database.schema import seal_stamps
from tasks.integrity.stamps import ROOTS_SETTING, SETTING, NoStamp, newest_stamp, try_out

_NAME = "time-stamps"
# The service asks within five minutes of a seal, and again every five.
_SOON = timedelta(minutes=30)


def stamp_findings(connection: sa.Connection, around: Surroundings) -> Iterator[Finding]:
    """The findings about a study's stamps and their authority; none where the settings name no authority."""
    try:
        authority = stamping_authority(around.settings)
    except BadInput as error:
        yield Finding(_NAME, "fail", str(error), f"set {ROOTS_SETTING} to its certificates in PEM")
        return
    if authority is None:
        return
    try:
        try_out(authority)
    except NoStamp as problem:
        yield Finding(_NAME, "warn", f"{authority.url}: {problem}", f"see {SETTING} and {ROOTS_SETTING}")
    else:
        yield Finding(_NAME, "ok", f"{authority.url} gives stamps for which {ROOTS_SETTING} vouches")
    if sa.inspect(connection).has_table(seal_stamps.name):
        yield from _age(connection, around)


def _age(connection: sa.Connection, around: Surroundings) -> Iterator[Finding]:
    standing = newest_stamp(connection)
    if standing is None:
        yield Finding(_NAME, "ok", "no seal yet: a running service makes one each hour while there is news")
        return
    seal, stamp = standing
    said = f"the newest seal, {seal.number} of {seal.at:%Y-%m-%d %H:%M} UTC,"
    if stamp is not None and stamp.seal == seal.number:
        yield Finding(_NAME, "ok", f"{said} was stamped {_ago(around.now - stamp.at)} ago")
        return
    last = "no seal has a stamp" if stamp is None else f"the last was given {_ago(around.now - stamp.at)} ago"
    waits = around.now - seal.at < _SOON
    mend = "" if waits else "does itp up run, and reach the authority? see its log"
    yield Finding(_NAME, "ok" if waits else "warn", f"{said} has no stamp yet; {last}", mend)


def _ago(age: timedelta) -> str:
    minutes = max(age, timedelta(0)) // timedelta(minutes=1)
    for unit, length in (("day", 24 * 60), ("hour", 60)):
        if minutes >= 2 * length:
            return counted(minutes // length, unit)
    return counted(minutes, "minute")
