import asyncio

import pytest

from deployments.service import heartbeat
from deployments.service.heartbeat import Heartbeat


def test_a_step_that_does_not_come_to_its_end_stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "_WITHIN_SECONDS", 0.0)
    life = Heartbeat("waking", "sending")

    async def works() -> None:
        pass

    async def fails() -> None:
        raise TimeoutError

    async def scenario() -> None:
        with pytest.raises(TimeoutError):
            await life.of("sending", fails)()
        before = dict(life._done)
        await life.of("waking", works)()
        assert life._done["waking"] > before["waking"]
        assert life._done["sending"] == before["sending"]

    asyncio.run(scenario())
    assert life.standing_still() == ["waking", "sending"]
    monkeypatch.setattr(heartbeat, "_WITHIN_SECONDS", 60.0)
    assert life.standing_still() == []
