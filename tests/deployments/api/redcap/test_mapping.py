"""The mapping file of REDCap, and the values that it reads from a record."""

from pathlib import Path
from typing import Any

import pytest

from deployments.api.redcap.mapping import Mapping, load_mapping, read_data, subject_code, unmapped
from itp_events.errors import BadInput
from tests.support.redcap import EXAMPLE

pytestmark = pytest.mark.requirement("API-03")


def mapping_of(*, missing: tuple[str, ...] | None = None, **data: Any) -> Mapping:
    """A mapping of the one form `visit`."""
    written: dict[str, Any] = {"instruments": {"visit": {"event": "itp.visit.completed", "data": data}}}
    return Mapping.model_validate(written if missing is None else written | {"missing": missing})


def value(text: str, kind: str, **datum: Any) -> Any:
    """The value of a field with a text."""
    mapping = mapping_of(platelets={"field": "plt", "as": kind} | datum)
    return read_data(mapping, "visit", {"plt": text}, "").get("platelets")


@pytest.mark.parametrize(
    ("text", "number"),
    [("72", 72), ("-7", -7), ("+7.5", 7.5), (".5", 0.5), ("1e3", 1000), ("2.5E-1", 0.25), (" 7\t", 7)],
)
def test_a_number_is_what_redcap_validates_as_one(text: str, number: float) -> None:
    assert value(text, "number") == number


@pytest.mark.parametrize("kind", ["number", "integer"])
@pytest.mark.parametrize(
    "text",
    ["7_2", "7,2", "1.000,5", "7 2", "7.", "nan", "inf", "1e999", "0x10", "７２", "٧", "--7", "7e", "e7"],
)
def test_what_python_alone_would_read_is_no_number(kind: str, text: str) -> None:
    with pytest.raises(BadInput, match=rf"^plt: .* cannot be mapped as {kind}$"):
        value(text, kind)


@pytest.mark.parametrize("text", ["7.0", "1e3", "9" * 5000])
def test_what_is_a_number_need_be_no_integer(text: str) -> None:
    with pytest.raises(BadInput, match="cannot be mapped as integer"):
        value(text, "integer")


@pytest.mark.parametrize("text", ["2026-01-05", "2026-01-05 09:30", "2026-01-05 09:30:00"])
def test_a_date_is_read_as_the_api_gives_it(text: str) -> None:
    assert value(text, "date") == "2026-01-05"


@pytest.mark.parametrize(
    "text",
    ["05-01-2026", "01/05/2026", "2026-W01-1", "20260105", "2026-02-30", "2026-1-5", "2026-01-05 24:99"],
)
def test_a_date_in_any_other_form_is_not_guessed(text: str) -> None:
    with pytest.raises(BadInput, match="cannot be mapped as date"):
        value(text, "date")


@pytest.mark.parametrize("kind", ["text", "number", "integer", "yes-no", "date"])
@pytest.mark.parametrize("code", ["UNK", "NASK", "NI", "OTH"])
def test_a_code_that_redcap_offers_for_missing_data_means_absent(kind: str, code: str) -> None:
    assert value(code, kind) is None


def test_a_project_may_have_missing_data_codes_of_its_own() -> None:
    mapping = mapping_of(
        missing=("-99", "REF"), platelets={"field": "plt", "as": "number"}, by={"field": "who"}
    )
    assert read_data(mapping, "visit", {"plt": "-99", "who": "REF"}, "") == {}
    assert read_data(mapping, "visit", {"plt": "41", "who": "UNK"}, "") == {"platelets": 41, "by": "UNK"}


def test_a_field_may_have_missing_data_codes_of_its_own() -> None:
    assert value("-1", "number", missing=["-1"]) is None
    assert value("UNK", "text", missing=[]) == "UNK"
    with pytest.raises(BadInput, match="cannot be mapped as number"):
        value("UNK", "number", missing=["-1"])


def test_a_missing_data_code_is_no_empty_field_and_takes_no_constant() -> None:
    assert value("", "text", constant="01") == "01"
    assert value("UNK", "text", constant="01") is None


def test_a_code_to_which_the_mapping_gives_a_meaning_is_not_missing() -> None:
    assert value("NA", "text", values={"NA": "not-done", "1": "positive"}) == "not-done"
    assert value("UNK", "text", values={"NA": "not-done", "1": "positive"}) is None


def test_a_checkbox_for_which_a_missing_data_code_is_ticked_is_absent() -> None:
    box = {"field": "failed___1", "as": "yes-no", "constant": False}
    mapping = mapping_of(missing=("UNK", "-99"), first={**box}, second={**box, "field": "failed___2"})
    unticked = {"failed___1": "0", "failed___2": "0", "failed___unk": "0", "failed____99": "0"}
    assert read_data(mapping, "visit", unticked, "") == {"first": False, "second": False}
    assert unmapped(mapping, "visit", unticked) == {}
    for column in ("failed___unk", "failed____99"):
        assert read_data(mapping, "visit", unticked | {column: "1"}, "") == {}
        assert unmapped(mapping, "visit", unticked | {column: "1"}) == {}


