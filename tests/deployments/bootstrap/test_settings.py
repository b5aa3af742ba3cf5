import logging
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.api.http.tokens import Tokens
from deployments.api.routes.webhook import read_secrets
from deployments.bootstrap.secret import signing_key
from deployments.bootstrap.settings import SECRETS, VARIABLES, Settings, load_settings
from deployments.stamping import stamping_authority
from itp_events.errors import BadInput, ItpError
from tasks.database.store import Store

pytestmark = pytest.mark.requirement("RUN-06")

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


def test_backups_are_made_every_day_and_kept_two_weeks_unless_said() -> None:
    settings = load_settings({"ITP_BACKUP_DIR": "/srv/backups"}, NOWHERE)
    assert (settings.backup_dir, settings.backup_hours, settings.backup_keep) == (
        Path("/srv/backups"),
        24,
        14,
    )
    said = {"ITP_BACKUP_HOURS": "0.5", "ITP_BACKUP_KEEP": "3"}
    assert (load_settings(said, NOWHERE).backup_hours, load_settings(said, NOWHERE).backup_keep) == (0.5, 3)
    assert load_settings({}, NOWHERE).backup_dir is None


def test_seals_are_stamped_where_an_authority_and_its_certificates_are_named() -> None:
    assert stamping_authority(Settings()) is None
    with pytest.raises(BadInput, match="ITP_STAMP_ROOTS"):
        stamping_authority(Settings(stamp_url="https://stamps.example.org"))
    with pytest.raises(BadInput, match="leave out user and password"):
        load_settings({"ITP_STAMP_URL": "https://user:secret@stamps.example.org"}, NOWHERE)


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
        ("ITP_LOG_FORMAT", "xml"),
        ("ITP_PROXY_ADDRESSES", "10.0.0.5,proxy.example.org"),
        ("ITP_PROXY_ACCOUNT_HEADER", "X Remote User"),
        ("ITP_BACKUP_HOURS", "0"),
        ("ITP_BACKUP_KEEP", "0"),
        ("ITP_BACKUP_KEEP", "1.5"),
        ("ITP_PUBLIC_URL", "visits.example.org"),
        ("ITP_PUBLIC_URL", "https://user:password@visits.example.org"),
        ("ITP_REDCAP_URL", "ftp://redcap.example.org/api/"),
        ("ITP_REDCAP_REQUESTS_PER_MINUTE", "0"),
        ("ITP_REDCAP_REQUESTS_PER_MINUTE", "1_0"),
        ("ITP_REDCAP_REQUESTS_PER_MINUTE", "1.5"),
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


@pytest.mark.requirement("SEC-04")
@pytest.mark.parametrize("name", sorted(Settings.model_fields.keys() - {"prefect_api_url", "data_dir"}))
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
        Tokens.from_setting(chosen.api_tokens.get_secret_value(), chosen.data_dir)
        read_secrets(chosen.webhook_secrets.get_secret_value())
        signing_key(chosen.secret_key.get_secret_value(), chosen.data_dir)
        if opens:
            Store.open(chosen.database).close()
    except (ItpError, OSError) as error:
        return str(error)
    return ""


def key_in(tmp_path: Path, dotenv: bytes | str) -> str:
    """ITP_REDCAP_KEY, as a file `.env` gives it."""
    path = tmp_path / ".env"
    path.write_bytes(dotenv if isinstance(dotenv, bytes) else dotenv.encode())
    return load_settings({}, path).redcap_key.get_secret_value()


