"""The round's sign of life: given only while waking and sending are really done."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

Step = Callable[[], Awaitable[None]]

# Longer than both steps take while the database gives up on a statement, shorter than the next beat.
STANDING_STILL_SECONDS = 10.0


class Heartbeat:
    """Knows when each of the steps that must not stand still last came to its end."""

    def __init__(self, *steps: str) -> None:
        # A round that has just begun is given the time to come round once.
        self._done = dict.fromkeys(steps, time.monotonic())

    def of(self, name: str, step: Step) -> Step:
        """The same step, which is noted each time it comes to its end without an error."""

        async def noted() -> None:
            await step()
            self._done[name] = time.monotonic()

        return noted

    def standing_still(self) -> list[str]:
        """The steps that have not come to their end for 10 s."""
        oldest = time.monotonic() - STANDING_STILL_SECONDS
        return [name for name, done in self._done.items() if done < oldest]
