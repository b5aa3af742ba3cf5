"""Waiting within a measurement."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

SETTLE_SECONDS = 3.0


def wait_until(reached: Callable[[], bool], what: str, seconds: float, every: float = 0.2) -> None:
    """Ask every so many seconds until it is so.

    Raises:
        TimeoutError: it was not so after so many seconds.
    """
    deadline = time.monotonic() + seconds
    while not reached():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds:g} s in vain for {what}")
        time.sleep(every)  # noqa: TID251 - nothing tells when the server is done


async def until(reached: Callable[[], bool], what: str, seconds: float, every: float = 0.02) -> None:
    """`wait_until`, while clients and a receiver in this process go on."""
    deadline = time.monotonic() + seconds
    while not reached():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds:g} s in vain for {what}")
        await asyncio.sleep(every)


def settle(seconds: float = SETTLE_SECONDS) -> None:
    """Let what runs in the background (logs, events) end, so that it is counted where it belongs."""
    time.sleep(seconds)  # noqa: TID251 - nothing tells when the server is done
