"""A dose is stated in thousand millions of cells, and kept as a number of cells."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.api.web.fields import field_of, read, shown
from deployments.api.web.forms import FORMS
from deployments.api.web.words import Language
from itp_events.events import Completed, Data
from itp_events.protocol.file import load_protocol
from tests.support.api import Door
from tests.support.pages import person, said

pytestmark = pytest.mark.requirement("PAG-01")

CELLS = field_of(Completed, "cells_given")
ZONE = load_protocol().site("01").zone
NUMBERS = [
    (form.data, field.path)
    for form in FORMS.values()
    for field in form.fields
    if field.kind in ("number", "cells")
]


@pytest.mark.parametrize(
    "text",
    [
        "6.15",
        "６．１５",
        "6.15e9",
        "6.15E+9",
        "6.15×10^9",
        "6.15 × 10⁹",
        "6.15x10^9",
        "6.15*10^9",
        "6150000000",
    ],
)
def test_a_dose_is_read_however_it_is_written(text: str) -> None:
    assert read(CELLS, Completed, text, ZONE) == 6_150_000_000


@pytest.mark.parametrize("text", ["many", "6.15 billion", "6,15", "6.15×", "nan", "1e9999", "61.5亿"])
def test_what_is_no_number_of_cells_stays_as_entered(text: str) -> None:
    assert read(CELLS, Completed, text, ZONE) == text


@pytest.mark.parametrize(("data", "path"), NUMBERS)
@given(number=st.floats(min_value=0, allow_infinity=False) | st.integers(0, 10**15))
def test_every_number_that_a_form_shows_reads_back_as_the_same(
    data: type[Data], path: str, number: float
) -> None:
    field = field_of(data, path)
    assert read(field, data, shown(field, number, ZONE), ZONE) == number


@pytest.mark.parametrize(
    ("language", "label", "planned", "sentence", "wrong"),
    [
        (
            "en",
            "Cells given, in 10⁹",
            "Planned: 6.15 × 10⁹ for 61.5 kg.",
            "Cells given: 6.15 × 10⁹",
            "thousand millions",
        ),
        (
            "zh-CN",
            "输注细胞数（×10⁹）",
            "计划剂量：6.15 × 10⁹（按体重 61.5 kg）。",
            "输注细胞数: 6.15 × 10⁹",
            "6.15×10⁹ 请填写 6.15",
        ),
    ],
)
def test_a_dose_as_it_is_read_from_the_bag_is_recorded_shown_and_corrected(
    door: Door, language: Language, label: str, planned: str, sentence: str, wrong: str
) -> None:
    door.enrol(weight_kg=61.5)
    who = person(door, "recorder", language=language)
    day = f"{(door.now - timedelta(days=1)).date()}"
    form = who.open("/s/ITP-001/done?visit=INF1")
    assert label in form
    assert planned in form
    refused = who.again("/s/ITP-001/done", visit="INF1", on=day, cells_given="many")
    assert wrong in said(refused)
    assert planned in said(refused)
    page = who.answered(who.send("/s/ITP-001/done", visit="INF1", on=day, cells_given="6.15"))
    assert sentence in page
    path = next(part.split('"')[0] for part in page.split('href="')[1:] if "/correct/" in part)
    correction = who.open(path)
    assert 'value="6.15"' in correction
    assert planned in correction
    values = {"visit": "INF1", "on": day, "cells_given": "6.15", "platelets": "41", "why": "forgotten"}
    assert sentence in who.answered(who.again(path, **values))
