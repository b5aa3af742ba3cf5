"""`itp doctor` finds what is amiss, says how to mend it, and changes nothing."""

import socket
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from deployments.bootstrap.clock import Clock
from deployments.bootstrap.lock import sole_service
from deployments.cli.doctor import local_checks
from itp_events.protocol.file import BUILT_IN
from tasks.database.monitoring import BACKUP, ROUND, beat
from tasks.database.schema import outages
from tasks.database.store import Store
from tasks.delivery import recipients
from tasks.delivery.channels import Channels
from tests.deployments.cli.conftest import At, Itp, Said
from tests.support.api import served
from tests.support.ports import free_port
from tests.support.postgres import fresh_database
from tests.support.prefect_server import PrefectServer
from tests.support.study import Study

pytestmark = pytest.mark.requirement("RUN-07")


@pytest.fixture
def doctor(itp: Itp) -> Itp:
    """Asks the doctor, with ports that are free."""

    def ask(*options: str, **settings: str) -> Said:
        ports = {
            "ITP_PREFECT_PORT": str(free_port()),
            "ITP_API_PORT": str(free_port()),
            "PREFECT_API_URL": "",
        }
        return itp("doctor", *options, **(ports | settings))

    return ask


def _found(said: Said, name: str) -> list[dict[str, Any]]:
    return [each for each in said.json["findings"] if each["name"] == name]


def test_a_fresh_checkout_is_in_place_and_nothing_is_begun(doctor: Itp, tmp_path: Path) -> None:
    said = doctor("--json")
    assert said.code == 0, said.out
    assert said.json["ok"] is True
    assert [each["name"] for each in said.json["findings"] if each["level"] == "warn"] == ["notices"]
    assert not (tmp_path / "data").exists()


def test_links_that_people_elsewhere_cannot_open_are_warned_of(doctor: Itp, tmp_path: Path) -> None:
    config = tmp_path / "apprise.conf"
    config.write_text("coordinator=mailto://user:pass@mail.example.org?to=crc@example.org\n")
    [found] = _found(doctor("--json", ITP_APPRISE_CONFIG=str(config)), "links")
    assert found["level"] == "warn"
    assert "opens on this machine alone" in found["said"]
    assert "ITP_PUBLIC_URL" in found["mend"]
    public = "https://itp.hospital.example"
    [found] = _found(doctor("--json", ITP_APPRISE_CONFIG=str(config), ITP_PUBLIC_URL=public), "links")
    assert (found["level"], found["said"]) == ("ok", f"links in messages lead to {public}")


def test_the_table_says_how_to_mend_and_fits_80_columns(doctor: Itp) -> None:
    said = doctor(ITP_PROTOCOL="nowhere.yaml")
    assert said.code == 1
    assert "fail" in said.out
    assert "To mend: " in said.out
    assert max(map(len, said.out.splitlines())) <= 80


def test_a_setting_that_cannot_be_read_is_a_failure_of_its_own(doctor: Itp) -> None:
    said = doctor("--json", ITP_CLOCK_SPEED="fast")
    [finding] = said.json["findings"]
    assert (said.code, finding["name"], finding["level"]) == (1, "settings", "fail")
    assert finding["said"].startswith("ITP_CLOCK_SPEED: ")


def test_a_wrong_protocol_is_named_by_its_line(doctor: Itp, tmp_path: Path) -> None:
    file = tmp_path / "wrong.yaml"
    file.write_text(
        BUILT_IN.read_text(encoding="utf-8").replace("id: NCT06813157", "idd: x"), encoding="utf-8"
    )
    said = doctor("--json", ITP_PROTOCOL=str(file))
    [finding] = _found(said, "protocol")
    assert (said.code, finding["level"]) == (1, "fail")
    assert f"{file}:4: idd: unknown field" in finding["said"]


