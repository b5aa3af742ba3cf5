import asyncio
import time
from dataclasses import dataclass

import pytest

from deployments.service.heartbeat import STANDING_STILL_SECONDS, Heartbeat

pytestmark = pytest.mark.requirement("RUN-04")


@dataclass
class Machine:
    """A machine's running seconds."""

    seconds: float = 100.0


def test_a_step_that_does_not_come_to_its_end_stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine()
    monkeypatch.setattr(time, "monotonic", lambda: machine.seconds)
    life = Heartbeat("waking", "sending")

    async def works() -> None:
        pass

    async def fails() -> None:
        raise TimeoutError

    async def scenario() -> None:
        machine.seconds += STANDING_STILL_SECONDS
        assert life.standing_still() == []
        with pytest.raises(TimeoutError):
            await life.of("sending", fails)()
        await life.of("waking", works)()
        machine.seconds += 1
        assert life.standing_still() == ["sending"]
        machine.seconds += STANDING_STILL_SECONDS
        assert life.standing_still() == ["waking", "sending"]
        await life.of("sending", works)()
        assert life.standing_still() == ["waking"]

    asyncio.run(scenario())
