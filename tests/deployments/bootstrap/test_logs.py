"""What the service says in its own terminal."""

import logging

from deployments.bootstrap.logs import LONGEST, TRACE_HEAD, TRACE_TAIL, OneLine


def test_a_message_is_one_line_whatever_a_request_held() -> None:
    record = logging.makeLogRecord({"msg": "401 POST /webhooks/%s: 不", "args": ("x\n12:00 forged\x1b[31m",)})
    assert OneLine("%(message)s").format(record) == r"401 POST /webhooks/x\n12:00 forged\x1b[31m: 不"


def test_a_message_is_cut_where_it_is_longer_than_a_line_should_be() -> None:
    written = OneLine("%(message)s").format(
        logging.makeLogRecord({"msg": "GET /%s", "args": ("a" * 60_000,)})
    )
    assert len(written) < 2 * LONGEST
    assert written.endswith("... (60005 characters)")


def test_a_traceback_is_bounded_and_none_of_its_lines_passes_for_one_of_the_log() -> None:
    def deeper(left: int) -> None:
        if left:
            deeper(left - 1)
        raise ValueError("x" * 10_000 + "\n12:00:00 forged\x1b[31m")

    try:
        deeper(200)
    except ValueError as error:
        record = logging.makeLogRecord(
            {"msg": "failed", "exc_info": (type(error), error, error.__traceback__)}
        )
    # Another handler has written it before.
    logging.Formatter().format(record)
    first, *rest = OneLine("%(message)s").format(record).splitlines()
    assert first == "failed"
    assert len(rest) <= TRACE_HEAD + TRACE_TAIL + 1
    assert all(line.startswith("  | ") and len(line) < 2 * LONGEST and line.isprintable() for line in rest)
    assert "forged" in rest[-1]