def test_an_unticked_choice_or_a_missing_data_code_is_no_filled_field() -> None:
    mapping = mapping_of(by={"field": "who"})
    record = {"who": "crc-01", "why___1": "0", "why___2": "1", "notes": "UNK", "hb": "0"}
    assert unmapped(mapping, "visit", record) == {"why___2": "1", "hb": "0"}


def test_a_missing_data_code_is_no_subject() -> None:
    mapping = mapping_of(by={"field": "who"})
    assert subject_code(mapping, {"record_id": " ITP-007 "}) == "ITP-007"
    assert subject_code(mapping, {"record_id": "UNK"}) == ""


WRONG = {
    "a datum twice": (
        "instruments:\n  visit:\n    event: itp.visit.completed\n    data:\n      by: {field: a}\n"
        "      platelets: {field: plt}\n      platelets: {field: plt_2}\n",
        ":7: 'platelets' is given twice",
    ),
    "a form twice": (
        "instruments:\n  visit: {event: itp.visit.completed, data: {}}\n"
        "  visit: {event: itp.visit.missed, data: {}}\n",
        ":3: 'visit' is given twice",
    ),
    "a REDCap event twice": (
        "instruments:\n  visit:\n    event: itp.visit.completed\n    data:\n      visit:\n        by_event:\n"
        "          a: INF1\n          a: INF2\n",
        ":8: 'a' is given twice",
    ),
    "a code twice": (
        "instruments:\n  visit:\n    event: itp.visit.completed\n    data:\n"
        '      sex: {field: sex, values: {"1": male, "1": female}}\n',
        ":5: '1' is given twice",
    ),
    "the source twice": ("source: a\nsource: b\ninstruments: {}\n", ":2: 'source' is given twice"),
    "a key that is true to YAML": (
        "instruments:\n  visit:\n    event: itp.visit.completed\n    data:\n      on: {field: a, as: date}\n",
        ":5: write 'on' in quotes",
    ),
    "a code that is false to YAML": (
        "missing: [NI, NO]\ninstruments: {}\n",
        ":1: missing.1: write this code",
    ),
    "a datum from nowhere": (
        "instruments:\n  visit:\n    event: itp.visit.completed\n    data:\n      by: {as: text}\n",
        ":5: instruments.visit.data.by: name a field, by_event or a constant",
    ),
    "a datum from two places": (
        "instruments:\n  visit:\n    event: itp.visit.completed\n    data:\n"
        "      visit: {field: a, by_event: {b: INF1}}\n",
        ":5: instruments.visit.data.visit: by_event stands alone",
    ),
    "a datum within another": (
        "instruments:\n  visit:\n    event: itp.subject.enrolled\n    data:\n"
        "      screening: {field: a}\n      screening.sex: {field: b}\n",
        ":5: instruments.visit.data.screening: it is given whole, and screening.sex is given within it",
    ),
    "an event of investigators": (
        "instruments: {a: {event: itp.withdrawal.decided, data: {}}}",
        ":1: instruments.a.event: REDCap cannot state 'itp.withdrawal.decided'",
    ),
    "a kind that there is not": (
        "instruments: {a: {event: itp.subject.died, data: {by: {field: b, as: moon}}}}",
        ":1: instruments.a.data.by.as: ",
    ),
    "an unknown event": (
        "instruments:\n  a: {event: x, data: {}}\n",
        ":2: instruments.a.event: REDCap cannot",
    ),
    "an unknown key": ("colour: red\ninstruments: {}\n", ":1: colour: "),
    "nothing": ("", " is empty"),
    "no YAML": ("[", " cannot be read: "),
}


@pytest.mark.parametrize(("text", "said"), WRONG.values(), ids=WRONG)
def test_a_wrong_mapping_is_refused_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "mapping.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BadInput) as refused:
        load_mapping(path)
    assert f"ITP_REDCAP_MAPPING: {path}{said}" in str(refused.value)


def test_a_mapping_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mapping.yaml"
    path.write_bytes(b"source: \xff\n")
    with pytest.raises(BadInput, match="cannot be read"):
        load_mapping(path)


def test_the_example_is_a_mapping() -> None:
    assert set(load_mapping(EXAMPLE).instruments) == {"enrolment", "visit", "adverse_event"}


def test_a_mapping_that_windows_wrote_is_the_same(tmp_path: Path) -> None:
    path = tmp_path / "mapping.yaml"
    path.write_text(EXAMPLE.read_text(encoding="utf-8"), encoding="utf-8-sig", newline="\r\n")
    assert load_mapping(path) == load_mapping(EXAMPLE)
