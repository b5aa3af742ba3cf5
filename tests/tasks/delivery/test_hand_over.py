import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from itp_events.events import NoticeClosed
from itp_events.protocol.file import load_protocol
from tasks.database import instance, queries
from tasks.database.monitoring import failing_channels
from tasks.database.unreadable import Unreadable
from tasks.delivery import deliveries
from tasks.delivery.claims import Claim
from tasks.delivery.deliver import hand_over_claimed
from tasks.delivery.sending import Outcome
from tasks.text.render import marked_repeated
from tests.support import Receiver, wait_until
from tests.support.hand_over import hand_over
from tests.support.study import Study, altered
from tests.tasks.desk import ENROLLED_AT, Desk, ReportedLate, later, outcomes

pytestmark = pytest.mark.requirement("DLV-01")

TODAY = "INF1/T/coordinator"


@pytest.fixture
def study() -> Study:
    """What happens to ITP-001, of whom one notice is due at the enrolment."""
    return ReportedLate()


def test_a_notice_goes_to_its_audience_and_its_outcome_is_recorded(
    desk: Desk, study: Study, told: Receiver
) -> None:
    desk.take(study.enrol())
    desk.hand_over(ENROLLED_AT)
    [request] = told.requests
    assert request.path == "/coordinator"
    assert request.body["title"] == "ITP-001: Infusion 1 (INF1) is due, target Sun 4 Jan 2026†"
    assert outcomes(desk.attempts()) == ["sent"]
    assert desk.notice(TODAY).status == "delivered"


def test_what_has_been_delivered_is_not_handed_over_again(desk: Desk, study: Study, told: Receiver) -> None:
    desk.take(study.enrol())
    for hour in range(3):
        desk.hand_over(later(ENROLLED_AT, hours=hour))
        desk.hand_over(later(ENROLLED_AT, hours=hour), subject=None)
    assert len(told.requests) == 1


def test_the_sweep_hands_over_for_every_subject(desk: Desk, told: Receiver) -> None:
    for number, code in enumerate(("ITP-001", "ITP-002", "ITP-003")):
        study = ReportedLate(code=code)
        study.last_id = 10 * number
        desk.take(study.enrol())
    desk.hand_over(ENROLLED_AT, subject=None)
    assert sorted(request.body["title"][:7] for request in told.requests) == ["ITP-001", "ITP-002", "ITP-003"]


def test_each_address_of_an_audience_is_a_delivery_of_its_own(
    desk: Desk, study: Study, receiver: Receiver, tmp_path: Path
) -> None:
    desk.configure(
        tmp_path / "apprise.txt",
        f"coordinator={receiver.apprise_url('one')}",
        f"coordinator={receiver.apprise_url('two')}",
        f"coordinator-01={receiver.apprise_url('site-one')}",
        f"coordinator-02={receiver.apprise_url('site-two')}",
        f"investigator={receiver.apprise_url('investigator')}",
    )
    desk.take(study.enrol())
    desk.hand_over(ENROLLED_AT)
    assert sorted(request.path for request in receiver.requests) == ["/one", "/site-one", "/two"]
    assert len(desk.attempts()) == 3


@pytest.mark.requirement("DLV-03")
def test_a_notice_that_became_pointless_before_its_hand_over_is_withdrawn(
    desk: Desk, study: Study, told: Receiver
) -> None:
    desk.take(study.enrol())
    desk.take(study.done("INF1", "2026-01-05"))
    desk.hand_over(ENROLLED_AT)
    row = desk.notice(TODAY)
    assert (row.status, row.reason, row.handed_at) == ("withdrawn", "INF1 is completed", None)
    assert TODAY not in str([request.body for request in told.requests])
    assert all("INF2" in request.body["title"] for request in told.requests)


@pytest.mark.requirement("DLV-03")
def test_the_claim_itself_finds_that_a_notice_has_become_pointless(
    desk: Desk, study: Study, told: Receiver
) -> None:
    desk.take(study.enrol())
    desk.hand_over(later(ENROLLED_AT, days=10))
    assert desk.notice(TODAY).status == "withdrawn"
    assert not any("is due, target" in request.body["title"] for request in told.requests)


def test_a_withdrawn_notice_whose_duty_is_due_again_is_reopened_and_sent(
    desk: Desk, study: Study, told: Receiver
) -> None:
    desk.take(study.enrol())
    done = study.done("INF1", "2026-01-05")
    desk.take(done)
    desk.take(study.voided(done, later(ENROLLED_AT, hours=1)), now=later(ENROLLED_AT, hours=1))
    assert desk.notice(TODAY).status == "queued"
    desk.hand_over(later(ENROLLED_AT, hours=1))
    assert desk.notice(TODAY).status == "delivered"
    assert len(told.at("coordinator")) == 1


