from datetime import timedelta

import pytest

from tasks.backoff import SEND_IN_DOUBT, SEND_REFUSED, WAKE, Backoff

pytestmark = pytest.mark.requirement("DLV-04")

FIRST, LONGEST = WAKE.first.total_seconds(), WAKE.longest.total_seconds()


def test_a_subject_that_never_failed_does_not_rest() -> None:
    assert Backoff(WAKE).is_over("ITP-001")


def test_each_failure_in_a_row_doubles_the_rest_up_to_a_bound() -> None:
    rest = Backoff(WAKE)
    assert [rest.failed("ITP-001") for _ in range(3)] == [FIRST, 2 * FIRST, 4 * FIRST]
    assert [rest.failed("ITP-001") for _ in range(9)][-1] == LONGEST
    assert not rest.is_over("ITP-001")


def test_one_subject_s_failures_keep_no_other_waiting() -> None:
    rest = Backoff(WAKE)
    rest.failed("ITP-001")
    assert rest.is_over("ITP-002")
    assert rest.resting() == {"ITP-001"}


def test_a_success_ends_the_rest_and_forgets_the_failures() -> None:
    rest = Backoff(WAKE)
    rest.failed("ITP-001")
    rest.succeeded("ITP-001")
    assert rest.is_over("ITP-001")
    assert rest.failed("ITP-001") == FIRST


def test_after_a_silence_of_the_database_the_rest_stays_short() -> None:
    rest = Backoff(WAKE)
    assert {rest.unanswered("ITP-001") for _ in range(9)} == {FIRST}
    assert not rest.is_over("ITP-001")


def test_what_is_left_alone_for_no_time_may_be_tried_at_once() -> None:
    rest = Backoff(WAKE)
    rest.unanswered("ITP-001", timedelta())
    assert rest.is_over("ITP-001")
    assert len(rest) == 1


def test_refused_sends_back_off_up_to_a_quarter_of_an_hour() -> None:
    waits = [SEND_REFUSED.after(failures).total_seconds() for failures in (1, 2, 3, 4, 8, 9, 1000)]
    assert waits == [5, 10, 20, 40, 640, 900, 900]


def test_what_may_have_arrived_is_repeated_ever_more_rarely() -> None:
    waits = [SEND_IN_DOUBT.after(doubts) / timedelta(minutes=1) for doubts in (1, 2, 5, 7, 8, 1000)]
    assert waits == [0.5, 1, 8, 32, 60, 60]
