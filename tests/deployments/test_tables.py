"""A table reads back as it was stated, in every program, and none of its cells runs."""

import csv
import io
import json
import re
from collections.abc import Iterator

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from deployments.tables import cell, table

pytestmark = pytest.mark.requirement("TXT-02")

HARMFUL = ("=1+1", "+1", "-1+1", "@SUM(A1)", "＝1+1", "＋1", "－1", "＠A", "\t=1", "\r=1", "\n=1+1", " =1")
BREAKS = (";", "\n", "\r", "\r\n", "\t", "; ", "\u2028")


@pytest.mark.parametrize("text", [*HARMFUL, *(f"a{stop}{each}" for stop in BREAKS for each in HARMFUL[:2])])
def test_no_cell_runs_in_a_spreadsheet_whatever_its_separator(text: str) -> None:
    for value in (text, {"term": text}):
        shown = cell(value)
        # A cell, and what stands behind each separator: some programs split there, whatever is in quotes.
        parts = re.split(r"[;,\t\r\n\u2028]", shown)
        assert not any(part.strip().startswith(tuple("=+-@＝＋－＠")) for part in parts), repr(shown)
    assert json.loads(cell({"term": text})) == {"term": text}


@pytest.mark.parametrize(
    "text", ["grade 3; serious", "a = b", "x-y", "1-2", "mail@example.org", "（＝）", "", "a;b"]
)
def test_what_no_spreadsheet_runs_is_exported_as_it_is(text: str) -> None:
    assert cell(text) == text


def stated(text: str) -> str:
    """The text that a cell stands for, without the apostrophe that keeps a formula from running."""
    breaks = "\t\r\n\v\f\x85\u2028\u2029"
    text = re.sub(rf"^'('*[{breaks}])", r"\1", text)
    return re.sub(rf"(^|[;{breaks}])(\s*)'('*[=+\-@＝＋－＠])", r"\1\2\3", text)


def records(text: str) -> Iterator[list[str]]:
    """The records of a table by RFC 4180, for which CR, LF and both together end a line."""
    for record in re.findall(r'((?:"(?:[^"]|"")*",?)+)(?:\r\n|\r|\n)', text):
        yield [each.replace('""', '"') for each in re.findall(r'"((?:[^"]|"")*)"', record)]


TEXTS = st.text(
    st.one_of(
        st.characters(exclude_categories=["Cs"], exclude_characters="\0"), st.sampled_from("'=;\r\n\t\",")
    )
)


@given(st.lists(st.tuples(TEXTS, TEXTS), max_size=4))
@example([("one\rtwo", 'a "b", c'), ("'=1", "=1"), ("'\t", "\t'=")])
def test_what_was_stated_is_what_a_table_says(rows: list[tuple[str, str]]) -> None:
    text = table(("a", "b"), rows)
    read = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    assert read == list(records(text))
    assert [tuple(map(stated, each)) for each in read[1:]] == rows


@given(st.one_of(st.integers(-(10**15), 10**15), st.floats(allow_nan=False, allow_infinity=False)))
@example(3e9)
@example(61.5)
@example(1e-7)
@example(41.0)
def test_a_number_is_written_in_plain_digits_and_is_the_same_number(number: float) -> None:
    assert re.fullmatch(r"-?[0-9]+(\.[0-9]*[1-9])?", cell(number))
    assert float(cell(number)) == number
