"""The service of the demonstration: `itp up` as a process of its own, by a fast clock."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from deployments.bootstrap.clock import MARK
from deployments.bootstrap.settings import Settings, load_settings
from deployments.sqlite_address import sqlite_address
from itp_events.errors import BadInput, ItpError

STOP_SECONDS = 30.0


@dataclass
class DemoService:
    """`itp up` in `data_dir`; its clock starts at `begins` and runs `speed` times as fast as the world's."""

    data_dir: Path
    begins: datetime
    speed: float
    _process: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        _make_empty(self.data_dir)
        self._environment = {
            "ITP_DATA_DIR": str(self.data_dir.absolute()),
            "ITP_DATABASE_URL": sqlite_address(self.data_dir / "study.db"),
            "ITP_PREFECT_PORT": str(port_near(4200)),
            "ITP_API_PORT": str(port_near(8300)),
            "ITP_CLOCK_SPEED": f"{self.speed:g}",
            "ITP_CLOCK_START": self.begins.isoformat(),
        }

    @property
    def settings(self) -> Settings:
        """The settings that the service runs with: none of the user's own study."""
        return load_settings(self._environment, Path(os.devnull))

    @property
    def log(self) -> Path:
        """The file with the service's output, notices included."""
        return self.data_dir / "service.log"

    def start(self) -> None:
        """Start it with the demonstration's own settings alone, no `.env`."""
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("ITP_", "PREFECT_"))
        }
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "deployments.demo.serve"],
                env=kept | self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                # Ctrl-C reaches the demonstration, which then stops its service in order.
                start_new_session=True,
            )

    @property
    def is_ready(self) -> bool:
        """Whether it has printed that Prefect answers.

        Raises:
            ItpError: it has ended instead.
        """
        if self._process is not None and self._process.poll() is not None:
            raise ItpError(f"the service ended at once; {self.log} says why")
        said = self.log.read_text(encoding="utf-8", errors="replace")
        return "Ready." in said or "Prefect answers" in said

    def stop(self) -> None:
        """Ask it to stop, and wait until it has ended; kill it when that takes too long."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _make_empty(data_dir: Path) -> None:
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        held = any(data_dir.iterdir())
    except OSError as error:
        raise BadInput(f"cannot use {data_dir}: {error.strerror}", "--data-dir") from error
    if held:
        what = "a demonstration" if (data_dir / MARK).exists() else "something else"
        raise BadInput(f"{data_dir} holds {what} already; name an empty or a new directory")


def port_near(wanted: int) -> int:
    """The port `wanted` of this machine if it is free, else any that is."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            found: int = probe.getsockname()[1]
            return found
    raise ItpError("no port is free on 127.0.0.1")