def test_a_package_in_another_version_than_locked_is_found(
    doctor: Itp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = tmp_path / "requirements.lock"
    lock.write_text("prefect==3.8.7 \\\nclick==0.1 \\\n")
    monkeypatch.setattr(local_checks, "LOCK_FILE", lock)
    said = doctor("--json")
    found = {each["said"].split()[0]: each["level"] for each in _found(said, "packages")}
    assert found == {"prefect": "fail", "click": "warn"}
    assert said.code == 1


def test_a_data_directory_that_cannot_be_one_is_found(doctor: Itp, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    said = doctor("--json", ITP_DATA_DIR=str(tmp_path / "file" / "data"))
    assert _found(said, "data directory")[0]["level"] == "fail"
    assert said.code == 1


def test_a_database_that_does_not_answer_is_found(doctor: Itp) -> None:
    said = doctor("--json", ITP_DATABASE_URL=f"postgresql://itp@127.0.0.1:{free_port()}/itp")
    [finding] = _found(said, "database")
    assert (said.code, finding["level"]) == (1, "fail")
    assert finding["said"].startswith("does not answer: ")


def test_a_database_in_another_encoding_is_found_with_the_way_to_make_one(
    doctor: Itp, postgres: sa.URL
) -> None:
    with fresh_database(postgres, "SQL_ASCII") as url:
        said = doctor("--json", ITP_DATABASE_URL=url.render_as_string(hide_password=False))
    [finding] = _found(said, "database")
    assert (said.code, finding["level"]) == (1, "fail")
    assert finding["said"].endswith("is in SQL_ASCII, which cannot hold every text")
    assert finding["mend"].endswith("CREATE DATABASE name ENCODING 'UTF8' TEMPLATE template0")


@pytest.mark.parametrize(("revision", "level"), [("0000", "warn"), ("9999", "fail")])
def test_a_database_of_another_revision_is_found_and_left_alone(
    doctor: Itp, tmp_path: Path, at: At, enrolled: Study, revision: str, level: str
) -> None:
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'data' / 'study.db'}")
    with engine.begin() as connection:
        connection.execute(sa.text(f"UPDATE alembic_version SET version_num = '{revision}'"))
    assert _found(doctor("--json"), "database")[0]["level"] == level
    with engine.begin() as connection:
        assert connection.scalar(sa.text("SELECT version_num FROM alembic_version")) == revision
    engine.dispose()


def test_what_waits_for_a_service_that_does_not_run_is_said(doctor: Itp, enrolled: Study) -> None:
    warned = [each for each in _found(doctor("--json"), "service") if each["level"] == "warn"]
    assert warned[0]["said"].startswith("1 subject due and ")
    assert warned[0]["mend"] == "start it: itp up"


def test_a_demonstration_is_pointed_out(doctor: Itp, enrolled: Study) -> None:
    assert _found(doctor("--json"), "clock")[0]["level"] == "warn"


def test_audiences_without_a_channel_are_named(doctor: Itp, tmp_path: Path) -> None:
    config = tmp_path / "apprise.txt"
    config.write_text("coordinator,investigator,cell-lab,ops=json://127.0.0.1:9/\n")
    [finding] = _found(doctor("--json", ITP_APPRISE_CONFIG=str(config)), "notices")
    assert finding["level"] == "warn"
    assert "no URL is tagged sponsor" in finding["said"]


def test_a_port_that_another_program_holds_is_found(doctor: Itp) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        said = doctor("--json", ITP_PREFECT_PORT=str(port))
    [finding] = _found(said, f"port {port}")
    assert (said.code, finding["level"]) == (1, "fail")
    assert "ITP_PREFECT_PORT" in finding["mend"]


def test_a_running_service_whose_prefect_does_not_answer_is_found(doctor: Itp, tmp_path: Path) -> None:
    with sole_service(tmp_path / "data"):
        said = doctor("--json")
    assert _found(said, "service")[0]["said"].startswith("runs as process ")
    assert _found(said, "Prefect")[0]["level"] == "fail"
    assert said.code == 1


def test_a_prefect_elsewhere_that_answers_is_in_place(doctor: Itp, prefect_server: PrefectServer) -> None:
    said = doctor("--json", PREFECT_API_URL=prefect_server.api_url)
    assert _found(said, "Prefect")[0]["level"] == "ok"


def test_the_door_of_a_deployment_in_parts_is_not_taken_for_a_stranger(
    doctor: Itp, prefect_server: PrefectServer, tmp_path: Path
) -> None:
    with served(tmp_path / "door") as door:
        port = f"{door.settings.api_port}"
        in_parts = doctor("--json", PREFECT_API_URL=prefect_server.api_url, ITP_API_PORT=port)
        alone = doctor("--json", ITP_API_PORT=port)
    assert [_found(said, f"port {port}")[0]["level"] for said in (in_parts, alone)] == ["ok", "fail"]


def test_the_calendar_says_to_which_year_it_is_official(doctor: Itp) -> None:
    [site] = _found(doctor("--json"), "site default")
    assert "working days of CN, official to 20" in site["said"]


def test_a_service_that_gives_no_sign_of_life_is_found(doctor: Itp, tmp_path: Path, enrolled: Study) -> None:
    store = Store.open(f"sqlite:///{tmp_path / 'data' / 'study.db'}")
    beat(store, ROUND, Clock().now() - timedelta(minutes=5))
    with sole_service(tmp_path / "data"):
        said = doctor("--json")
    [frozen] = [each for each in _found(said, "service") if each["level"] == "fail"]
    assert "gave its last sign of life at " in frozen["said"]
    beat(store, ROUND, Clock().now())
    store.close()
    with sole_service(tmp_path / "data"):
        said = doctor("--json")
    assert [each["level"] for each in _found(said, "service")] == ["ok"]


def test_recipients_that_are_not_the_study_s_are_found_and_how_to_mend_them(
    doctor: Itp, tmp_path: Path, enrolled: Study
) -> None:
    config = tmp_path / "apprise.txt"
    config.write_text("coordinator=json://127.0.0.1:9/x\n")
    store = Store.open(f"sqlite:///{tmp_path / 'data' / 'study.db'}")
    recipients.take(store, Channels.from_config(config), "ward:/data", Clock().now())
    store.close()
    [found, _] = _found(doctor("--json"), "notices")
    assert found["said"].startswith("nothing is handed over from here: the study's notices go to 1 ")
    assert found["mend"].endswith("or print all notices from now on: itp recipients --take")
    same = _found(doctor("--json", ITP_APPRISE_CONFIG=str(config)), "notices")
    assert not any("handed over" in each["said"] for each in same)


def test_a_recipient_that_fails_at_present_is_named(doctor: Itp, tmp_path: Path, enrolled: Study) -> None:
    store = Store.open(f"sqlite:///{tmp_path / 'data' / 'study.db'}")
    row = {
        "recipient": "a",
        "label": "ops (SMS a1)",
        "since": Clock().now(),
        "failures": 3,
        "alerted": False,
    }
    with store.writing() as connection:
        connection.execute(outages.insert(), row)
    store.close()
    with sole_service(tmp_path / "data"):
        said = doctor("--json")
    assert any(each["said"].startswith("ops (SMS a1) fails since ") for each in _found(said, "notices"))


def test_a_port_on_which_the_service_does_not_listen_is_pointed_out(doctor: Itp, tmp_path: Path) -> None:
    port = free_port()
    with sole_service(tmp_path / "data"):
        said = doctor("--json", ITP_API_PORT=str(port))
    assert _found(said, f"port {port}")[0]["level"] == "warn"


def test_a_file_that_is_no_database_is_found(doctor: Itp, itp: Itp, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "study.db").write_text("no database at all, but a text of some length")
    assert _found(doctor("--json"), "database")[0]["level"] == "fail"
    said = itp("subjects")
    assert (said.code, said.err.count("\n")) == (1, 1)
    assert said.err.startswith("the database cannot be opened: file is not a database")


def test_the_last_good_backup_is_told_where_the_service_makes_some(
    doctor: Itp, tmp_path: Path, at: At, enrolled: Study
) -> None:
    into = {"ITP_BACKUP_DIR": str(tmp_path / "backups")}
    assert _found(doctor("--json"), "backup") == []
    [none] = _found(doctor("--json", **into), "backup")
    assert (none["level"], "none has been made" in none["said"]) == ("warn", True)
    store, now = Store.open(f"sqlite:///{tmp_path / 'data' / 'study.db'}"), Clock().now()
    beat(store, BACKUP, now)
    [good] = _found(doctor("--json", **into), "backup")
    assert (good["level"], f"{now:%Y-%m-%d %H:%M} UTC" in good["said"]) == ("ok", True)
    beat(store, BACKUP, now - timedelta(hours=49))
    [late] = _found(doctor("--json", **into), "backup")
    assert (late["level"], "overdue" in late["said"]) == ("warn", True)
    store.close()


@pytest.mark.requirement("DTY-02")
def test_gaps_people_without_a_recipient_and_absent_deputies_are_warned_of(doctor: Itp, itp: Itp) -> None:
    itp("duty", "set", "coordinator", "daily", "crc.li", "--site", "01")
    itp("duty", "absent", "crc.li", "2020-01-01", "--deputy", "crc.wang")
    itp("duty", "absent", "crc.wang", "2020-01-01")
    said = [each["said"] for each in _found(doctor("--json"), "duty")]
    assert any(each.startswith("nobody is coordinator at site 01") for each in said)
    assert any("crc.wang, the deputy of crc.li, is away too" in each for each in said)


@pytest.mark.requirement("DTY-02")
def test_a_recipient_whose_tag_is_nobody_s_is_warned_of(doctor: Itp, itp: Itp, tmp_path: Path) -> None:
    config = tmp_path / "apprise.conf"
    lines = [f"{tag}=json://127.0.0.1:1/{tag}" for tag in ("coordinator", "cra-chen", "cordinator")]
    config.write_text("\n".join(lines))
    itp("account", "add", "cra.chen", "--name", "Chen", "--role", "monitor")
    said = [each["said"] for each in _found(doctor("--json", ITP_APPRISE_CONFIG=str(config)), "duty")]
    assert [each.partition(" ")[0] for each in said] == ["cordinator"]
