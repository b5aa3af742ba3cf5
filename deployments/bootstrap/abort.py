"""Ends the process of a service that cannot wait any longer for a send."""

from __future__ import annotations

import logging
import os
import sys
from typing import NoReturn


def leave() -> NoReturn:
    """End the process at once with code 1; the next start takes up the sends that were on their way."""
    said = "Something was still on its way; the next start takes it up."
    print(said, file=sys.stderr, flush=True)  # noqa: T201 - read by the person at the terminal
    logging.shutdown()
    os._exit(1)
