"""Loads big packages in less time: they make millions of objects that stay, and hardly any garbage."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def loading() -> Iterator[None]:
    """Look for no garbage while packages are loaded, and never again among what they have made.

    That saves a sixth to a third of the time in which a command, the API or Prefect is loaded.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
