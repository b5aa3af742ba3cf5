"""The places for subjects that are advanced without their flow run, and the rule that those go first."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tasks.limits import DIRECT_WAKES


class DirectWay:
    """Advances some subjects at a time, and lets the flow runs of subjects wait until no subject does.

    Of many subjects that are due at the same minute each reminder leaves first. Their flow runs, which only
    show in Prefect what was done, would take most of the processors meanwhile.
    """

    def __init__(self) -> None:
        self._places = asyncio.Semaphore(DIRECT_WAKES)
        self._inside = 0
        self._clear = asyncio.Event()
        self._clear.set()

    @property
    def is_clear(self) -> bool:
        """Whether nobody is on it."""
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

    async def wait_clear(self) -> None:
        """Wait until nobody is on it."""
        await self._clear.wait()
