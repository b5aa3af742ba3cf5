"""Notices reach the people on duty, whoever that is when they are handed over, and nobody twice."""

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from itp_events.duty.changes import Change, read_change
from itp_events.errors import BadInput
from tasks.database import duty
from tasks.database.schema import accounts
from tasks.delivery import deliveries, duty_gaps
from tests.support import Receiver
from tests.support.study import Study
from tests.tasks.desk import ENROLLED_AT, Desk, ReportedLate, later

pytestmark = pytest.mark.requirement("DTY-01")

EVERY_DAY = [1, 2, 3, 4, 5, 6, 7]
PEOPLE = ("crc.li", "crc.wang", "pi.chen")


@pytest.fixture
def study() -> Study:
    """What happens to ITP-001, of whom one notice is due at the enrolment."""
    return ReportedLate()


@pytest.fixture
def told(desk: Desk, receiver: Receiver, tmp_path: Path) -> Receiver:
    """Two coordinators and an investigator with an address each, and one address for each audience."""
    audiences = ("coordinator", "investigator", "sponsor", "cell-lab", "ops")
    desk.configure(
        tmp_path / "apprise.txt",
        *(f"{each.replace('.', '-')}={receiver.apprise_url(each)}" for each in PEOPLE),
        *(f"{each}={receiver.apprise_url(each)}" for each in audiences),
        f"always={receiver.apprise_url('always')}",
    )
    return receiver


def state(desk: Desk, what: str, **said: Any) -> Change:
    change = read_change({"what": what, **said})
    duty.state(desk.store, change, ENROLLED_AT, actor="os:test", door="cli")
    return change


def rota(desk: Desk, *people: str, audience: str = "coordinator", first: str = "2026-01-01") -> None:
    said = {"audience": audience, "site": "01", "days": EVERY_DAY}
    state(desk, "rota", people=list(people), first=first, **said)


def who(label: str) -> str:
    """The tag by which a recipient is called."""
    return label.partition(" (")[0].replace("crc-li", "crc.li")


def paths(receiver: Receiver) -> list[str]:
    return sorted(request.path for request in receiver.requests if request.path != "/always")


def test_where_no_rota_exists_everybody_of_the_audience_is_told(
    desk: Desk, study: Study, told: Receiver
) -> None:
    rota(desk, "pi.chen", audience="investigator")
    desk.take(study.enrol())
    desk.hand_over(ENROLLED_AT)
    assert paths(told) == ["/coordinator"]


@pytest.mark.parametrize("at_once", [False, True])
def test_a_notice_goes_to_the_person_on_duty_and_to_nobody_else_of_the_audience(
    desk: Desk, study: Study, told: Receiver, at_once: bool
) -> None:
    rota(desk, "crc.li")
    desk.take(study.enrol(), at_once=at_once)
    if at_once:
        assert sorted(who(each.recipient.label) for each in desk.claimed) == ["always", "crc.li"]
        return
    desk.hand_over(ENROLLED_AT)
    assert paths(told) == ["/crc.li"]
    assert len(told.requests) == 2


def test_a_deputy_gets_what_had_no_other_recipient_before_it_was_delivered(
    desk: Desk, study: Study, told: Receiver
) -> None:
    rota(desk, "crc.li")
    desk.take(study.enrol())
    told.out_of_order.add("/crc.li")
    desk.hand_over(ENROLLED_AT)
    state(desk, "absent", person="crc.li", first="2026-01-05", last="2026-01-09", deputy="crc.wang")
    desk.hand_over(later(ENROLLED_AT, hours=1))
    assert paths(told) == ["/crc.li", "/crc.wang"]
    told.out_of_order.clear()
    desk.hand_over(later(ENROLLED_AT, hours=2))
    assert paths(told) == ["/crc.li", "/crc.wang"]
    assert desk.notice("INF1/T/coordinator").status == "delivered"


def test_what_has_been_delivered_is_sent_to_no_deputy(desk: Desk, study: Study, told: Receiver) -> None:
    rota(desk, "crc.li")
    desk.take(study.enrol())
    desk.hand_over(ENROLLED_AT)
    state(desk, "absent", person="crc.li", first="2026-01-05", last="2026-01-09", deputy="crc.wang")
    desk.hand_over(later(ENROLLED_AT, hours=1))
    assert paths(told) == ["/crc.li"]


def test_who_is_off_duty_is_dropped_once_another_has_it(desk: Desk, study: Study, told: Receiver) -> None:
    rota(desk, "crc.li", "crc.wang")
    desk.take(study.enrol())
    told.out_of_order.add("/crc.li")
    desk.hand_over(ENROLLED_AT)
    rota(desk, "pi.chen", first="2026-01-05")
    desk.hand_over(later(ENROLLED_AT, hours=1))
    assert paths(told) == ["/crc.li", "/crc.wang"]
    assert desk.notice("INF1/T/coordinator").status == "delivered"


