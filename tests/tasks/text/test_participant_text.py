"""The words to a subject: the day, and nothing by which others would know of the study."""

from typing import Any, cast
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.database.contents import OutboxContents
from tasks.text import render as rendering
from tasks.text.render import LANGUAGES, Occasion, render

pytestmark = pytest.mark.requirement("SUB-02")

ZONE = ZoneInfo("Asia/Shanghai")
CODES = st.from_regex(r"[A-Z]{3,6}-[0-9]{3}", fullmatch=True)


def said(language: str, code: str, step: str = "tomorrow", **contents: Any) -> str:
    occasion = Occasion(step, "participant", code, "INF3", cast("OutboxContents", contents))
    return "\n".join(render(occasion, language, ZONE))


@pytest.mark.parametrize("language", LANGUAGES)
def test_it_says_the_day_and_where_to_answer(language: str) -> None:
    text = said(language, "ITP-007", t="2026-01-13", link="https://visits.example.org/p/abc")
    assert ("13 Jan 2026" if language == "en" else "2026年1月13日") in text
    assert text.count("https://visits.example.org/p/abc") == 1


@pytest.mark.parametrize("language", LANGUAGES)
@given(CODES, st.sampled_from(["tomorrow", "T-3d", "sae", "rung-1"]), st.booleans())
def test_whatever_a_notice_carries_a_subject_reads_the_day_alone(
    language: str, code: str, step: str, linked: bool
) -> None:
    carried = {"t": "2026-01-13", "term": "Fever", "visit_label": "Infusion 3", "criterion": "pregnancy"}
    carried |= {"link": "https://a.example.org/p/x"} if linked else {}
    text = said(language, code, step, **carried)
    for word in (code, "Fever", "Infusion", "输注", "妊娠", "pregnan", "受试者", "研究", "subject", "trial"):
        assert word.lower() not in text.lower()


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_text_that_cannot_be_made_tells_nothing_either(
    language: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ValueError

    monkeypatch.setattr(rendering, "_template", broken)
    text = said(language, "ITP-007", t="2026-01-13", term="Fever", link="https://a.example.org/p/x")
    assert "ITP" not in text
    assert "Fever" not in text
    assert "https://a.example.org/p/x" in text
