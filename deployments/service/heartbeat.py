"""Decides whether the service gives a sign of life: only while it really wakes and sends."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

Step = Callable[[], Awaitable[None]]

# Longer than both steps take while the database gives up on a statement, shorter than the next beat.
STANDING_STILL_SECONDS = 10.0


class Heartbeat:
    """Keeps the time at which each vital step last came to its end."""

    def __init__(self, *steps: str) -> None:
        # Each step counts as done at the start, until it had time to be done once.
        self._done = dict.fromkeys(steps, time.monotonic())

    def of(self, name: str, step: Step) -> Step:
        """The step `name`, which notes its time whenever it ends without an error."""

        async def noted() -> None:
            await step()
            self._done[name] = time.monotonic()

        return noted

    def standing_still(self) -> list[str]:
        """The names of the steps that have not ended for 10 s."""
        oldest = time.monotonic() - STANDING_STILL_SECONDS
        return [name for name, done in self._done.items() if done < oldest]
