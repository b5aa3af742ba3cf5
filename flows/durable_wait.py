"""The wait that outlives every process: Prefect keeps the time, and nothing of the run stays in memory.

For how long a run waits is decided by its flow.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import NoReturn

from prefect import State
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import FlowRun, StateDetails, StateType
from prefect.context import FlowRunContext
from prefect.exceptions import Pause
from prefect.logging import get_run_logger
from prefect.utilities.engine import propose_state


async def wait_until(instant: datetime, name: str, message: str) -> NoReturn:
    """Leave the flow run until `instant` (UTC, the world's time), and show it as `name` meanwhile.

    The run then starts from the top.

    Raises:
        Pause: always. It takes the run out of its process, with the state that Prefect keeps.
    """
    client, run = _flow_run()
    details = StateDetails.model_validate({"scheduled_time": instant})
    wait = State[None](type=StateType.SCHEDULED, name=name, message=message, state_details=details)
    held = await propose_state(client, wait, flow_run_id=run.id)
    if held.type != StateType.SCHEDULED:
        get_run_logger().warning("Prefect keeps this run %s; the service puts it back soon.", held.name)
    raise Pause(state=held)


def asked_for_at() -> datetime | None:
    """The instant (UTC, the world's time) at which this flow run was asked for: the same at every
    execution.
    """
    _, run = _flow_run()
    return run.created


def key() -> str | None:
    """The flow run's idempotency key, or None. In each flow Prefect keeps one run for a key."""
    _, run = _flow_run()
    return run.idempotency_key


async def show_tags(tags: Iterable[str]) -> None:
    """Show the tags on the flow run, if they changed."""
    client, run = _flow_run()
    wanted = sorted(tags)
    if sorted(run.tags) != wanted:
        await client.update_flow_run(run.id, tags=wanted)


def _flow_run() -> tuple[PrefectClient, FlowRun]:
    context = FlowRunContext.get()
    assert context is not None, "only a flow run can wait"
    assert context.flow_run is not None
    assert isinstance(context.client, PrefectClient)
    return context.client, context.flow_run
