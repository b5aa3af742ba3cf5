"""The settings of the service: their names, types and defaults. README.md lists them for users.

Where variables come from, and how a file `.env` is written, is in variables.py. Prefect's own PREFECT_*
variables keep their meaning: PREFECT_API_URL names a Prefect server that runs elsewhere, and without it the
service runs its own.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from deployments.bootstrap.variables import PREFIX, read_variables
from deployments.sqlite_address import sqlite_address
from itp_events.errors import BadInput

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_Value = TypeVar("_Value")
LogFormat = Literal["text", "json"]


# Their messages are shown. None repeats the value, which may be a secret in the wrong variable.
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


def _kept_address(value: str) -> str:
    if "@" in urlsplit(_address(value)).netloc:
        raise ValueError("it is kept with each time-stamp: leave out user and password")
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


def _rate(value: str) -> int:
    if not (value.isascii() and value.isdecimal() and 1 <= int(value) <= 6000):
        raise ValueError("a number of requests is a whole number from 1 to 6000")
    return int(value)


def _kept(value: str) -> int:
    if not (value.isascii() and value.isdecimal() and 1 <= int(value) <= 10_000):
        raise ValueError("a number of backups is a whole number from 1 to 10000")
    return int(value)


def _workers(value: str) -> int:
    if not (value.isascii() and value.isdecimal() and int(value) <= 32):
        raise ValueError("a number of processes is a whole number from 0 to 32")
    return int(value)


def _parsed(parse: Callable[[str], _Value], value: str) -> _Value | None:
    try:
        return parse(value)
    except ValueError:
        return None


def _header(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9-]{1,100}", value):
        raise ValueError("a header's name has letters, digits and hyphens only")
    return value


def _networks(value: str) -> tuple[Network, ...]:
    found = tuple(_parsed(ipaddress.ip_network, each.strip()) for each in value.split(",") if each.strip())
    if None in found:
        raise ValueError("write addresses or networks with commas between, as 10.0.0.5,10.1.0.0/24")
    return tuple(each for each in found if each is not None)


def _log_format(value: str) -> str:
    if value not in ("text", "json"):
        raise ValueError("it is text or json")
    return value


def _user_and_password(value: str) -> str:
    user, _, password = value.partition(":")
    if not (user and password):
        raise ValueError("write it as user:password")
    return value


def _read_by(read: Callable[[str], object]) -> BeforeValidator:
    """Reads the text of a variable by `read`; a value that a program passes is taken as it is."""
    return BeforeValidator(lambda value: read(value) if isinstance(value, str) else value)


_Folder = Annotated[Path, _read_by(lambda value: Path(value).expanduser())]
_File = Annotated[Path, _read_by(_existing)]
_Port = Annotated[int, _read_by(_port)]
_Positive = Annotated[float, _read_by(_positive)]
_NO_SECRET = SecretStr("")
# The folder of the data directory into which `itp protocol install` puts protocol versions.
VERSIONS = "protocols"


class Settings(BaseSettings):
    """The service's settings: its data, recipients, API, REDCap project and Prefect.

    `load_settings` reads them from variables; `Settings(...)` takes the given values alone. A secret is
    printed as stars.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
        populate_by_name=True,
        validate_default=False,
    )

    data_dir: _Folder = Path(".itp")
    database_url: SecretStr = _NO_SECRET
    apprise_config: _File | None = None
    protocol: _File | None = None
    prefect_host: str = "127.0.0.1"
    prefect_port: _Port = 4200
    prefect_database_url: SecretStr = _NO_SECRET
    prefect_redis_url: SecretStr = _NO_SECRET
    prefect_api_url: str | None = Field(None, validation_alias="PREFECT_API_URL")
    clock_speed: _Positive | None = None
    clock_start: Annotated[datetime, _read_by(_instant)] | None = None
    repair_seconds: _Positive = 180.0
    api_host: str = "127.0.0.1"
    api_port: _Port = 8300
    api_workers: Annotated[int, _read_by(_workers)] = 1
    api_tokens: SecretStr = _NO_SECRET
    public_url: Annotated[str, _read_by(_shown_address)] = ""
    secret_key: SecretStr = _NO_SECRET
    proxy_account_header: Annotated[str, _read_by(_header)] = ""
    proxy_addresses: Annotated[tuple[Network, ...], NoDecode, _read_by(_networks)] = ()
    prefect_auth: Annotated[SecretStr, _read_by(_user_and_password)] = _NO_SECRET
    redcap_url: Annotated[str, _read_by(_address)] = ""
    redcap_token: SecretStr = _NO_SECRET
    redcap_mapping: _File | None = None
    redcap_key: SecretStr = _NO_SECRET
    redcap_requests_per_minute: Annotated[int, _read_by(_rate)] = 60
    webhook_secrets: SecretStr = _NO_SECRET
    log_format: Annotated[LogFormat, _read_by(_log_format)] = "text"
    stamp_url: Annotated[str, _read_by(_kept_address)] = ""
    stamp_roots: _File | None = None
    backup_dir: _Folder | None = None
    backup_hours: _Positive = 24.0
    backup_keep: Annotated[int, _read_by(_kept)] = 14

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The passed values alone: no variable is read."""
        return (init_settings,)

    @property
    def database(self) -> str:
        """The study's database, as an SQLAlchemy URL; by default SQLite in the data directory."""
        return self.database_url.get_secret_value() or sqlite_address(self.data_dir / "study.db")

    @property
    def versions(self) -> Path:
        """The folder into which versions of the protocol are installed; it need not be there yet."""
        return self.protocol or self.data_dir / VERSIONS

    @property
    def protocols(self) -> Path | None:
        """The protocol's file, or the folder of its versions, as of now; None: the built-in one alone."""
        return self.protocol or (self.versions if self.versions.is_dir() else None)

    @property
    def base_url(self) -> str:
        """The address of the service's pages for people, without a slash at the end."""
        return (self.public_url or f"http://{self.api_host}:{self.api_port}").rstrip("/")

    @property
    def prefect_api(self) -> str:
        """The address of Prefect's API."""
        return self.prefect_api_url or f"http://127.0.0.1:{self.prefect_port}/api"


VARIABLES = {
    name: str(field.validation_alias or f"{PREFIX}{name.upper()}")
    for name, field in Settings.model_fields.items()
}
"""The variable of each setting, by the setting's name."""

SECRETS = frozenset(
    VARIABLES[name] for name, field in Settings.model_fields.items() if field.annotation is SecretStr
)
"""The variables that hold a secret: each NAME may be given as NAME_FILE, a file that holds it."""


class _Given(EnvSettingsSource):
    """Reads the settings from variables that were read already, not from the process's environment."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        super().__init__(Settings)
        self.env_vars = {name.lower(): value for name, value in variables.items() if value}


def load_settings(environ: Mapping[str, str] = os.environ, dotenv: Path = Path(".env")) -> Settings:
    """Read the settings from the environment and from a file `.env`, of which the environment wins.

    Raises:
        BadInput: a variable that cannot be read as what it should be, or whose name is misspelt, by its name;
            a file that cannot be read. The value is never repeated.
    """
    variables = read_variables(environ, dotenv, frozenset(VARIABLES.values()), SECRETS)
    try:
        return Settings(**_Given(variables)())
    except ValidationError as error:
        raise _refusal(error.errors(include_url=False, include_input=False)[0]) from None


def _refusal(first: Mapping[str, Any]) -> BadInput:
    name = str(first["loc"][0])
    problem = first.get("ctx", {}).get("error") or first["msg"]
    return BadInput(f"its value cannot be used: {problem}", VARIABLES.get(name, name))
