"""One subject's way from enrolment to month 12, or to an early exit: one flow run for all of it.

The run wakes, does what is due, and leaves again in a state that names the wait and its end. It wakes at that
time, or earlier when an event was recorded. It starts from the top each time: the study's database knows
everything. A failure of the software shows as Failed, never as something that happened to the subject; the
service puts the run back.

The subject's run bears the subject's code as its idempotency key, so there is one. Any other run does what is
due and ends.
"""

from __future__ import annotations

import asyncio

from prefect import State, flow, task
from prefect.cache_policies import NO_CACHE
from prefect.states import Cancelled, Completed

from flows.durable_wait import key, show_tags, wait_until
from flows.prefect_api.flow_runs import JOURNEY
from flows.study.runtime import current

SECOND = "Second journey"
OWN_RUN = "{} has a flow run of its own, which goes on"


@flow(name=JOURNEY, persist_result=False, retries=0)
async def subject_journey(subject: str) -> State:
    """Do what is due for the subject now, then wait for what comes next."""
    study = current()
    advanced = await asyncio.to_thread(study.advance, subject, study.clock.now())
    if advanced.due_notices:
        await hand_over(subject)
        advanced = await asyncio.to_thread(study.advance, subject, study.clock.now())
    if key() != subject:
        return second(subject)
    await show_tags(advanced.tags)
    if advanced.wake_at is None:
        return Completed(name=advanced.state, message=advanced.message)
    return await wait_until(study.clock.wall(advanced.wake_at), advanced.state, advanced.message)


def second(subject: str) -> State:
    """The state in which a run beside the subject's own ends; what was due is done."""
    return Cancelled(name=SECOND, message=OWN_RUN.format(subject))


# Each wake hands over anew: a result kept by Prefect would stop the second reminder.
@task(name="hand over notices", cache_policy=NO_CACHE, persist_result=False)
async def hand_over(subject: str) -> None:
    """Hand the subject's due notices to the people they are for."""
    await asyncio.to_thread(current().hand_over, subject)
