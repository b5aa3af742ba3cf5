"""Keeps the API's doors in processes of their own, so that they share no interpreter with the service's loop.

All of them take connections from one listening socket. One that ends is started again; the clients of the
others notice nothing, and a connection that nobody has taken yet waits.
"""

from __future__ import annotations

import json
import logging
import os
import pickle
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import BinaryIO

from deployments.api.http.listening import listen
from deployments.bootstrap.settings import Settings
from deployments.service.lateness import WAKE_LATENESS
from itp_events.errors import ItpError
from tasks.database.instance import PART, Instance

# A worker that ends at once is not started over and over without a pause.
RESTART_SECONDS = 1.0
# Longer than a worker lets its requests and hand-overs take at its end.
STOP_SECONDS = 18.0

# Metrics are read every some seconds.
TELL_SECONDS = 5.0
# Clients that wait while all workers are busy or one is started again.
BACKLOG = 128
# The exit code of a worker that says why it cannot serve.
REFUSED = 3

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Task:
    """The orders of a worker: the settings, and the name by which others see it."""

    settings: Settings
    instance: str


class WorkerRefused(ItpError):
    """The API cannot be served as the settings say."""


@dataclass
class _Worker:
    name: str
    process: subprocess.Popen[bytes]
    # The end of a pipe from which its reason not to serve is read.
    reason: BinaryIO
    started: float
    is_first: bool


class ApiWorkers:
    """The API of one study in processes of their own: started, watched, stopped."""

    def __init__(self, settings: Settings, instance: Instance) -> None:
        """Listen on the API's port; connections wait there from now on. `instance` is the service's.

        Raises:
            ItpError: the port is taken.
        """
        self._settings, self._instance = settings, instance
        self._listener = listen(settings.api_host, settings.api_port)
        self._listener.listen(BACKLOG)
        self._workers: dict[int, _Worker] = {}
        self._count = 0
        self._told = float("-inf")

    def start(self) -> None:
        """Start the workers; they need some seconds before they answer."""
        for place in range(self._settings.api_workers):
            self._start(place)

    def look(self) -> None:
        """Start again what has ended.

        Raises:
            WorkerRefused: a worker that was started first of all says why it cannot serve.
        """
        self._tell()
        for place, worker in list(self._workers.items()):
            code = worker.process.poll()
            if code is None:
                continue
            # What it held is free at once, for whoever sends next.
            self._instance.note_ended(worker.name)
            if code == REFUSED and worker.is_first:
                raise WorkerRefused(worker.reason.read().decode(errors="replace"))
            if time.monotonic() - worker.started > RESTART_SECONDS:
                log.warning("A process of the API ended (exit code %s); starting it again.", code)
                _close(worker)
                self._start(place)

    def _tell(self) -> None:
        """Tell the workers what only the service's loop counts, for their metrics."""
        if time.monotonic() - self._told < TELL_SECONDS:
            return
        self._told = time.monotonic()
        line = json.dumps(WAKE_LATENESS.told()).encode() + b"\n"
        for worker in self._workers.values():
            # A worker that does not read, or has ended, is told nothing; nobody waits for it.
            with suppress(BlockingIOError, BrokenPipeError):
                os.write(worker.process.stdin.fileno(), line)  # type: ignore[union-attr]

    def stop(self) -> bool:
        """Let the workers answer the requests that have begun, and end; False when a hand-over did not."""
        for worker in self._workers.values():
            worker.process.send_signal(signal.SIGTERM)
        ends = time.monotonic() + STOP_SECONDS
        drained = [_ended(worker.process, ends - time.monotonic()) for worker in self._workers.values()]
        for worker in self._workers.values():
            _close(worker)
        self._listener.close()
        return all(drained)

    def _start(self, place: int) -> None:
        self._count += 1
        name = f"{self._instance.id}{PART}{self._count}"
        reading, writing = os.pipe()
        inherited = [self._listener.fileno(), writing]
        process = subprocess.Popen(
            [sys.executable, "-m", "deployments.api.worker", *map(str, inherited)],
            stdin=subprocess.PIPE,
            pass_fds=inherited,
            # Ctrl-C in a terminal reaches the service alone, which stops its workers in order.
            start_new_session=True,
        )
        os.close(writing)
        assert process.stdin is not None
        pickle.dump(Task(self._settings, name), process.stdin)
        process.stdin.flush()
        os.set_blocking(process.stdin.fileno(), False)
        self._workers[place] = _Worker(
            name,
            process,
            os.fdopen(reading, "rb"),
            time.monotonic(),
            self._count <= self._settings.api_workers,
        )


# A worker that is ended by the signal itself was still being loaded: nothing had begun there.
_ENDS_IN_ORDER = (0, -signal.SIGTERM)


def _close(worker: _Worker) -> None:
    worker.reason.close()
    if worker.process.stdin is not None:
        worker.process.stdin.close()


def _ended(process: subprocess.Popen[bytes], seconds: float) -> bool:
    try:
        return process.wait(max(seconds, 0.0)) in _ENDS_IN_ORDER
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return False
