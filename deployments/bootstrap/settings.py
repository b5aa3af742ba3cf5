"""What a user may set: environment variables with the prefix ITP_, also from a file `.env`.

The environment wins over `.env`. Prefect's own PREFECT_* variables keep their meaning: PREFECT_API_URL names
a Prefect server that runs elsewhere, and without it the service runs its own.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from itp_events.errors import BadInput

_Value = TypeVar("_Value")


@dataclass(frozen=True)
class Settings:
    """Where the service keeps its data, whom it tells, and which Prefect it uses."""

    data_dir: Path = Path(".itp")
    database_url: str = ""
    apprise_config: Path | None = None
    protocol: Path | None = None
    prefect_port: int = 4200
    prefect_api_url: str | None = None
    clock_speed: float | None = None
    clock_start: datetime | None = None
    repair_seconds: float = 180.0
    api_host: str = "127.0.0.1"
    api_port: int = 8300
    api_tokens: str | None = None
    public_url: str = ""
    secret_key: str = ""
    prefect_auth: str = ""
    redcap_url: str = ""
    redcap_token: str = ""
    redcap_mapping: Path | None = None
    redcap_key: str = ""
    webhook_secrets: str = ""

    @property
    def database(self) -> str:
        """The study's database, as an SQLAlchemy URL; by default SQLite in the data directory."""
        return self.database_url or f"sqlite:///{(self.data_dir / 'study.db').absolute()}"

    @property
    def base_url(self) -> str:
        """Where people reach the service's pages, without a slash at the end."""
        return (self.public_url or f"http://{self.api_host}:{self.api_port}").rstrip("/")

    @property
    def prefect_api(self) -> str:
        """The address of Prefect's API."""
        return self.prefect_api_url or f"http://127.0.0.1:{self.prefect_port}/api"


def load_settings(environ: Mapping[str, str] = os.environ, dotenv: Path = Path(".env")) -> Settings:
    """Read the settings.

    Raises:
        BadInput: a variable that cannot be read as what it should be, by name.
    """
    values = _read_dotenv(dotenv) | dict(environ)
    found = {name: values[f"ITP_{name.upper()}"] for name in _READERS if values.get(f"ITP_{name.upper()}")}
    settings = {name: _read(name, value) for name, value in found.items()}
    return Settings(**settings, prefect_api_url=values.get("PREFECT_API_URL") or None)  # type: ignore[arg-type]


# What these raise is shown: they do not repeat the value, which may be a secret that went astray.
def _existing(value: str) -> Path:
    path = Path(value).expanduser()
    # Unlike Path.exists, this knows that there is no file whose name is too long for one.
    if not os.path.exists(path):
        raise ValueError(f"there is no such file, seen from {Path.cwd()}")
    return path


def _address(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("write it whole, as https://visits.example.org")
    return value


def _shown_address(value: str) -> str:
    if "@" in urlsplit(_address(value)).netloc:
        raise ValueError("it stands in every message: leave out user and password")
    return value


def _instant(value: str) -> datetime:
    instant = _parsed(datetime.fromisoformat, value)
    if instant is None or instant.tzinfo is None:
        raise ValueError("write an instant with its offset, as 2026-01-05T09:00:00+08:00")
    return instant


def _port(value: str) -> int:
    if not (value.isascii() and value.isdecimal() and 1 <= int(value) <= 65535):
        raise ValueError("a port is a whole number from 1 to 65535")
    return int(value)


def _positive(value: str) -> float:
    number = _parsed(float, value)
    if number is None or not 0 < number < float("inf"):
        raise ValueError("it must be a number greater than 0")
    return number


def _parsed(parse: Callable[[str], _Value], value: str) -> _Value | None:
    try:
        return parse(value)
    except ValueError:
        return None


def _user_and_password(value: str) -> str:
    user, _, password = value.partition(":")
    if not (user and password):
        raise ValueError("write it as user:password")
    return value


_READERS = {
    "data_dir": lambda value: Path(value).expanduser(),
    "database_url": str,
    "apprise_config": _existing,
    "protocol": _existing,
    "prefect_port": _port,
    "clock_speed": _positive,
    "clock_start": _instant,
    "repair_seconds": _positive,
    "api_host": str,
    "api_port": _port,
    "api_tokens": str,
    "public_url": _shown_address,
    "secret_key": str,
    "prefect_auth": _user_and_password,
    "redcap_url": _address,
    "redcap_token": str,
    "redcap_mapping": _existing,
    "redcap_key": str,
    "webhook_secrets": str,
}


def _read(name: str, value: str) -> object:
    try:
        return _READERS[name](value)  # type: ignore[operator]
    except ValueError as problem:
        raise BadInput(f"its value cannot be used: {problem}", f"ITP_{name.upper()}") from problem


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        raise BadInput(f"cannot be read as UTF-8 text: {problem}", str(path)) from problem


def _read_dotenv(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    lines = (line.strip() for line in _text(path).splitlines())
    pairs = (
        line.removeprefix("export ").partition("=") for line in lines if line and not line.startswith("#")
    )
    return {name.strip(): value.strip().strip("'\"") for name, _, value in pairs}
