"""Gaps in a rota: `ops` is told when a notice found nobody on duty, once for each audience, site and day.

The notice itself goes to the audience of the next rung: `tasks.delivery.addressing`.
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from itp_events.duty.answering import LAST, Gap, following
from tasks.database.contents import GapContents
from tasks.database.queries import NoticeRow
from tasks.database.schema import notices
from tasks.database.upsert import insert_once
from tasks.delivery.addressing import Addressing
from tasks.text.duty import write_missing

STEP = "duty-gap"


def tell(
    connection: sa.Connection,
    notice: NoticeRow,
    site_code: str,
    gaps: Sequence[Gap],
    addressing: Addressing,
) -> None:
    """Put a notice for `ops` into the outbox, for each audience that was passed over for `notice`."""
    if notice.step == STEP or notice.audience == LAST or "person" in notice.facts:
        return
    site_code = notice.facts.get("site", site_code)
    day = addressing.protocol.site(site_code).date_of(addressing.now)
    for gap in gaps:
        said: GapContents = {
            "asked": gap.audience,
            "missing": write_missing(gap.missing),
            "told": following(addressing.protocol.ladder, gap.audience),
        }
        row = {
            "key": f"{STEP}/{site_code}/{gap.audience}/{day}",
            "kind": "alert",
            "step": STEP,
            "audience": LAST,
            "due": addressing.now,
            "facts": {"site": site_code, "on": day.isoformat(), **said},
            "queued_at": addressing.now,
            "status": "queued",
        }
        insert_once(connection, notices, row)
