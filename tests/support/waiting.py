"""Waiting for something to become true, instead of sleeping and hoping."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

# Longer than a busy machine needs for anything. A wait ends when its condition holds, so a long one costs
# nothing; a short one fails by the speed of the machine.
PATIENCE = 240.0


def wait_until(
    predicate: Callable[[], T], description: str, *, timeout: float = PATIENCE, every: float = 0.02
) -> T:
    """Ask predicate every so many seconds, and return its first true answer.

    Raises AssertionError naming the description when timeout seconds have passed. An error of the
    predicate itself is raised at once: it is never taken for "not yet".
    """
    ends = time.monotonic() + timeout
    while not (answer := predicate()):
        if time.monotonic() > ends:
            raise AssertionError(f"waited {timeout:g} s in vain for: {description} (last answer: {answer!r})")
        time.sleep(every)
    return answer
