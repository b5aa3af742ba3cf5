"""The checks of `itp doctor`. Each gives its findings and, for a fault, the way to mend it.

Nothing here changes anything: no folder is made, no database migrated, no message sent.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from datetime import datetime
from importlib import metadata
from pathlib import Path

import httpx

from deployments.bootstrap.clock import MARK
from deployments.bootstrap.data_dir import open_to_others
from deployments.bootstrap.reach import MEND, unreachable_links
from deployments.cli.doctor.database_check import database
from deployments.cli.doctor.finding import Finding, Level, Surroundings
from deployments.cli.doctor.redcap_check import redcap
from deployments.prefect.server_process import auth_environment, is_taken
from flows.prefect_api.flow_runs import JOURNEY, FlowRuns, PrefectProblem
from itp_events.errors import BadInput, ItpError
from itp_events.protocol.file import load_protocol
from itp_events.protocol.model import Site
from itp_events.protocol.workdays import published_to
from tasks.delivery.channels import Channels, problems
from tasks.tls import trusted

PROGRAM = "itp-visits"
LOCK_FILE = Path(__file__).parents[3] / "requirements.lock"
# The service needs the locked versions of these packages: with others it may not start, or not wait durably.
_EXACT = ("prefect", "fastapi")
_ENOUGH_MB = 500


def findings(around: Surroundings) -> Iterator[Finding]:
    """The findings of all checks, in the order in which to mend them."""
    for check in _CHECKS:
        yield from check(around)


def _python(_: Surroundings) -> Iterator[Finding]:
    fits = (3, 11) <= sys.version_info[:2] <= (3, 13)
    mend = "" if fits else "install Python 3.11 to 3.13, then: make clean venv"
    yield Finding("Python", "ok" if fits else "fail", platform.python_version(), mend)


def _packages(_: Surroundings) -> Iterator[Finding]:
    locked = _locked()
    wrong = list(_wrong_packages(locked))
    for name, said in wrong:
        level: Level = "fail" if name in _EXACT or said.endswith("missing") else "warn"
        yield Finding("packages", level, said, "make clean venv")
    if not locked:
        yield Finding("packages", "ok", "all there; no requirements.lock beside the program to compare with")
    elif not wrong:
        versions = ", ".join(f"{name} {metadata.version(name)}" for name in _EXACT)
        yield Finding("packages", "ok", f"{versions} and the others as locked")


def _wrong_packages(locked: dict[str, str]) -> Iterator[tuple[str, str]]:
    for requirement in metadata.requires(PROGRAM) or []:
        name = re.split(r"[\[<>=;! ]", requirement)[0].lower()
        if "extra ==" in requirement:
            continue
        try:
            installed = metadata.version(name)
        except metadata.PackageNotFoundError:
            yield name, f"{name} is missing"
            continue
        if locked.get(name, installed) != installed:
            yield name, f"{name} {installed} is installed, {locked[name]} is locked"


def _locked() -> dict[str, str]:
    if not LOCK_FILE.is_file():
        return {}
    text = LOCK_FILE.read_text(encoding="utf-8")
    return dict(re.findall(r"^([a-z0-9-]+)(?:\[[a-z,]+\])?==([^\s;]+)", text, re.MULTILINE))


def _protocol(around: Surroundings) -> Iterator[Finding]:
    try:
        protocol = load_protocol(around.settings.protocols)
    except ItpError as error:
        yield Finding("protocol", "fail", str(error), "mend the line; itp protocol check FILE looks again")
        return
    yield Finding(
        "protocol", "ok", f"{protocol.id} version {protocol.version}, {len(protocol.visits)} visits"
    )
    for code, site in protocol.sites.items():
        yield _site(code, site, around.now)


def _site(code: str, site: Site, now: datetime) -> Finding:
    local = now.astimezone(site.zone)
    said = f"{site.time_zone}, now {local:%Y-%m-%d %H:%M}; working days of {site.calendar}"
    known = published_to(site.calendar)
    if known is None:
        return Finding(f"site {code}", "ok", f"{said}, by rule")
    said = f"{said}, official to {known}, by rule after that"
    if known >= local.year:
        return Finding(f"site {code}", "ok", said)
    return Finding(f"site {code}", "warn", said, "a newer version of the package holidays may know the year")


def _data_directory(around: Surroundings) -> Iterator[Finding]:
    path = around.settings.data_dir.absolute()
    there = next(each for each in (path, *path.parents) if each.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        mend = "set ITP_DATA_DIR to a directory that you may write to"
        yield Finding("data directory", "fail", f"{there} cannot be written to", mend)
        return
    free = shutil.disk_usage(there).free // 2**20
    if free < _ENOUGH_MB:
        yield Finding("data directory", "warn", f"{path}: {free} MB free", "make room on its disk")
        return
    if problem := open_to_others(path):
        what, _, mend = problem.partition(": ")
        yield Finding("data directory", "warn", what, mend)
    else:
        said = f"{path}, {free} MB free" if there == path else f"{path} is made at the first start"
        yield Finding("data directory", "ok", said)
    if (path / MARK).exists():
        mend = "set ITP_DATA_DIR to another directory for a real study"
        yield Finding("clock", "warn", "the data directory holds a demonstration with a fast clock", mend)


def _channels(around: Surroundings) -> Iterator[Finding]:
    path = around.settings.apprise_config
    wrong = problems(path)
    for problem in wrong:
        yield Finding("notices", "warn", problem, "see the README on ITP_APPRISE_CONFIG")
    if not wrong:
        yield Finding("notices", "ok", f"{path}: every audience has a channel")


def _links(around: Surroundings) -> Iterator[Finding]:
    settings = around.settings
    try:
        channels = Channels.from_config(settings.apprise_config)
    except BadInput:
        return
    if problem := unreachable_links(settings, channels):
        yield Finding("links", "warn", problem, MEND)
    else:
        yield Finding("links", "ok", f"links in messages lead to {settings.base_url}")


def _running(around: Surroundings) -> Iterator[Finding]:
    settings = around.settings
    if around.service:
        yield Finding("service", "ok", f"runs as process {around.service}")
    else:
        yield Finding("service", "ok", "none runs on this data directory; itp up starts it")
    yield from _ports(around)
    if around.service or settings.prefect_api_url:
        os.environ.update(auth_environment(settings.prefect_auth.get_secret_value()))
        yield _prefect(settings.prefect_api, serves=around.service is not None)


_DOORS = "ITP_API_PORT"


def _ports(around: Surroundings) -> Iterator[Finding]:
    settings = around.settings
    ports = [(_DOORS, settings.api_port)]
    if not settings.prefect_api_url:
        ports.insert(0, ("ITP_PREFECT_PORT", settings.prefect_port))
    for setting, port in ports:
        if around.service and is_taken(port):
            yield Finding(f"port {port}", "ok", "used by the service")
        elif around.service:
            mend = f"set {setting} as for the service; just started, or stopping, it opens the port soon"
            yield Finding(f"port {port}", "warn", "nothing listens there, though a service runs", mend)
        elif setting == _DOORS and settings.prefect_api_url and _is_door(port):
            yield Finding(f"port {port}", "ok", "used by a door, as in a deployment in parts")
        elif is_taken(port):
            mend = f"stop what listens there, or set {setting} to a free port"
            yield Finding(f"port {port}", "fail", "taken by another program", mend)
        else:
            yield Finding(f"port {port}", "ok", "free")


def _is_door(port: int) -> bool:
    """Whether an API of this program answers on the loopback port."""
    try:
        answer = httpx.get(
            f"http://127.0.0.1:{port}/livez", timeout=1.0, trust_env=False, verify=trusted(trust_env=False)
        )
        return bool(answer.json() == {"status": "ok", "said": "this process answers"})
    except (httpx.HTTPError, ValueError):
        return False


def _prefect(api: str, *, serves: bool) -> Finding:
    runs = FlowRuns(api)
    try:
        journeys = runs.deployment(JOURNEY)
    except PrefectProblem as reason:
        mend = "timers run without it; see logs/prefect-server.log in the data directory, or PREFECT_API_URL"
        return Finding("Prefect", "fail", str(reason), mend)
    finally:
        runs.close()
    if serves and journeys is None:
        mend = "a running service makes it within some minutes; else: itp up"
        return Finding("Prefect", "warn", f"answers at {api}, without the deployment {JOURNEY}", mend)
    return Finding("Prefect", "ok", f"answers at {api}")


_CHECKS: tuple[Callable[[Surroundings], Iterator[Finding]], ...] = (
    _python,
    _packages,
    _protocol,
    _data_directory,
    database,
    _channels,
    _links,
    redcap,
    _running,
)
