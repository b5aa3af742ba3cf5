from dataclasses import fields
from pathlib import Path

import pytest

from deployments.api.http.tokens import Tokens
from deployments.api.routes.webhook import read_secrets
from deployments.bootstrap.secret import signing_key
from deployments.bootstrap.settings import Settings, load_settings
from itp_events.errors import BadInput, ItpError
from tasks.database.store import Store

NOWHERE = Path("/nonexistent/.env")


def test_without_any_setting_the_study_is_sqlite_below_the_working_directory() -> None:
    settings = load_settings({}, NOWHERE)
    assert settings.data_dir == Path(".itp")
    assert settings.database == f"sqlite:///{Path('.itp/study.db').absolute()}"
    assert settings.prefect_api == "http://127.0.0.1:4200/api"


def test_the_environment_wins_over_the_dotenv_file(tmp_path: Path) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_text("# a comment\nexport ITP_PREFECT_PORT=4300\nITP_DATA_DIR='/from/file'\n")
    settings = load_settings({"ITP_DATA_DIR": "/from/environment"}, dotenv)
    assert settings.data_dir == Path("/from/environment")
    assert settings.prefect_port == 4300


def test_an_external_prefect_is_named_as_prefect_names_it() -> None:
    settings = load_settings({"PREFECT_API_URL": "http://prefect:4200/api"}, NOWHERE)
    assert settings.prefect_api == "http://prefect:4200/api"


def test_an_empty_variable_is_not_set() -> None:
    assert load_settings({"ITP_DATABASE_URL": "", "PREFECT_API_URL": ""}, NOWHERE) == load_settings(
        {}, NOWHERE
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ITP_PREFECT_PORT", "many"),
        ("ITP_PREFECT_PORT", "70000"),
        ("ITP_API_PORT", "0"),
        ("ITP_CLOCK_SPEED", "nan"),
        ("ITP_CLOCK_SPEED", "inf"),
        ("ITP_REPAIR_SECONDS", "-1"),
        ("ITP_PUBLIC_URL", "visits.example.org"),
        ("ITP_PUBLIC_URL", "https://user:password@visits.example.org"),
        ("ITP_REDCAP_URL", "ftp://redcap.example.org/api/"),
        ("ITP_CLOCK_SPEED", "fast"),
        ("ITP_CLOCK_START", "2026-01-05T09:00:00"),
        ("ITP_APPRISE_CONFIG", "/nonexistent/apprise.yml"),
        ("ITP_PROTOCOL", "/nonexistent/protocol.yaml"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(name: str, value: str) -> None:
    with pytest.raises(BadInput, match=f"^{name}: "):
        load_settings({name: value}, NOWHERE)


def test_a_dotenv_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_bytes(b"ITP_DATA_DIR=\xff\xfe")
    with pytest.raises(BadInput, match="cannot be read as UTF-8 text") as refused:
        load_settings({}, dotenv)
    assert str(dotenv) in str(refused.value)


SECRET = "u:SECRETPW@host"


@pytest.mark.parametrize(
    "name", sorted({field.name for field in fields(Settings)} - {"prefect_api_url", "data_dir"})
)
@pytest.mark.parametrize(
    "value",
    [
        SECRET,
        f"mailto://{SECRET}",
        f"ftp://{SECRET}",
        f"mysql://{SECRET}/x",
        "SECRETPW",
        f"SECRETPW:{10**400}",
    ],
)
def test_no_message_repeats_what_a_setting_holds(name: str, value: str, tmp_path: Path) -> None:
    settings = {"ITP_DATA_DIR": str(tmp_path)} | {f"ITP_{name.upper()}": value}
    assert "SECRETPW" not in said_of(settings, opens=name == "database_url")


def said_of(settings: dict[str, str], *, opens: bool) -> str:
    """What is said of settings that cannot be used."""
    try:
        chosen = load_settings(settings, NOWHERE)
        Tokens.from_setting(chosen.api_tokens, chosen.data_dir)
        read_secrets(chosen.webhook_secrets)
        signing_key(chosen.secret_key, chosen.data_dir)
        if opens:
            Store.open(chosen.database).close()
    except (ItpError, OSError) as error:
        return str(error)
    return ""