@pytest.mark.parametrize(
    "line",
    [
        "ITP_REDCAP_KEY=a-b",
        "export ITP_REDCAP_KEY=a-b",
        "  export   ITP_REDCAP_KEY = a-b  ",
        "ITP_REDCAP_KEY = 'a-b'",
        'ITP_REDCAP_KEY = "a-b" # the key',
        "ITP_REDCAP_KEY=a-b # the key",
        "ITP_REDCAP_KEY=a-b\t# the key's",
        "# keys\n\nITP_REDCAP_KEY=a-b",
        "ITP_REDCAP_KEY=other\nITP_REDCAP_KEY=a-b",
        "ITP_REDCAP_KEY=a-b\r\nITP_API_PORT=8301\r\n",
        "ITP_API_PORT=8301\rITP_REDCAP_KEY=a-b\r",
        "NOTE=it's\nITP_REDCAP_KEY=a-b\nOTHER='open",
        "\ufeffITP_REDCAP_KEY=a-b",
    ],
)
def test_a_line_of_dotenv_is_read_as_people_write_it(line: str, tmp_path: Path) -> None:
    assert key_in(tmp_path, line) == "a-b"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ('"a # b"', "a # b"),
        ("'a # b'", "a # b"),
        ("a#b", "a#b"),
        ("#b", "#b"),
        ("  a b  ", "a b"),
        ('"  a b  "', "  a b  "),
        ("${HOME} $HOME", "${HOME} $HOME"),
        ("'it\\'s'", "it's"),
        ('"say \\"so\\""', 'say "so"'),
        ('"two\\nlines"', "two\nlines"),
        ("C:\\new", "C:\\new"),
        ("", ""),
        (" # nothing yet", ""),
    ],
)
def test_a_value_in_dotenv_is_what_its_quotes_say(written: str, meant: str, tmp_path: Path) -> None:
    assert key_in(tmp_path, f"ITP_REDCAP_KEY={written}\n") == meant


