"""Prefect's server in a process of its own, one of several."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from deployments.bootstrap.settings import Settings
from deployments.prefect_apart import environment
from itp_events.errors import BadInput

pytestmark = pytest.mark.requirement("DEP-01")

POSTGRES = SecretStr("postgresql://prefect:secret@db/prefect")
REDIS = SecretStr("redis://redis:6379/0")


def test_one_alone_keeps_its_own_database_and_asks_for_no_redis(tmp_path: Path) -> None:
    given = environment(Settings(), tmp_path, services=False)
    assert given["PREFECT_API_DATABASE_CONNECTION_URL"].startswith("sqlite+aiosqlite")
    assert not [name for name in given if "REDIS" in name or "DOCKET" in name]


def test_several_share_a_database_and_a_redis(tmp_path: Path) -> None:
    settings = Settings(prefect_database_url=POSTGRES, prefect_redis_url=REDIS)
    given = environment(settings, tmp_path, services=True)
    assert given["PREFECT_API_DATABASE_CONNECTION_URL"] == "postgresql+asyncpg://prefect:secret@db/prefect"
    of_redis = {name for name, value in given.items() if value.startswith("prefect_redis.")}
    assert of_redis == {
        "PREFECT_MESSAGING_BROKER",
        "PREFECT_MESSAGING_CACHE",
        "PREFECT_SERVER_EVENTS_CAUSAL_ORDERING",
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE",
    }
    assert (
        given["PREFECT_SERVER_DOCKET_URL"] == given["PREFECT_REDIS_MESSAGING_URL"] == "redis://redis:6379/0"
    )
    # Its pages go to a place that may be written to, whatever the package's own.
    assert given["PREFECT_UI_STATIC_DIRECTORY"] == str(tmp_path / "ui")


@pytest.mark.parametrize(
    ("settings", "services", "named"),
    [
        (Settings(), True, "ITP_PREFECT_REDIS_URL"),
        (Settings(prefect_redis_url=REDIS), False, "ITP_PREFECT_DATABASE_URL"),
        (Settings(prefect_database_url=SecretStr("sqlite:///x.db")), False, "ITP_PREFECT_DATABASE_URL"),
        (Settings(prefect_database_url=SecretStr("no address")), False, "ITP_PREFECT_DATABASE_URL"),
        (Settings(prefect_host="0.0.0.0"), False, "ITP_PREFECT_HOST"),
    ],
)
def test_what_does_not_go_together_is_refused_by_its_name(
    settings: Settings, services: bool, named: str, tmp_path: Path
) -> None:
    with pytest.raises(BadInput) as refused:
        environment(settings, tmp_path, services=services)
    assert named in str(refused.value)
    assert "secret" not in str(refused.value)
