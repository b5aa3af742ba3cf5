"""A real Prefect server as a subprocess, which speaks to nobody but this machine."""

import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from tests.support.ports import free_port
from tests.support.waiting import PATIENCE, wait_until


def quiet_prefect(home: Path) -> dict[str, str]:
    """The environment in which Prefect keeps to this home, and sends nothing about itself anywhere."""
    return {
        "PREFECT_HOME": str(home),
        "PREFECT_PROFILES_PATH": str(home / "profiles.toml"),
        # The server's heartbeat, then the SDK's milestones: both go out by default.
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_CLOUD_ENABLE_ORCHESTRATION_TELEMETRY": "false",
        "PREFECT_TELEMETRY_ENABLE_RESOURCE_METRICS": "false",
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
        # A client that was given no server fails, instead of starting one of its own.
        "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false",
    }


# `python -m prefect`, loaded in two thirds of the time.
_PREFECT = """
import gc, runpy
gc.disable()
import prefect.server.api.server
gc.freeze()
gc.enable()
runpy.run_module("prefect", run_name="__main__", alter_sys=True)
"""


@dataclass
class PrefectServer:
    """One Prefect server on 127.0.0.1, with its SQLite database below home."""

    home: Path
    port: int = field(default_factory=free_port)
    _process: subprocess.Popen[bytes] | None = None

    @property
    def api_url(self) -> str:
        """What PREFECT_API_URL has to be for a client of this server."""
        return f"http://127.0.0.1:{self.port}/api"

    @property
    def environment(self) -> dict[str, str]:
        """The environment, whole, of a process that is to use this server."""
        ours = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
        return {**ours, **quiet_prefect(self.home), "PREFECT_API_URL": self.api_url}

    def start(self) -> None:
        """Start it, and return when it answers."""
        self.home.mkdir(parents=True, exist_ok=True)
        with (self.home / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command(), env=self._server_environment(), stdout=log, stderr=log, cwd=self.home
            )
        wait_until(self._healthy, "the Prefect server to answer", every=0.1)

    def stop(self) -> None:
        """Stop it as an operator would, and return when it has gone. Nothing to do when it is not running."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it as a power cut would."""
        self._end(signal.SIGKILL)

    def forget(self) -> None:
        """Stop it and remove its whole database."""
        self.stop()
        shutil.rmtree(self.home)

    def _command(self) -> list[str]:
        address = ["--host", "127.0.0.1", "--port", str(self.port), "--no-ui"]
        return [sys.executable, "-c", _PREFECT, "server", "start", *address]

    def _server_environment(self) -> dict[str, str]:
        return {**self.environment, "PREFECT_UI_ENABLED": "false"}

    def _healthy(self) -> bool:
        assert self._process is not None
        log = self.home / "server.log"
        assert self._process.poll() is None, f"the Prefect server ended at once: {log.read_text()[-2000:]}"
        try:
            return httpx.get(f"{self.api_url}/health", timeout=2, trust_env=False, verify=False).is_success
        except httpx.TransportError:
            return False

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            try:
                self._process.wait(timeout=PATIENCE)
            finally:
                # One that does not stop fails its test, and does not outlive it.
                self._process.kill()
                self._process.wait()
                self._process = None
