"""A receiver of notices in a process of its own: `python -m bench.receiving`.

So it takes no turn of the clients. It prints its port, then each request as a line of JSON.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from typing import Any, Self

from tests.support.receiver import Receiver, Request

_PRINTING = threading.Lock()


class _Printing(Receiver):
    """Prints what arrives."""

    def _take(self, request: Request) -> int | None:
        said = json.dumps({"path": request.path, "body": request.body})
        with _PRINTING:
            _say(said)
        return 200


@dataclass(frozen=True)
class Told:
    """A notice as it arrived."""

    path: str
    body: Any


@dataclass
class ReceiverApart:
    """The receiver as its user sees it: `requests` are what arrived so far. A context manager."""

    requests: list[Told] = field(default_factory=list)

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "bench.receiving"]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
        )
        assert self._process.stdout is not None
        self._port = int(self._process.stdout.readline())
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._thread.join()
        self._process.stdout.close()

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    def apprise_url(self, path: str = "") -> str:
        """The Apprise URL that posts to this receiver; `path` tells audiences apart."""
        return f"json://127.0.0.1:{self._port}/{path}"

    def _read(self) -> None:
        assert self._process.stdout is not None
        self.requests.extend(Told(**json.loads(line)) for line in self._process.stdout)


def main() -> None:
    """Receive until the standard input is closed."""
    with _Printing() as receiver:
        _say(f"{receiver.port}")
        sys.stdin.read()


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - its user reads this


if __name__ == "__main__":
    main()
