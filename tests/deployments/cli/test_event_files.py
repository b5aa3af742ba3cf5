"""Event files: an array, one object or JSON Lines; each event with the line at which it begins."""

import json
from pathlib import Path
from typing import Any

import pytest

from deployments.cli.event_files import Events, read_events
from itp_events.errors import BadInput
from tests.support.study import Study

pytestmark = pytest.mark.requirement("API-02")


def _died(number: int) -> dict[str, Any]:
    return Study().raw("itp.subject.died", "2026-02-01", event_id=f"d-{number}")


def _read(tmp_path: Path, text: str | bytes) -> Events:
    file = tmp_path / "events"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_events(str(file))


def _places(events: Events) -> list[tuple[str, str]]:
    return [(each.event.id, each.place.at.rsplit(":", 1)[1]) for each in events.stated]


def _problems(events: Events) -> list[tuple[str, str]]:
    return [(each.place.at.rsplit(":", 1)[1], str(each.error)) for each in events.malformed]


ONE, TWO, THREE = (json.dumps(_died(number)) for number in (1, 2, 3))
INDENTED = json.dumps(_died(1), indent=2)


def test_one_object_over_several_lines_is_one_event(tmp_path: Path) -> None:
    assert _places(_read(tmp_path, f"\n{INDENTED}\n")) == [("d-1", "2")]


def test_each_line_of_json_lines_is_an_event(tmp_path: Path) -> None:
    assert _places(_read(tmp_path, f"{ONE}\n\n{TWO}\n")) == [("d-1", "1"), ("d-2", "3")]


def test_objects_printed_one_after_the_other_are_events(tmp_path: Path) -> None:
    second = INDENTED.count("\n") + 2
    read = _read(tmp_path, f"{INDENTED}\n{INDENTED}\n{TWO}\n")
    assert _places(read) == [("d-1", "1"), ("d-1", str(second)), ("d-2", str(2 * second - 1))]


def test_each_element_of_an_array_has_the_line_at_which_it_begins(tmp_path: Path) -> None:
    read = _read(tmp_path, f"[{ONE},\n\n  {INDENTED},\n{TWO}\n]")
    assert _places(read) == [("d-1", "1"), ("d-1", "3"), ("d-2", str(3 + INDENTED.count("\n") + 1))]


def test_events_on_one_line_are_told_apart_by_their_number(tmp_path: Path) -> None:
    read = _read(tmp_path, f'[{ONE}, {{"specversion": "1.0"}},\n{TWO}]')
    problem = str(read.malformed[0])
    assert problem.startswith(f"{tmp_path / 'events'}:1: id: this field is required")
    assert problem.endswith(" (event 2)")
    assert [each.place.shared for each in read.stated] == [True, False]


def test_an_array_may_hold_arrays_which_are_no_events(tmp_path: Path) -> None:
    read = _read(tmp_path, f"\n[[{ONE}],\n{TWO}]")
    assert _places(read) == [("d-2", "3")]
    assert _problems(read) == [("2", "an event must be a JSON object")]


def test_an_empty_array_holds_nothing(tmp_path: Path) -> None:
    assert _read(tmp_path, "[]") == Events()


@pytest.mark.parametrize("broken", ["garbage", '{"id": "1"', "{'id': 1}", '{"a": NaN}', "]"])
def test_a_broken_line_does_not_lose_the_lines_around_it(tmp_path: Path, broken: str) -> None:
    read = _read(tmp_path, f"{ONE}\n{broken}\n{TWO}\n{THREE}\n")
    assert _places(read) == [("d-1", "1"), ("d-2", "3"), ("d-3", "4")]
    assert [(line, problem[:11]) for line, problem in _problems(read)] == [("2", "is not JSON")]


def test_a_broken_line_does_not_lose_indented_events_behind_it(tmp_path: Path) -> None:
    read = _read(tmp_path, f"  {ONE}\n  garbage\n  {TWO}\n")
    assert _places(read) == [("d-1", "1"), ("d-2", "3")]


def test_a_broken_object_is_one_problem_at_the_line_that_breaks_it(tmp_path: Path) -> None:
    broken = INDENTED.replace('"1.0",', '"1.0"')
    assert _problems(_read(tmp_path, f"{broken}\n{TWO}")) == [("3", "is not JSON: Expecting ',' delimiter")]


def test_a_file_that_is_no_json_at_all_is_one_problem(tmp_path: Path) -> None:
    read = _read(tmp_path, "id,subject\n1,ITP-001\n2,ITP-002\n")
    assert _problems(read) == [("1", "is not JSON: Expecting value")]


def test_a_broken_array_is_refused_whole_at_the_line_that_breaks_it(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"events:3: is not JSON: "):
        _read(tmp_path, f"[{ONE},\n{TWO}\n{THREE}]")


def test_a_field_that_stands_twice_is_refused_by_name(tmp_path: Path) -> None:
    read = _read(tmp_path, ONE.replace('"by"', '"on": "2026-02-02", "by"') + f"\n{TWO}")
    assert _problems(read) == [("1", "on: this field stands twice")]
    assert _places(read) == [("d-2", "2")]


@pytest.mark.parametrize("depth", [400, 2000, 20_000])
def test_what_is_nested_too_deeply_is_a_problem_of_its_own_line(tmp_path: Path, depth: int) -> None:
    read = _read(tmp_path, '{"a":' * depth + "1" + "}" * depth + f"\n{TWO}")
    assert [line for line, _ in _problems(read)] == ["1"]
    assert _places(read) == [("d-2", "2")]


def test_a_file_that_is_not_utf8_is_refused_at_the_line(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"events:2: is not UTF-8 text"):
        _read(tmp_path, f"{ONE}\n".encode() + b'{"id": "\xff"}')


def test_a_byte_order_mark_is_no_part_of_the_first_event(tmp_path: Path) -> None:
    assert _places(_read(tmp_path, b"\xef\xbb\xbf" + ONE.encode())) == [("d-1", "1")]


@pytest.mark.parametrize("text", ["", " \n\n"])
def test_an_empty_file_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(BadInput, match="events: holds no event"):
        _read(tmp_path, text)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"nowhere: cannot be read: No such file"):
        read_events(str(tmp_path / "nowhere"))


def test_ten_thousand_events_in_one_array_have_their_lines(tmp_path: Path) -> None:
    events = [json.dumps(_died(number)) for number in range(10_000)]
    places = _places(_read(tmp_path, "[" + ",\n".join(events) + "]"))
    assert places[-1] == ("d-9999", "10000")
