"""What repeats until the service stops leaves time for other work between two steps."""

import asyncio
from itertools import pairwise

import pytest

from deployments.service.stop import Stop

pytestmark = pytest.mark.requirement("RUN-08")

STEP, PAUSE = 0.02, 3.0


def test_each_step_is_followed_by_a_pause_in_proportion_to_its_length() -> None:
    begun: list[float] = []
    ended: list[float] = []

    async def step() -> bool:
        begun.append(asyncio.get_running_loop().time())
        await Stop().pause(STEP)
        ended.append(asyncio.get_running_loop().time())
        return len(begun) < 4

    asyncio.run(Stop().repeat(step, PAUSE))
    assert len(begun) == 4
    rested = [after - before for before, after in zip(ended, begun[1:], strict=False)]
    worked = [before - after for after, before in zip(begun, ended, strict=True)]
    assert all(rest >= PAUSE * work * 0.9 for rest, work in zip(rested, worked, strict=False))
    assert all(one < other for one, other in pairwise(begun))


def test_nothing_is_repeated_after_the_stop_and_no_pause_outlasts_it() -> None:
    stop, steps = Stop(), []

    async def step() -> bool:
        steps.append(1)
        await Stop().pause(STEP)
        stop.set()
        return True

    # The pause would last for twenty seconds.
    asyncio.run(asyncio.wait_for(stop.repeat(step, 1000.0), 10))
    assert steps == [1]
