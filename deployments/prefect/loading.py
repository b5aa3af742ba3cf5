"""Loads big packages in less time: Prefect's make millions of objects that stay, and none that is garbage."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def loading() -> Iterator[None]:
    """Look for no garbage while packages are loaded, and never again among what they have made.

    That saves a sixth of the time in which Prefect is loaded.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