def test_a_copy_that_goes_to_a_file_has_told_nobody(desk: Desk, study: Study, told: Receiver) -> None:
    rota(desk, "crc.li")
    desk.take(study.enrol())
    told.out_of_order.add("/crc.li")
    desk.hand_over(ENROLLED_AT)
    rota(desk, "crc.wang", first="2026-01-05")
    desk.hand_over(later(ENROLLED_AT, hours=1))
    assert paths(told) == ["/crc.li", "/crc.wang"]
    assert sum(request.path == "/always" for request in told.requests) == 1


def test_a_rota_that_begins_while_a_notice_waits_takes_effect_at_its_hand_over(
    desk: Desk, study: Study, told: Receiver
) -> None:
    desk.take(study.enrol())
    told.fail()
    desk.hand_over(ENROLLED_AT)
    rota(desk, "crc.li")
    told.succeed()
    desk.hand_over(later(ENROLLED_AT, hours=1))
    assert paths(told) == ["/coordinator", "/crc.li"]


@pytest.mark.requirement("DTY-02")
def test_where_nobody_is_on_duty_the_next_rung_is_told_why_and_operations_too(
    desk: Desk, study: Study, told: Receiver
) -> None:
    rota(desk, "crc.li")
    state(desk, "absent", person="crc.li", first="2026-01-05", last="2026-01-09")
    desk.take(study.enrol())
    desk.hand_over(ENROLLED_AT, subject=None)
    desk.hand_over(later(ENROLLED_AT, seconds=60), subject=None)
    assert paths(told) == ["/investigator", "/ops"]
    said = {request.path: request.body for request in told.requests}
    assert said["/investigator"]["message"].startswith(
        "You get this because nobody is on duty as coordinator: "
        "crc.li is away until Fri 9 Jan 2026 and no deputy is there."
    )
    assert said["/ops"]["title"].startswith("Nobody is on duty as coordinator at site 01")
    assert "crc.li is away" in said["/ops"]["message"]


@pytest.mark.requirement("DTY-02")
def test_operations_are_told_of_a_gap_once_a_day(desk: Desk, told: Receiver) -> None:
    rota(desk)
    for code in ("ITP-001", "ITP-002"):
        study = ReportedLate(code=code)
        study.last_id = int(code[-1]) * 10
        desk.take(study.enrol())
    desk.hand_over(ENROLLED_AT, subject=None)
    desk.hand_over(later(ENROLLED_AT, seconds=60), subject=None)
    assert [each.key for each in desk.notices(None) if each.step == duty_gaps.STEP] == [
        "duty-gap/01/coordinator/2026-01-05"
    ]
    assert paths(told).count("/ops") == 1


@pytest.mark.requirement("DTY-02")
def test_a_person_without_an_address_is_not_counted_on(desk: Desk, study: Study, told: Receiver) -> None:
    rota(desk, "crc.zhao")
    desk.take(study.enrol())
    desk.hand_over(ENROLLED_AT)
    [request] = [each for each in told.requests if each.path == "/investigator"]
    assert "crc.zhao has no address in the Apprise configuration" in request.body["message"]


def test_each_delivery_notes_as_whose_it_was_made(desk: Desk, study: Study, told: Receiver) -> None:

    rota(desk, "crc.li")
    desk.take(study.enrol())
    desk.hand_over(ENROLLED_AT)
    with desk.store.reading() as connection:
        rows = deliveries.of_notices(connection, [desk.notice("INF1/T/coordinator").key])
    assert {who(row.label): row.person for row in rows} == {"crc.li": "crc.li", "always": None}


def test_somebody_without_an_active_account_is_refused_once_there_are_accounts(desk: Desk) -> None:
    for code, active in (("crc.li", True), ("crc.wang", False)):
        _account(desk, code, active=active)
    rota(desk, "CRC.Li")
    with pytest.raises(BadInput, match=r"there is no account crc\.lee; did you mean crc\.li\?"):
        rota(desk, "crc.lee")
    with pytest.raises(BadInput, match=r"the account crc\.wang is not active"):
        state(desk, "absent", person="crc.li", first="2026-01-05", deputy="crc.wang")


def test_an_account_that_is_disabled_later_is_not_on_duty_any_more(
    desk: Desk, study: Study, told: Receiver
) -> None:
    rota(desk, "crc.li", "crc.wang")
    _account(desk, "crc.li", active=False)
    desk.take(study.enrol())
    desk.hand_over(ENROLLED_AT)
    assert paths(told) == ["/crc.wang"]


def _account(desk: Desk, code: str, *, active: bool) -> None:
    row = {"code": code, "name": code, "role": "recorder", "language": "en", "active": active}
    with desk.store.writing() as connection:
        connection.execute(
            accounts.insert(), row | {"speaks_for_others": False, "created_at": ENROLLED_AT, "sites": None}
        )


def test_changes_are_kept_for_ever(desk: Desk) -> None:

    rota(desk, "crc.li")
    for verb in ("UPDATE duty_changes SET door = 'x'", "DELETE FROM duty_changes"):
        with pytest.raises(sa.exc.DBAPIError, match="append-only"), desk.store.writing() as connection:
            connection.execute(sa.text(verb))
    assert [each.actor for each in duty.changes(desk.store)] == ["os:test"]
