"""The service's stop, on which everything that pauses waits at the same time."""

from __future__ import annotations

import asyncio


class Stop(asyncio.Event):
    """Set once, when the service is to begin nothing more."""

    async def pause(self, seconds: float) -> None:
        """Wait so many seconds, or until the stop."""
        try:
            await asyncio.wait_for(self.wait(), max(seconds, 0.001))
        except TimeoutError:
            return
