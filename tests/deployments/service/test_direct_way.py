"""Of many subjects that are due at once each is advanced before the flow runs that only show it."""

import asyncio
from typing import cast
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prefect import flow

from deployments.service import runner as engine
from deployments.service.direct_way import DirectWay
from deployments.service.runner import Runner
from flows.prefect_api.flow_runs import FlowRun, FlowRuns
from tasks.limits import FLOW_RUNS
from tests.support.waiting import wait_until
from tests.tasks.conftest import NOW

pytestmark = pytest.mark.requirement("RUN-01")


@flow
async def shown() -> None:
    """Stands for a subject's flow run."""


class Willing:
    """A Prefect that lets every run be claimed, and notes which were."""

    def __init__(self, begun: list[UUID]) -> None:
        self._begun = begun

    def propose(self, run: UUID, _: object) -> bool:
        """Let the run be claimed."""
        self._begun.append(run)
        return True


def due(number: int) -> FlowRun:
    """A flow run that is due."""
    return FlowRun(UUID(int=number), "ITP-001", uuid4(), None, "SCHEDULED", "Scheduled", NOW, NOW, (), {})


@given(st.lists(st.booleans(), min_size=1, max_size=30))
def test_no_flow_run_begins_while_a_subject_that_came_before_it_waits(
    runs: list[bool],
) -> None:
    """However flow runs (True) and subjects on the direct way (False) come one after the other."""
    order: list[UUID] = []

    async def advance(way: DirectWay, number: int) -> None:
        async with way.place():
            await asyncio.sleep(0)
            order.append(UUID(int=number))

    async def come() -> None:
        way, runner = DirectWay(), Runner(cast("FlowRuns", Willing(order)))
        coming = [
            runner.run(shown, due(number), NOW, way) if is_run else advance(way, number)
            for number, is_run in enumerate(runs)
        ]
        await asyncio.gather(*coming)
        assert way.is_clear

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "_execute", executed)
        asyncio.run(come())
    assert len(order) == len(runs)
    for number in (number for number, is_run in enumerate(runs) if is_run):
        behind = {UUID(int=each) for each in range(number) if not runs[each]}
        assert behind <= set(order[: order.index(UUID(int=number))])


async def executed(*_: object) -> None:
    """Stands for the engine."""


def test_a_flow_run_that_waited_for_a_place_lets_go_first_who_came_meanwhile() -> None:
    order: list[UUID] = []
    let_go = asyncio.Event()

    async def long(*_: object) -> None:
        await let_go.wait()

    async def come() -> None:
        way, runner = DirectWay(), Runner(cast("FlowRuns", Willing(order)))
        first, later = range(FLOW_RUNS), range(FLOW_RUNS, FLOW_RUNS + 3)
        coming = [asyncio.create_task(runner.run(shown, due(each), NOW, way)) for each in (*first, *later)]
        await asyncio.to_thread(wait_until, lambda: len(order) == FLOW_RUNS, "every place to be taken")
        async with way.place():
            let_go.set()
            await asyncio.gather(*coming[:FLOW_RUNS])
            form = due(99)
            await runner.run(shown, form, NOW)
            assert order[FLOW_RUNS:] == [form.id], "a form waits for nobody"
        await asyncio.gather(*coming)
        assert set(order[FLOW_RUNS + 1 :]) == {UUID(int=each) for each in later}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "_execute", long)
        asyncio.run(come())


def test_a_thread_waits_for_the_subjects_that_are_due_and_not_where_there_is_none() -> None:
    order: list[str] = []

    async def come() -> None:
        way, loop = DirectWay(), asyncio.get_running_loop()

        def repair() -> None:
            way.wait_clear_in_a_thread(loop)
            order.append("repaired")

        await asyncio.to_thread(repair)
        async with way.place():
            repairing = asyncio.create_task(asyncio.to_thread(repair))
            await asyncio.wait({repairing}, timeout=0.2)
            order.append("advanced")
        await repairing

    asyncio.run(come())
    assert order == ["repaired", "advanced", "repaired"]
