"""The places for subjects that are advanced without their flow run, and the rule that those go first."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from tasks.limits import DIRECT_WAKES


class DirectWay:
    """Advances some subjects at a time; flow runs wait until no subject does.

    When many subjects are due at the same minute, their reminders leave first. Their flow runs only show in
    Prefect what was done, and would take most of the processors meanwhile.
    """

    def __init__(self) -> None:
        self._places = asyncio.Semaphore(DIRECT_WAKES)
        self._inside = 0
        self._clear = asyncio.Event()
        self._clear.set()

    @property
    def is_clear(self) -> bool:
        """Whether no subject has a place, or waits for one."""
        return self._clear.is_set()

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Wait for a place, and keep it."""
        self._inside += 1
        self._clear.clear()
        try:
            async with self._places:
                yield
        finally:
            self._inside -= 1
            if not self._inside:
                self._clear.set()

    def wait_clear_in_a_thread(self, loop: asyncio.AbstractEventLoop) -> None:
        """Wait as `wait_clear` does, in a thread beside the loop that advances the subjects."""
        # It is asked for each subject of a repair, and another thread's turn costs more than the look.
        if not self.is_clear:
            asyncio.run_coroutine_threadsafe(self.wait_clear(), loop).result()

    async def wait_clear(self, within: float | None = None) -> None:
        """Wait until no subject has a place, or waits for one; for so many seconds at most."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._clear.wait(), within)