def in_double_quotes(value: str) -> str:
    """A value as the README says to write any."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + escaped.replace("\n", "\\n").replace("\r", "\\r") + '"'


@given(
    value=st.text(st.characters(exclude_categories=["Cs"]), min_size=1),
    before=st.text(st.sampled_from("'\"#\\ a=\t")),
    comment=st.sampled_from(["", " # it's", '   # "', "\t"]),
)
def test_any_value_in_double_quotes_is_read_back_the_same(
    value: str, before: str, comment: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    lines = f"NOTE={before}\nITP_REDCAP_KEY={in_double_quotes(value)}{comment}\nITP_API_PORT=8301\n"
    assert key_in(tmp_path_factory.getbasetemp(), lines) == value


def test_a_line_of_dotenv_that_cannot_be_read_is_named_and_not_repeated(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="line 2: cannot be read") as refused:
        key_in(tmp_path, "# keys\nITP_REDCAP_KEY='SECRETPW\n")
    assert "SECRETPW" not in str(refused.value)


@pytest.mark.parametrize(
    ("misspelt", "meant"),
    [
        ("ITP_DATADIR", "ITP_DATA_DIR"),
        ("ITP_DATABASE", "ITP_DATABASE_URL"),
        ("ITP_DB_URL", "ITP_DATABASE_URL"),
        ("ITP_APPRISE", "ITP_APPRISE_CONFIG"),
        ("ITP_TOKENS", "ITP_API_TOKENS"),
        ("ITP_PREFECT_API_URL", "PREFECT_API_URL"),
        ("ITP_REDCAP_KEYFILE", "ITP_REDCAP_KEY"),
        ("ITP_PREFECTPORT", "ITP_PREFECT_PORT"),
        ("ITP_PORT", "ITP_API_PORT"),
    ],
)
def test_a_misspelt_setting_is_refused_with_the_one_that_was_meant(
    misspelt: str, meant: str, tmp_path: Path
) -> None:
    said = rf"^{misspelt}: there is no such setting; did you mean {meant}\?$"
    with pytest.raises(BadInput, match=said):
        load_settings({misspelt: "SECRETPW"}, NOWHERE)
    with pytest.raises(BadInput, match=said):
        key_in(tmp_path, f"{misspelt}=SECRETPW")


def test_a_name_like_no_setting_is_told_and_changes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    assert load_settings({"ITP_QUOKKA": "SECRETPW"}, NOWHERE) == load_settings({}, NOWHERE)
    assert caplog.messages == [
        "ITP_QUOKKA: there is no such setting, and it changes nothing; the README lists them"
    ]


def test_names_that_others_set_are_no_misspellings(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    theirs = {
        "ITP_TEST_POSTGRES_URL": "x",
        "ITP_PORT": "tcp://10.0.0.1:8300",
        "ITP_SERVICE_HOST": "10.0.0.1",
        "ITP_PREFECT_SERVICE_PORT": "4200",
        "ITP_PREFECT_PORT_4200_TCP_ADDR": "10.0.0.1",
    }
    assert load_settings(theirs, NOWHERE) == load_settings({}, NOWHERE)
    assert caplog.messages == []


@pytest.mark.requirement("SEC-04")
def test_every_secret_is_a_setting_that_shows_itself_as_stars() -> None:
    values = dict.fromkeys(SECRETS, "user:SECRETPW")
    settings = load_settings(values, NOWHERE)
    assert {
        "ITP_DATABASE_URL",
        "ITP_API_TOKENS",
        "ITP_SECRET_KEY",
        "ITP_PREFECT_AUTH",
        "ITP_REDCAP_TOKEN",
        "ITP_REDCAP_KEY",
        "ITP_WEBHOOK_SECRETS",
        "ITP_PREFECT_DATABASE_URL",
        "ITP_PREFECT_REDIS_URL",
    } == SECRETS
    assert "SECRETPW" not in f"{settings} {settings!r}"


@pytest.mark.parametrize("mark", ["", "\ufeff"], ids=["plain", "with a byte order mark"])
@pytest.mark.parametrize("variable", sorted(SECRETS - {"ITP_API_TOKENS"}))
def test_a_secret_may_be_kept_in_a_file(variable: str, mark: str, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(f"{mark}user:a # secret\n", encoding="utf-8")
    [name] = (name for name, each in VARIABLES.items() if each == variable)
    settings = load_settings({f"{variable}_FILE": str(file)}, NOWHERE)
    assert getattr(settings, name).get_secret_value() == "user:a # secret"
    with pytest.raises(BadInput, match=f"^{variable}_FILE: {variable} is set as well"):
        load_settings({f"{variable}_FILE": str(file), variable: "user:x"}, NOWHERE)


def test_the_file_of_tokens_may_be_named_as_every_other_secret(tmp_path: Path) -> None:
    settings = load_settings({"ITP_API_TOKENS_FILE": str(tmp_path / "tokens")}, NOWHERE)
    assert settings.api_tokens.get_secret_value() == str(tmp_path / "tokens")


def test_a_file_of_a_secret_that_cannot_be_read_is_named_by_its_variable(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"^ITP_REDCAP_KEY_FILE: the file cannot be read"):
        load_settings({"ITP_REDCAP_KEY_FILE": str(tmp_path / "none")}, NOWHERE)
    (tmp_path / "key").write_bytes(b"\xff")
    with pytest.raises(BadInput, match=r"^ITP_REDCAP_KEY_FILE: the file is no UTF-8 text"):
        load_settings({"ITP_REDCAP_KEY_FILE": str(tmp_path / "key")}, NOWHERE)


def test_what_a_program_passes_is_taken_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ITP_API_PORT", "9")
    assert Settings(data_dir=tmp_path, prefect_port=0).api_port == 8300


def test_a_proxy_is_named_by_addresses_and_networks() -> None:
    said = {"ITP_PROXY_ADDRESSES": "10.0.0.5, 10.1.0.0/24", "ITP_PROXY_ACCOUNT_HEADER": "X-Remote-User"}
    read = load_settings(said, NOWHERE)
    assert [str(each) for each in read.proxy_addresses] == ["10.0.0.5/32", "10.1.0.0/24"]
    assert read.proxy_account_header == "X-Remote-User"
