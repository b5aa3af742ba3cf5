"""Fixtures that every test may use. Nothing here starts before a test asks for it."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from argon2 import PasswordHasher
from hypothesis import settings
from sqlalchemy import URL

from deployments.loading import loading
from tasks.accounts import passwords
from tests.support.databases import EmptiedDatabases, migrated_sqlite, migrated_template
from tests.support.ending import NAME, EndingWithItsTests, end_with_its_tests
from tests.support.once import made_once, sole
from tests.support.postgres import NAMED_BY, fresh_database, postgres_server
from tests.support.prefect_server import PrefectServer, quiet_prefect
from tests.support.receiver import Receiver
from tests.support.sharing_out import SharingOut

if TYPE_CHECKING:
    from tests.support.service import Service

pytest_plugins = ["tests.support.requirements"]

# A loaded machine is slow, not wrong: pytest-timeout bounds the whole test.
# CI looks at the same examples for the same code, so that it fails for a reason; `thorough` explores.
settings.register_profile("itp", deadline=None, print_blob=True, derandomize=True)
settings.register_profile("thorough", deadline=None, print_blob=True, max_examples=4000)
PROFILE = os.environ.get("HYPOTHESIS_PROFILE", "itp")
settings.load_profile(PROFILE)


def pytest_configure(config: pytest.Config) -> None:
    """Keep the developer's own Prefect and study out of reach, before anything imports Prefect."""
    for name in [name for name in os.environ if name.startswith(("PREFECT_", "ITP_")) and name != NAMED_BY]:
        del os.environ[name]
    # Else each of the programs that tests start would compile this project anew.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False
    home = Path(tempfile.mkdtemp(prefix="itp-prefect-"))
    os.environ.update(quiet_prefect(home))
    config.add_cleanup(lambda: shutil.rmtree(home))
    config.pluginmanager.register(SharingOut(_group, _waits))
    config.pluginmanager.register(EndingWithItsTests(_shared), NAME)


# Where `make test` runs a test, and when. A test that starts a service of its own, or a storm, takes longest:
# each is a group by itself, and they come first. Tests that share a service follow, all in one process, which
# starts it once. All others stay together by file; files with tests of many examples come first.
OWN_SERVICE, STORM = "first_service", "test_storm.py"
SHARED_SERVICES = ("travelling", "running", "prefect_server")


def pytest_itemcollected(item: pytest.Item) -> None:
    """Bound a test's time where the profile asks for more."""
    # Thousands of histories outlast the bound of a single test.
    if PROFILE == "thorough" and _looks_at_many(item):
        item.add_marker(pytest.mark.timeout(0))


def _group(item: pytest.Item) -> str:
    if _is_alone(item):
        return item.nodeid
    return next(iter(_shared(item)), str(item.path))


def _waits(item: pytest.Item) -> bool:
    return _is_alone(item) or bool(_shared(item))


def _shared(item: pytest.Item) -> list[str]:
    fixtures = _fixtures(item)
    return [name for name in SHARED_SERVICES if name in fixtures]


def _is_alone(item: pytest.Item) -> bool:
    return item.path.name == STORM or OWN_SERVICE in _fixtures(item)


def _looks_at_many(item: pytest.Item) -> bool:
    """Whether Hypothesis gives the test its examples."""
    return hasattr(getattr(item, "obj", None), "hypothesis")


def _fixtures(item: pytest.Item) -> Sequence[str]:
    return getattr(item, "fixturenames", ())


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Look for no garbage among what is loaded here, now or later: that took a third of the time."""
    with loading():
        return (yield)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest, so that the processes end together."""
    many = {item.path for item in items if _looks_at_many(item)}
    items.sort(
        key=lambda item: (
            not _is_alone(item),
            item.path.name != STORM,
            not _shared(item),
            item.path not in many,
        )
    )


@pytest.fixture(scope="session")
def postgres() -> Iterator[URL]:
    """The maintenance database of a real PostgreSQL server."""
    with postgres_server() as url:
        yield url


@pytest.fixture(scope="session")
def _postgresql_databases(postgres: URL) -> Iterator[EmptiedDatabases]:
    with migrated_template(postgres) as template:
        databases = EmptiedDatabases(postgres, template)
        yield databases
        databases.close()


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """A SQLite database of a study in which nobody is enrolled, as an SQLAlchemy URL."""
    return migrated_sqlite(tmp_path / "study.db")


@pytest.fixture
def postgresql_url(_postgresql_databases: EmptiedDatabases) -> Iterator[str]:
    """A PostgreSQL database of a study in which nobody is enrolled, as an SQLAlchemy URL."""
    with _postgresql_databases.lend() as url:
        yield url.render_as_string(hide_password=False)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """A database of its own with nobody enrolled, once in SQLite and once in PostgreSQL."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database of its own without any table; in SQLite it has no file yet."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.db'}"
        return
    with fresh_database(request.getfixturevalue("postgres")) as url:
        yield url.render_as_string(hide_password=False)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A real HTTP receiver for what Apprise sends."""
    with Receiver() as receiver:
        yield receiver


@pytest.fixture(scope="session")
def prefect_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Prefect's directory with its database migrated, to be copied: migrating takes ten seconds."""

    def make(home: Path) -> None:
        server = PrefectServer(home)
        server.start()
        server.stop()

    return made_once(tmp_path_factory, "prefect-home", make)


@pytest.fixture(scope="session")
def prefect_server(
    pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory, prefect_home: Path
) -> Iterator[PrefectServer]:
    """A real Prefect server, shared by the tests that leave it running as they found it."""
    sole(pytestconfig, tmp_path_factory, "prefect-server")
    home = tmp_path_factory.mktemp("prefect-server")
    shutil.copytree(prefect_home, home, dirs_exist_ok=True)
    server = PrefectServer(home)
    try:
        server.start()
        end_with_its_tests(pytestconfig, "prefect_server", server.stop)
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def running(
    pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory, prefect_home: Path
) -> Iterator[Service]:
    """A demonstration that runs, for all tests that let it run and take a subject code of their own."""
    # A room whose tests ask for no service does not load one.
    from tests.deployments.conftest import running_service

    sole(pytestconfig, tmp_path_factory, "running")
    with running_service(tmp_path_factory.mktemp("running") / "data", prefect_home) as service:
        end_with_its_tests(pytestconfig, "running", service.close)
        yield service


@pytest.fixture(scope="session", autouse=True)
def _quick_passwords() -> Iterator[None]:
    """Hash passwords in a millisecond: as the service does, each takes a processor a quarter of a second."""
    with pytest.MonkeyPatch.context() as patch:
        quick = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
        patch.setattr(passwords, "_HASHER", quick)
        yield


@pytest.fixture(autouse=True)
def _umask() -> Iterator[None]:
    """Give each test the umask of the first: a command that runs in this process sets its own."""
    before = os.umask(0o022)
    os.umask(before)
    yield
    os.umask(before)
