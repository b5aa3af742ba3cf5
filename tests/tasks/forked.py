"""Processes of their own for tests that kill them, without loading the project anew for each."""

import multiprocessing
import os
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

# Begun at the first use, it ends with the process of the tests. Unlike that one it has a single thread and
# nothing open, and may be forked at any moment.
_LOADED = multiprocessing.get_context("forkserver")
_LOADED.set_forkserver_preload(["tests.tasks.loaded"])


def forked(work: Callable[..., object], *arguments: object) -> BaseProcess:
    """Start a process that does a piece of work; it ends with the process of the tests at the latest."""
    done = (dict(os.environ), work, arguments)
    process = _LOADED.Process(target=_in_environment, args=done, daemon=True)
    process.start()
    return process


def forked_and_heard(work: Callable[..., object], *arguments: object) -> tuple[BaseProcess, Connection]:
    """Start a process whose work is given a pipe before its arguments; where that is heard."""
    heard, said = _LOADED.Pipe(duplex=False)
    # Closed here, it is held by that process alone: its end is heard as the end of the pipe.
    with said:
        return forked(work, said, *arguments), heard


def _in_environment(
    environment: Mapping[str, str], work: Callable[..., object], arguments: tuple[object, ...]
) -> None:
    # Else it would have the environment of the test that was the first to start one.
    os.environ.clear()
    os.environ.update(environment)
    work(*arguments)