def test_a_delivered_notice_stays_delivered_when_its_duty_ends(
    desk: Desk, study: Study, told: Receiver
) -> None:
    desk.take(study.enrol())
    desk.hand_over(ENROLLED_AT)
    desk.take(study.done("INF1", "2026-01-05", at="2026-01-05 12:00"))
    closed = [
        event for event in queries.history(desk.store, "ITP-001") if isinstance(event.data, NoticeClosed)
    ]
    assert [TODAY in event.id for event in closed] == [True]
    assert desk.notice(TODAY).status == "delivered"


def test_a_subject_whose_rules_are_missing_does_not_keep_the_notices_of_others(
    desk: Desk, told: Receiver
) -> None:
    desk.protocol = altered(lambda data: data.update(version="9"))
    desk.take(ReportedLate(code="ITP-001", protocol=desk.protocol).enrol())
    desk.protocol = load_protocol()
    other = ReportedLate(code="ITP-002")
    other.last_id = 10
    desk.take(other.enrol())
    with pytest.raises(Unreadable, match="version '9' is not installed"):
        desk.hand_over(ENROLLED_AT, subject=None)
    assert [request.body["title"][:7] for request in told.requests] == ["ITP-002"]


def test_a_refused_message_is_sent_again_later_and_not_marked(
    desk: Desk, study: Study, told: Receiver
) -> None:
    desk.take(study.enrol())
    told.fail(503)
    desk.hand_over(ENROLLED_AT)
    told.succeed()
    desk.hand_over(later(ENROLLED_AT, minutes=1))
    assert [(row.outcome, row.error, row.repeated) for row in desk.attempts()] == [
        ("failed", "the provider answered 503", False),
        ("sent", None, False),
    ]
    assert not any("repeated" in request.body["title"] for request in told.requests)


@pytest.mark.requirement("DLV-02")
def test_a_message_whose_answer_was_lost_is_marked_when_it_is_sent_again(
    desk: Desk, study: Study, told: Receiver
) -> None:
    desk.take(study.enrol())
    told.die()
    desk.hand_over(ENROLLED_AT)
    told.succeed()
    desk.hand_over(later(ENROLLED_AT, minutes=1))
    assert [(row.outcome, row.repeated) for row in desk.attempts()] == [("unknown", False), ("sent", True)]
    first, again = told.requests
    assert again.body["title"] == f"[possibly repeated] {first.body['title']}"
    assert again.body["message"].startswith("You may have received this message before")


@pytest.mark.requirement("DLV-02")
def test_the_mark_is_in_the_language_of_the_site() -> None:
    title, body = marked_repeated("标题", "正文", "zh-CN")
    assert title == "【可能重复】标题"
    assert body.endswith("正文")


def test_nothing_is_tried_again_before_its_time(desk: Desk, study: Study, told: Receiver) -> None:
    desk.take(study.enrol())
    told.fail()
    desk.hand_over(ENROLLED_AT)
    desk.hand_over(later(ENROLLED_AT, seconds=4), subject=None)
    assert len(told.requests) == 1
    desk.hand_over(later(ENROLLED_AT, seconds=10), subject=None)
    assert len(told.requests) == 2
    desk.hand_over(later(ENROLLED_AT, seconds=19), subject=None)
    assert len(told.requests) == 2


@pytest.mark.requirement("DLV-03")
def test_a_failed_notice_that_has_become_pointless_is_not_tried_again(
    desk: Desk, study: Study, told: Receiver
) -> None:
    desk.take(study.enrol())
    told.fail()
    desk.hand_over(ENROLLED_AT)
    desk.take(study.done("INF1", "2026-01-05"))
    told.succeed()
    desk.hand_over(later(ENROLLED_AT, hours=1))
    assert desk.notice(TODAY).status == "withdrawn"
    assert [request.body["title"] for request in told.at("coordinator")][1:] == [
        "ITP-001: book Infusion 2 (INF2), target Mon 12 Jan 2026"
    ]


