"""The service's stop, on which everything that pauses waits at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable


class Stop(asyncio.Event):
    """Set once, when the service is to begin nothing more."""

    async def pause(self, seconds: float) -> None:
        """Wait so many seconds, or until the stop."""
        try:
            await asyncio.wait_for(self.wait(), max(seconds, 0.001))
        except TimeoutError:
            return

    async def repeat(self, step: Callable[[], Awaitable[bool]], pause: float) -> None:
        """Repeat a step while it returns True, until the stop.

        Between two of them is a pause of `pause` times the length of the first, for other work.
        """
        loop = asyncio.get_running_loop()
        while not self.is_set():
            began = loop.time()
            if not await step():
                return
            await self.pause(pause * (loop.time() - began))
