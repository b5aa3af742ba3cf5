"""JSON is read in one way, whether it comes in a request or in a file."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployments.cli.event_files import read_events
from deployments.strict_json import check, parse
from itp_events.errors import BadEvent

pytestmark = pytest.mark.requirement("API-01")

AMBIGUOUS = [
    ('{"id": "a", "id": "b"}', "this field stands twice"),
    ('{"data": {"on": 1, "on": 1}}', "this field stands twice"),
    ('{"data": {"weight_kg": NaN}}', "NaN is not a JSON number"),
    ('{"data": {"weight_kg": -Infinity}}', "-Infinity is not a JSON number"),
    ('{"id": ' + "[" * 16 + "]" * 16 + "}", "is nested too deeply to hold events"),
    ('{"id": ' + "[" * 9_999 + "]" * 9_999 + "}", "is nested too deeply to hold events"),
    (r'{"id": "\ud83d"}', "half of a surrogate pair"),
    (r'{"\ude00": "id"}', "half of a surrogate pair"),
    ('{"id": ' + "9" * 5_000 + "}", "Exceeds the limit"),
    ('{"id": 1,}', "is not JSON"),
]


@pytest.mark.parametrize(("text", "problem"), AMBIGUOUS)
def test_what_is_ambiguous_is_refused_in_a_request_and_in_a_file(
    text: str, problem: str, tmp_path: Path
) -> None:
    with pytest.raises(BadEvent, match=problem):
        parse(text.encode())
    (tmp_path / "events").write_text(text)
    [malformed] = read_events(str(tmp_path / "events")).malformed
    assert problem in str(malformed)
    assert ":1: " in str(malformed)


def test_a_pair_of_escapes_that_is_one_letter_is_text() -> None:
    assert parse(rb'{"id": "\ud83d\ude00"}') == {"id": "\U0001f600"}


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None)
@given(_VALUES)
def test_what_is_not_ambiguous_is_read_as_every_reader_of_json_reads_it(value: object) -> None:
    try:
        check(value)
    except BadEvent:
        return
    assert parse(json.dumps(value).encode()) == value