def test_an_order_of_cells_that_failed_is_not_tried_again_with_a_dose_that_no_longer_holds(
    desk: Desk, study: Study, told: Receiver
) -> None:
    """Tried in vain for 61.5 kg; the weight is corrected to 55 kg; the laboratory hears of one dose only."""
    enrolment = study.enrol()
    desk.take(enrolment, study.done("INF1", "2026-01-05"))
    told.fail()
    desk.hand_over(study.instant("2026-01-09 09:00"))
    right = study.enrolment("2026-01-05", at="2026-01-09 10:00", weight_kg=55)
    desk.take(study.void(enrolment, "2026-01-09 10:00"), right)
    told.succeed()
    desk.hand_over(study.instant("2026-01-09 11:00"))
    said = [str(request.body["message"]) for request in told.at("cell-lab")]
    assert ["6.15 × 10⁹ cells, that is" in each for each in said] == [True, False]
    assert "Dose: 5.5 × 10⁹ cells" in said[1]
    assert "replaces an earlier order for 6.15 × 10⁹ cells" in said[1]


def test_a_notice_that_never_got_through_ends_when_it_is_no_longer_of_use(
    desk: Desk, study: Study, told: Receiver
) -> None:
    desk.take(study.enrol())
    told.fail()
    desk.hand_over(ENROLLED_AT)
    told.succeed()
    desk.hand_over(later(ENROLLED_AT, days=20))
    row = desk.notice(TODAY)
    assert (row.status, row.reason) == ("withdrawn", "no longer of use before it got through")
    assert outcomes(desk.attempts())[0] == "failed"


def test_two_senders_at_once_send_a_notice_once(desk: Desk, study: Study, told: Receiver) -> None:
    desk.take(study.enrol())
    start = threading.Barrier(8)

    def send(_: int) -> None:
        start.wait()
        desk.hand_over(ENROLLED_AT)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(send, range(8)))
    assert len(told.requests) == 1


def test_while_a_lease_lasts_nobody_else_sends(desk: Desk, study: Study, told: Receiver) -> None:
    desk.take(study.enrol())
    assert len(desk.claim(ENROLLED_AT)) == 1
    desk.hand_over(later(ENROLLED_AT, seconds=59))
    desk.hand_over(later(ENROLLED_AT, seconds=59), subject=None)
    assert told.requests == []


def test_a_lease_that_ran_out_is_recorded_as_unknown_before_it_is_taken_over(
    desk: Desk, study: Study, told: Receiver
) -> None:
    desk.take(study.enrol())
    desk.claim(ENROLLED_AT)
    desk.hand_over(later(ENROLLED_AT, seconds=61), subject=None)
    assert [(row.number, row.outcome, row.repeated) for row in desk.attempts()] == [
        (1, "unknown", False),
        (2, "sent", True),
    ]
    assert desk.attempts()[0].error == "the sender ended before the outcome was known"
    assert "[possibly repeated]" in told.requests[0].body["title"]


def test_an_outcome_that_comes_after_its_send_was_given_up_is_kept_and_disturbs_no_other(
    desk: Desk, study: Study, told: Receiver
) -> None:
    desk.take(study.enrol())
    told.hang()
    slow = threading.Thread(target=desk.hand_over, args=(ENROLLED_AT,))
    slow.start()
    told.wait_for(1)
    desk.claim(later(ENROLLED_AT, seconds=90))
    told.succeed()
    slow.join()
    assert [(row.number, row.outcome) for row in desk.attempts()] == [(1, "sent"), (2, None)]


def test_what_arrived_by_a_send_that_was_given_up_is_not_sent_again(
    desk: Desk, study: Study, told: Receiver
) -> None:
    desk.take(study.enrol())
    [given_up] = desk.claim(ENROLLED_AT)
    [again] = desk.claim(later(ENROLLED_AT, seconds=90))
    desk.end(given_up, Outcome("sent"))
    desk.end(again, Outcome("failed", "the provider answered 503"))
    assert desk.notice(TODAY).status == "delivered"
    desk.hand_over(later(ENROLLED_AT, hours=1))
    assert told.requests == []


@pytest.mark.requirement("DLV-02")
def test_a_message_that_arrived_while_its_outcome_counted_as_unknown_is_not_sent_again(
    desk: Desk, study: Study, told: Receiver
) -> None:
    desk.take(study.enrol())
    [taken] = desk.claim(ENROLLED_AT)
    desk.end(taken, Outcome("unknown", "no answer"))
    desk.end(taken, Outcome("sent"))
    assert outcomes(desk.attempts()) == ["sent"]
    desk.hand_over(later(ENROLLED_AT, hours=1))
    assert (desk.notice(TODAY).status, told.requests) == ("delivered", [])


@pytest.mark.requirement("DLV-02")
def test_a_message_that_surely_did_not_arrive_after_all_is_sent_again_without_a_mark(
    desk: Desk, study: Study, told: Receiver
) -> None:
    desk.take(study.enrol())
    [taken] = desk.claim(ENROLLED_AT)
    desk.end(taken, Outcome("unknown", "no answer"))
    desk.end(taken, Outcome("failed", "the provider answered 503"))
    desk.hand_over(later(ENROLLED_AT, hours=1))
    assert "repeated" not in told.requests[0].body["title"]


