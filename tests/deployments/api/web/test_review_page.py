"""The monitor's review: filters, the table, and a signature that binds what was listed."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.database import service_log
from tasks.database.event_log import Origin
from tasks.signatures.signing import Signature, reviews_in
from tests.support.api import Door, done, served
from tests.support.pages import Person, said
from tests.support.people import with_password, with_tokens

pytestmark = pytest.mark.requirement("WHO-10")

PASSWORD = "a sentence for monitoring"


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    with served(Path(tmp_path_factory.mktemp("review")) / "data") as door:
        door.enrol("ITP-001", 3)
        yield door


@pytest.fixture(scope="module")
def monitor(door: Door) -> Person:
    return with_password(door, "mon.sun", "monitor", PASSWORD)


def test_the_list_has_what_the_filters_ask_for(door: Door, monitor: Person) -> None:
    page = monitor.open("/review")
    assert "password set" in page
    assert "signed in from 127.0.0.1" in page
    only = monitor.open("/review?since=&kind=sign-in")
    assert "signed in from 127.0.0.1" in only
    assert "password set" not in only
    assert "Nothing of what is asked for." in monitor.open("/review?since=&subject=ITP-404")
    assert monitor.client.get("/review?since=yesterday").status_code == 422
    table = monitor.client.get("/review.csv?since=&kind=account").text
    assert table.splitlines()[0].lstrip("\ufeff").startswith('"at","kind","subject"')
    assert '"mon.sun: added"' in table


def test_what_was_refused_exported_and_backed_up_is_listed(door: Door, monitor: Person) -> None:
    answer = door.post([done("INF4", door.now, "ITP-001")], headers=door.token("recorder"))
    assert answer.status_code == 409
    with door.study.store.writing() as connection:
        service_log.note(connection, "exported", "july", Origin("os:test", "cli"), door.now, {})
        service_log.note(connection, "backed-up", "itp-1.tar", Origin("os:test", "cli"), door.now, {})
    page = monitor.open("/review?since=&kind=refusal&kind=export&kind=backup")
    for sentence in ("Refused: ", "july", "itp-1.tar"):
        assert sentence in page


def test_changed_settings_are_listed_in_the_reader_s_language(door: Door, monitor: Person) -> None:
    change = {"place": "here:/data", "before": "24.0", "after": None}
    with door.study.store.writing() as connection:
        origin = Origin("os:test", "cli")
        service_log.note(connection, "settings", "ITP_BACKUP_HOURS", origin, door.now, change)
    page = monitor.open("/review?since=&kind=setting")
    assert "ITP_BACKUP_HOURS at here:/data: not set; before: 24.0" in page
    reader = with_tokens(door, [("mon.li", "monitor")])["mon.li"]
    reader.client.post("/language", data={"language": "zh-CN", "to": "/today"})
    chinese = reader.open("/review?since=&kind=setting")
    assert "ITP_BACKUP_HOURS（here:/data）：未设置；此前：24.0" in chinese


def test_a_review_is_signed_by_the_password_alone(door: Door, monitor: Person) -> None:
    monitor.open("/review?since=&kind=account")
    form = {"since": "", "kind.account": "yes"}
    wrong = monitor.client.post("/review", data=monitor.last | form | {"token": "guessed"})
    assert wrong.status_code == 422
    assert "password is wrong" in said(wrong)
    signed = form | {"token": PASSWORD}
    page = monitor.answered(monitor.client.post("/review", data=monitor.last | signed))
    assert "Signed. The signature stands below." in page
    assert "Name of mon.sun (mon.sun)" in page


def test_a_review_that_is_sent_again_counts_once(door: Door, monitor: Person) -> None:
    monitor.open("/review?since=&kind=account")
    sent = dict(monitor.last)
    before = _reviews(door)
    for word in ("Signed.", "it counts once"):
        monitor.last = monitor.last | {"id": sent["id"]}
        data = monitor.last | {"since": "", "kind.account": "yes", "token": PASSWORD}
        assert word in monitor.answered(monitor.client.post("/review", data=data))
    after = _reviews(door)
    assert len(after) == len(before) + 1
    statement = after[-1].statement
    assert statement is not None
    assert statement["kinds"] == ["account"]
    assert set(statement["entries"]) == {"account"}


def test_others_read_and_do_not_sign(door: Door) -> None:
    reader = with_tokens(door, [("crc.he", "recorder")])["crc.he"]
    assert "Monitors and investigators sign" in reader.open("/review")
    assert reader.again("/review", token=reader.token).status_code == 403


def _reviews(door: Door) -> list[Signature]:
    with door.study.store.reading() as connection:
        return reviews_in(connection)
