"""What the service says in its own terminal."""

import json
import logging
import threading

import pytest

from deployments.bootstrap.logs import LONGEST, TRACE_HEAD, TRACE_TAIL, OneLine, OneObject
from tasks.spans import carried, current_subject, span

pytestmark = pytest.mark.requirement("TXT-02")


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


def test_in_json_each_record_is_one_object_that_names_instant_level_part_and_subject() -> None:
    record = logging.makeLogRecord(
        {
            "name": "deployments.service.wakes",
            "levelname": "WARNING",
            "created": 1767578400.25,
            "msg": "late: %s",
            "args": ("x\n{",),
        }
    )
    with span("wake", "ITP-001"):
        line = OneObject().format(record)
    assert "\n" not in line
    assert json.loads(line) == {
        "at": "2026-01-05T02:00:00.250+00:00",
        "level": "warning",
        "part": "deployments.service.wakes",
        "said": r"late: x\n{",
        "subject": "ITP-001",
    }


def test_in_json_a_traceback_stays_on_the_line_of_its_record() -> None:
    try:
        raise ValueError("x\n{} forged")
    except ValueError as error:
        record = logging.makeLogRecord(
            {"msg": "failed", "exc_info": (type(error), error, error.__traceback__)}
        )
    line = OneObject().format(record)
    assert len(line.splitlines()) == 1
    assert json.loads(line)["traceback"].endswith("  | {} forged")


def test_what_other_threads_do_within_a_span_names_its_subject_too() -> None:
    said: list[str | None] = []
    with span("door", "ITP-001"):
        work = carried(lambda: said.append(current_subject()))
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert (said, current_subject()) == (["ITP-001"], None)