def test_a_send_that_was_not_begun_is_no_fault_of_its_provider_and_is_tried_at_once(
    desk: Desk, study: Study, told: Receiver
) -> None:
    desk.take(study.enrol())
    [taken] = desk.claim(ENROLLED_AT)
    desk.end(taken, Outcome("failed", "not begun", tried=False))
    assert failing_channels(desk.store) == []
    desk.hand_over(later(ENROLLED_AT, seconds=1))
    assert [request.body["title"][:7] for request in told.requests] == ["ITP-001"]


def test_a_send_is_not_begun_when_its_process_gave_no_sign_of_life_since_the_claim(
    desk: Desk, study: Study, told: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.take(study.enrol())
    taken = desk.claim(ENROLLED_AT)
    monkeypatch.setattr(instance, "SIGN_WITHIN", 0.0)
    [handed] = hand_over_claimed(desk.context, "ITP-001", taken)
    assert (handed.outcome.kind, handed.outcome.tried) == ("failed", False)
    assert told.requests == []


def test_one_outcome_that_cannot_be_recorded_loses_no_other(
    desk: Desk, study: Study, told: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = later(ENROLLED_AT, hours=1)
    desk.take(study.enrol())
    desk.hand_over(ENROLLED_AT)
    desk.take(study.adverse_event("2026-01-05", at=at, serious=True))
    end = deliveries.lock_and_end
    broken: list[str] = []

    def fail_once(connection: sa.Connection, taken: Claim, *how: Any) -> tuple[bool, bool]:
        if not broken:
            broken.append(taken.notice)
            raise ZeroDivisionError
        return end(connection, taken, *how)

    monkeypatch.setattr(deliveries, "lock_and_end", fail_once)
    with pytest.raises(ZeroDivisionError):
        desk.hand_over(at)
    assert sorted(map(str, outcomes(desk.attempts()))) == ["None", "sent", "sent"]


def test_a_hand_over_already_begun_is_not_recalled(desk: Desk, study: Study, told: Receiver) -> None:
    desk.take(study.enrol())
    told.hang()
    slow = threading.Thread(target=desk.hand_over, args=(ENROLLED_AT,))
    slow.start()
    told.wait_for(1)
    desk.take(study.done("INF1", "2026-01-05"))
    told.succeed()
    slow.join()
    assert desk.notice(TODAY).status == "withdrawn"
    assert outcomes([row for row in desk.attempts() if TODAY in row.notice]) == ["sent"]


def test_no_step_of_a_send_holds_a_transaction(desk: Desk, study: Study, told: Receiver) -> None:
    desk.take(study.enrol())
    told.hang()
    slow = threading.Thread(target=desk.hand_over, args=(ENROLLED_AT,))
    slow.start()
    told.wait_for(1)
    assert desk.take(study.booked("INF1", "2026-01-06", at="2026-01-05 12:00"))[0].status == "recorded"
    assert slow.is_alive()
    told.succeed()
    slow.join()


def test_who_is_added_to_the_configuration_later_gets_what_is_issued_later(
    desk: Desk, study: Study, receiver: Receiver, tmp_path: Path
) -> None:
    first = f"coordinator={receiver.apprise_url('first')}"
    desk.configure(tmp_path / "apprise.txt", first)
    desk.take(study.enrol())
    receiver.fail()
    desk.hand_over(ENROLLED_AT)
    receiver.succeed()
    desk.configure(tmp_path / "apprise.txt", first, f"coordinator={receiver.apprise_url('second')}")
    desk.hand_over(later(ENROLLED_AT, minutes=1))
    assert [request.path for request in receiver.requests] == ["/first", "/first"]


def test_a_recipient_that_was_corrected_in_the_configuration_is_tried_in_its_place(
    desk: Desk, study: Study, receiver: Receiver, tmp_path: Path
) -> None:
    config = tmp_path / "apprise.txt"
    desk.take(study.enrol())
    receiver.fail(404)
    for minute, path in enumerate(("wrong", "right", "wrong")):
        desk.configure(config, f"coordinator={receiver.apprise_url(path)}")
        desk.hand_over(later(ENROLLED_AT, minutes=minute))
    receiver.succeed()
    desk.hand_over(later(ENROLLED_AT, minutes=30))
    assert [request.path for request in receiver.requests] == ["/wrong", "/right", "/wrong", "/wrong"]
    assert desk.notice(TODAY).status == "delivered"


def test_a_notice_is_delivered_once_the_recipients_that_are_left_have_it(
    desk: Desk, study: Study, receiver: Receiver, tmp_path: Path
) -> None:
    config, good = tmp_path / "apprise.txt", f"coordinator={receiver.apprise_url('good')}"
    desk.configure(config, good, "coordinator=json://127.0.0.1:1/nobody")
    desk.take(study.enrol())
    desk.hand_over(ENROLLED_AT)
    assert desk.notice(TODAY).status == "queued"
    desk.configure(config, good)
    desk.hand_over(later(ENROLLED_AT, minutes=1))
    assert desk.notice(TODAY).status == "delivered"
    assert len(receiver.requests) == 1


def test_without_a_configuration_notices_are_printed_and_kept(desk: Desk, study: Study) -> None:
    desk.take(study.enrol())
    desk.hand_over(ENROLLED_AT)
    printed = desk.out.getvalue()
    assert printed.count("ITP-001: Infusion 1 (INF1) is due, target Sun 4 Jan 2026†\n\n") == 1
    row = desk.notice(TODAY)
    assert row.status == "delivered"
    assert row.body
    assert row.body in printed


def test_an_audience_without_an_address_is_told_on_the_console(
    desk: Desk, study: Study, receiver: Receiver, tmp_path: Path
) -> None:
    desk.configure(tmp_path / "apprise.txt", f"investigator={receiver.apprise_url('investigator')}")
    desk.take(study.enrol())
    desk.hand_over(ENROLLED_AT)
    assert "is due, target" in desk.out.getvalue()
    assert receiver.requests == []


def test_a_console_that_is_closed_loses_nothing(desk: Desk, study: Study) -> None:
    desk.take(study.enrol())
    desk.out.close()
    desk.hand_over(ENROLLED_AT)
    assert outcomes(desk.attempts()) == ["failed"]
    assert desk.notice(TODAY).status == "queued"


def test_several_messages_of_a_subject_are_sent_side_by_side(
    desk: Desk, study: Study, told: Receiver
) -> None:
    at = later(ENROLLED_AT, hours=1)
    desk.take(study.enrol())
    desk.hand_over(ENROLLED_AT)
    desk.take(study.adverse_event("2026-01-05", at=at, serious=True))
    told.hang()
    slow = threading.Thread(target=desk.hand_over, args=(at,))
    slow.start()
    wait_until(lambda: len(told.requests) >= 3, "both alerts, while neither is answered")
    told.succeed()
    slow.join()
    assert sorted(request.path for request in told.requests[1:3]) == ["/investigator", "/sponsor"]


def test_the_machines_time_and_not_the_studys_decides_when_a_lease_ends(
    desk: Desk, study: Study, told: Receiver
) -> None:
    desk.take(study.enrol())
    desk.claim(ENROLLED_AT)
    fast = later(ENROLLED_AT, hours=8)
    hand_over(desk.store, desk.protocol, desk.channels, fast, wall=later(ENROLLED_AT, seconds=5))
    assert told.requests == []
    hand_over(desk.store, desk.protocol, desk.channels, fast, wall=later(ENROLLED_AT, seconds=65))
    assert len(told.requests) == 1


@pytest.mark.parametrize("clocks", [ENROLLED_AT, later(ENROLLED_AT, days=40)])
def test_a_hand_over_with_nothing_due_writes_nothing(desk: Desk, told: Receiver, clocks: datetime) -> None:
    assert desk.hand_over(clocks, subject=None) == []
    assert desk.notices(None) == []


def test_a_claim_asks_the_database_no_more_often_for_many_recipients(
    desk: Desk, study: Study, receiver: Receiver, tmp_path: Path
) -> None:
    asked: list[str] = []
    sa.event.listen(desk.store.engine, "before_cursor_execute", lambda *call: asked.append(call[2]))
    desk.take(study.enrol())
    desk.hand_over(ENROLLED_AT)
    counts = []
    for number, addresses in enumerate((1, 5)):
        path = tmp_path / f"{addresses}.txt"
        named = [(who, place) for who in ("investigator", "sponsor") for place in range(addresses)]
        desk.configure(path, *(f"{who}={receiver.apprise_url(f'{who}{place}')}" for who, place in named))
        desk.take(study.adverse_event("2026-01-05", ae=f"AE-{number}", serious=True))
        asked.clear()
        assert len(desk.claim(later(ENROLLED_AT, seconds=number + 1))) == 2 * addresses
        counts.append(len(asked))
    assert counts[0] == counts[1]
