"""The service's own ids are bounded and differ for each notice; a short one is what it always was."""

import json
from datetime import date

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from itp_events.events import EventKey, parse_recorded
from itp_events.notices.wanted import event_key, visit_key
from itp_events.rules.keys import (
    LONGEST_KEY,
    Unrecorded,
    about,
    bounded,
    day_of,
    decision_id,
    missed_key,
    next_key,
    previous_key,
    silent_key,
    stable,
    unrecorded,
)

pytestmark = pytest.mark.requirement("OUT-01")

CODE, AUDIENCE = "ITP-007", "investigator"
LONG = ("edc", "x" * 200)
CHINESE = ("四川大学华西医院电子数据采集系统", "严重不良事件-2026-001")
# A count of repetitions and a mark come on top of a key.
SUFFIXED = LONGEST_KEY + 20

names = st.one_of(
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=200),
    st.sampled_from(["x", "x~1", "x~void", "x~superseded", "x#2", "x/y", "x:y", *LONG, *CHINESE]),
)
event_keys = st.tuples(names, names)


def key_about(event: EventKey) -> str:
    return event_key(CODE, "sae", AUDIENCE, event)


def test_a_short_key_stays_as_it_was() -> None:
    assert key_about(("redcap", "8f1c")) == "ITP-007/sae/investigator/redcap:8f1c"
    assert visit_key(CODE, "INF3", "T-7d", AUDIENCE, date(2026, 1, 19)) == (
        "ITP-007/INF3/T-7d/investigator/2026-01-19"
    )
    assert key_about(("a", "b" * 173)) == "ITP-007/sae/investigator/a:" + "b" * 173
    assert next_key("a/b") == "a/b#2"
    assert next_key("a/b#2") == "a/b#3"
    assert decision_id("a/b#2", 1) == "a/b#2~1"


@given(event_keys)
def test_the_key_before_the_next_one_is_the_key_itself_and_the_first_has_none(event: EventKey) -> None:
    key = key_about(event)
    assert previous_key(key) is None
    assert previous_key(next_key(key)) == key
    assert previous_key(next_key(next_key(key))) == next_key(key)


def test_a_key_says_what_it_is_about_however_often_it_was_repeated() -> None:
    key = key_about(("redcap", "8f1c"))
    assert about(key) == about(next_key(key)) == "redcap:8f1c"
    assert about(visit_key(CODE, "INF3", "T-7d", AUDIENCE, date(2026, 1, 19))) == "2026-01-19"


def test_a_long_key_names_its_notice_and_ends_in_a_hash() -> None:
    assert key_about(LONG).startswith("ITP-007/sae/investigator/sha256-")
    assert len(key_about(CHINESE)) <= LONGEST_KEY


def test_a_long_key_about_a_date_keeps_the_date() -> None:
    key = visit_key("s" * 64, "V" * 200, "T-7d", AUDIENCE, date(2026, 1, 19))
    assert len(key) <= LONGEST_KEY
    assert key.endswith("/2026-01-19")
    assert day_of(key) == date(2026, 1, 19)


def test_a_key_about_an_event_counts_from_no_date() -> None:
    assert day_of(key_about(("redcap", "8f1c"))) is None


def test_a_visit_of_which_nothing_was_recorded_is_read_back_from_the_key_that_names_it() -> None:
    target = date(2026, 1, 19)
    assert unrecorded(missed_key(CODE, "FU-M1", target)) == Unrecorded("FU-M1", "missed")
    assert unrecorded(silent_key(CODE, "FU-M1", target)) == Unrecorded("FU-M1", "silent")
    assert unrecorded(("redcap", missed_key(CODE, "FU-M1", target)[1])) is None
    assert unrecorded(("itp", f"{CODE}/flagged/rescue-medication/site:e-3")) is None


@given(st.lists(event_keys, min_size=2, max_size=2, unique=True))
@example([LONG, ("edc", "x" * 199)])
@example([("edc", "x"), ("edc", "x~1")])
@example([("edc", "x"), ("edc", "x~void")])
def test_own_ids_of_two_events_never_meet_and_are_bounded(events: list[EventKey]) -> None:
    ids = [own for key in map(key_about, events) for own in _derived(key)]
    assert len(set(ids)) == len(ids)
    assert all(len(own) <= SUFFIXED for own in ids)


def _derived(key: str) -> list[str]:
    """The ids that one notice can lead to."""
    rows = [key, next_key(key), next_key(next_key(key))]
    return rows + [decision_id(row, mark) for row in rows for mark in ("void", "superseded", 1, 12)]


@given(event_keys)
def test_a_row_leads_back_to_its_key(event: EventKey) -> None:
    key = key_about(event)
    assert stable(next_key(next_key(key))) == stable(next_key(key)) == stable(key) == key
    assert next_key(next_key(key)) == f"{key}#3"


@given(event_keys)
def test_a_row_that_was_written_before_keys_were_bounded_leads_to_todays_key(event: EventKey) -> None:
    before = f"{CODE}/sae/{AUDIENCE}/{':'.join(map(_escaped, event))}"
    assert stable(before) == key_about(event)
    assert stable(f"{before}#2") == key_about(event)
    assert next_key(before) == f"{key_about(event)}#2"


def _escaped(part: str) -> str:
    kept = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~"
    return "".join(chr(byte) if byte in kept else f"%{byte:02X}" for byte in part.encode())


def test_bounding_a_bounded_key_changes_nothing() -> None:
    assert bounded(bounded("k" * 500)) == bounded("k" * 500)


def test_an_entry_of_the_log_is_read_whatever_its_length() -> None:
    line = {
        "specversion": "1.0",
        "id": "ITP-007/" + "x" * 3000,
        "source": "itp",
        "type": "itp.event.voided",
        "subject": "ITP-007",
        "time": "2026-01-12T10:20:00+08:00",
        "data": {"by": "service", "event": {"source": "itp", "id": "y" * 3000}, "reason": "z" * 900},
    }
    event = parse_recorded(line)
    assert parse_recorded(json.loads(json.dumps(event.to_json()))) == event
    assert event.to_json()["data"]["event"]["id"] == "y" * 3000
