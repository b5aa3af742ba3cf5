from deployments.service.backoff import FIRST_SECONDS, LONGEST_SECONDS, Backoff


def test_a_subject_that_never_failed_does_not_rest() -> None:
    assert Backoff().is_over("ITP-001")


def test_each_failure_in_a_row_doubles_the_rest_up_to_a_bound() -> None:
    rest = Backoff()
    assert [rest.failed("ITP-001") for _ in range(3)] == [FIRST_SECONDS, 2 * FIRST_SECONDS, 4 * FIRST_SECONDS]
    assert [rest.failed("ITP-001") for _ in range(9)][-1] == LONGEST_SECONDS
    assert not rest.is_over("ITP-001")


def test_one_subject_s_failures_keep_no_other_waiting() -> None:
    rest = Backoff()
    rest.failed("ITP-001")
    assert rest.is_over("ITP-002")


def test_a_success_ends_the_rest_and_forgets_the_failures() -> None:
    rest = Backoff()
    rest.failed("ITP-001")
    rest.succeeded("ITP-001")
    assert rest.is_over("ITP-001")
    assert rest.failed("ITP-001") == FIRST_SECONDS


def test_after_a_silence_of_the_database_the_rest_stays_short() -> None:
    rest = Backoff()
    assert {rest.unanswered("ITP-001") for _ in range(9)} == {FIRST_SECONDS}
    assert not rest.is_over("ITP-001")
