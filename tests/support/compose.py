"""The services of compose.yaml as processes of this machine: the same commands, environment and secrets.

Names and ports of the network become ports of 127.0.0.1, paths of the containers folders of the test. Images
that are not the project's own are left out but for Caddy: PostgreSQL and Redis are the tests' own.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.support.ports import free_port
from tests.support.waiting import wait_until

CONTAINER = Path(__file__).parents[2] / "deployments/container"
OURS = "itp-visits:"
_VARIABLE = re.compile(r"\$\{(\w+):-([^}]*)\}")
_PORT_SETTINGS = {"api": "ITP_API_PORT", "prefect": "ITP_PREFECT_PORT"}
_USUAL = {"api": 8300, "prefect": 4200}


def read() -> dict[str, Any]:
    """The compose file."""
    read: dict[str, Any] = yaml.safe_load((CONTAINER / "compose.yaml").read_text(encoding="utf-8"))
    return read


@dataclass
class Cluster:
    """The parts that compose.yaml names, started and ended one by one."""

    folder: Path
    secrets: Mapping[str, str]
    network: dict[str, int] = field(default_factory=dict)
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    services: dict[str, dict[str, Any]] = field(default_factory=lambda: read()["services"])

    def __post_init__(self) -> None:
        for name, content in self.secrets.items():
            (self.folder / name).write_text(content)

    @property
    def parts(self) -> list[str]:
        """The services of the project's own image that are started by themselves."""
        return [
            name
            for name, service in self.services.items()
            if service["image"].startswith(OURS) and "profiles" not in service
        ]

    def port(self, name: str, inside: int) -> int:
        """The port of this machine that stands for a port of a service."""
        return self.network.setdefault(f"{name}:{inside}", free_port())

    def address(self, name: str, inside: int) -> str:
        """The address of a service."""
        return f"http://127.0.0.1:{self.port(name, inside)}"

    def log(self, name: str) -> str:
        """What a service has said so far."""
        path = self.folder / f"{name}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def start(self, name: str) -> None:
        """Start a part as compose would."""
        service = self.services[name]
        command = [str(Path(sys.executable).with_name("itp")), *service["command"]]
        self._start(name, command, self._environment(name, service))

    def start_caddy(self) -> None:
        """Start the proxy, with the service at port 80 and Prefect at ports 4200 and 81 of `caddy`."""
        text = (CONTAINER / "Caddyfile").read_text().replace("http://:4200", self.address("caddy", 4200))
        file = self.folder / "Caddyfile"
        file.write_text(self._here(text))
        sites = {"ITP_SITE": self.address("caddy", 80), "ITP_PREFECT_SITE": self.address("caddy", 81)}
        command = [str(Path(sys.executable).with_name("caddy")), "run", "--config", str(file)]
        home = {"XDG_DATA_HOME": str(self.folder), "XDG_CONFIG_HOME": str(self.folder)}
        self._start("caddy", [*command, "--adapter", "caddyfile"], sites | home)

    def kill(self, name: str) -> None:
        """End a part as a power cut would."""
        process = self.running.pop(name)
        process.kill()
        process.wait(timeout=10)

    def stop(self, *names: str, seconds: float = 30.0) -> dict[str, int]:
        """Ask parts to stop, all at once, and wait as long as compose would; their exit codes."""
        stopped = {name: self.running.pop(name) for name in names}
        for process in stopped.values():
            process.send_signal(signal.SIGTERM)
        try:
            return {name: process.wait(timeout=seconds) for name, process in stopped.items()}
        finally:
            for process in stopped.values():
                process.kill()
                process.wait(timeout=10)

    def wait_for(self, name: str, line: str) -> None:
        """Wait until a part has said a line."""

        def said() -> bool:
            assert self.running[name].poll() is None, f"{name} ended: {self.log(name)[-3000:]}"
            return line in self.log(name)

        wait_until(said, f"{name} to say: {line}")

    def close(self) -> None:
        """End what still runs."""
        for process in self.running.values():
            process.kill()
            process.wait(timeout=10)
        self.running.clear()

    def _start(self, name: str, command: list[str], given: Mapping[str, str]) -> None:
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("ITP_", "PREFECT_"))}
        with (self.folder / f"{name}.log").open("ab") as output:
            self.running[name] = subprocess.Popen(
                command,
                env=kept | dict(given),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=Path(__file__).parents[2],
            )

    def _environment(self, name: str, service: dict[str, Any]) -> dict[str, str]:
        # What the image sets, and then compose.
        given = {"ITP_DATA_DIR": "/data", "ITP_LOG_FORMAT": "json"} | service["environment"]
        environment = {key: self._inside(name, str(value)) for key, value in given.items()}
        part = service["command"][0]
        if part in _PORT_SETTINGS:
            environment[_PORT_SETTINGS[part]] = str(self.port(name, _USUAL[part]))
        return environment

    def _inside(self, name: str, value: str) -> str:
        value = _VARIABLE.sub(r"\2", value)
        value = re.sub(r"^/run/secrets\b", str(self.folder), value)
        for place in ("data", "backups"):
            value = re.sub(rf"^/{place}\b", str(self.folder / f"{name}-{place}"), value)
        return self._here(value)

    def _here(self, text: str) -> str:
        """The text with services' ports replaced by those of this machine."""
        names = "|".join(map(re.escape, self.services))
        return re.sub(
            rf"\b({names}):(\d+)\b",
            lambda found: f"127.0.0.1:{self.port(found[1], int(found[2]))}",
            text,
        )


@contextmanager
def cluster(folder: Path, secrets: Mapping[str, str]) -> Iterator[Cluster]:
    """The parts, of which none has been started yet; all are ended at the end."""
    made = Cluster(folder, secrets)
    try:
        yield made
    finally:
        made.close()
