"""The daily digest of one site, at 08:30 site time on working days, as a flow run.

`tasks.digest` says which digests are due and what they contain.
"""

from __future__ import annotations

import asyncio

from prefect import State, flow
from prefect.states import Completed

from flows.study.runtime import Runtime, current
from tasks import digest
from tasks.integrity.telling import told_to_monitors

DAILY_DIGEST = "daily-digest"


@flow(name=DAILY_DIGEST, persist_result=False, retries=0)
async def daily_digest(site: str) -> State:
    """Send a site's digest of today, once, and only if there is something to say."""
    sent = await asyncio.to_thread(send_digest, current(), site)
    if sent:
        return Completed(name="Sent", message=f"to {', '.join(map(digest.audience_of, sent))}")
    return Completed(name="Nothing to send", message="sent before, or nothing to say")


def send_digest(study: Runtime, site: str) -> list[str]:
    """Put a site's digest of today into the outbox and hand it over; return the keys of the notices
    posted.
    """
    monitors = told_to_monitors(study.store, site, study.channels.reaches)
    posted = digest.post(study.store, study.protocol, site, study.clock.now(), monitors)
    if posted:
        study.hand_over(None)
    return posted
