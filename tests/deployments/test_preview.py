"""The preview: every text of every step, made by living typical lives by the service's own rules."""

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from deployments.preview.lives import FREE_TEXT, LIVES
from deployments.preview.occasions import Example, Preview, preview
from deployments.preview.page import page
from itp_events.protocol.file import load_protocol
from tasks import digest
from tasks.delivery import alarms, outages
from tasks.delivery.links import Links
from tasks.text.render import LANGUAGES, TEXTS, Occasion, render
from tests.support.participants import reminding
from tests.support.study import altered

pytestmark = pytest.mark.requirement("TXT-01")

PROTOCOL = load_protocol()
SITE = PROTOCOL.site("default")
LINKS = Links("https://visits.example.org", b"preview")


@cache
def previewed(language: str) -> Preview:
    return preview(PROTOCOL, language, LINKS)


@cache
def texts(language: str) -> tuple[str, ...]:
    told = previewed(language).examples
    return tuple("\n".join(render(each.occasion, language, SITE.zone)) for each in told)


def notices() -> Iterator[tuple[str, str]]:
    """Every step with every audience that the protocol names, and the service's own."""
    for rules in PROTOCOL.reminders.values():
        yield from ((rule.step, rule.audience) for rule in rules)
    yield from ((rung.step, rung.audience) for rung in PROTOCOL.ladder.rungs)
    for name, alert in PROTOCOL.alerts.items():
        steps = [name, *(f"{name}-{hours}h" for hours in alert.clock_hours)]
        numbered = ["decision-n"] if name == "decision" else steps
        yield from ((step, audience) for step in numbered for audience in (*alert.audiences, *alert.later))
    yield from ((digest.STEP, audience) for audience in digest.AUDIENCES)
    yield outages.STEP, "ops"
    yield alarms.STEP, "ops"


def step_of(told: Example) -> str:
    return re.sub(r"^decision-\d+$", "decision-n", told.occasion.step)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_step_is_shown_to_every_audience_that_hears_of_it(language: str) -> None:
    shown = {(step_of(each), each.occasion.audience) for each in previewed(language).examples}
    assert set(notices()) - shown == set()


# The lives by the built-in protocol have no gap in a rota, no amendment, and no reminder to subjects; tests
# of these read the texts.
NOT_IN_A_LIFE = {"duty-hand-over.txt", "duty-gap.txt", "re-consent.txt", "participant.txt", "cannot-come.txt"}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_template_is_used(language: str) -> None:
    files = {path.name for path in (TEXTS / language).iterdir() if not path.name.startswith("_")}
    used = set()
    for each in previewed(language).examples:
        names = (f"{step_of(each)}.{each.occasion.audience}.txt", f"{step_of(each)}.txt")
        used.add(next(name for name in names if name in files))
    assert files - used == NOT_IN_A_LIFE


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_typical_life_can_be_lived_and_is_shown(language: str) -> None:
    assert previewed(language).left_out == ()
    shown = {each.life for each in previewed(language).examples}
    assert [life.title["en"] for life in LIVES if life.title[language] not in shown] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_text_has_a_hole(language: str) -> None:
    holes = re.compile(
        r"None|[{}]|see the record|见记录|a channel|某渠道|: none$|\?|\(\)|（）|^- *$", re.MULTILINE
    )
    found = [line for text in texts(language) for line in text.splitlines() if holes.search(line)]
    # A link has a question mark, and the variant without an answer of the provider says so.
    expected = ("https://", "The provider's last answer: none")
    assert [line for line in found if not any(each in line for each in expected)] == []


# What stays as it is in a Chinese text: links, addresses, codes in capitals and of accounts, units,
# commands, and the sentences of its log.
NOT_CHINESE = re.compile(
    r"https?://\S+|mailtos://\S+|编号 [\w/.-]+|\b(kg|mg|ml|min|x)\b|“itp d(?:octor|uty)”|Apprise"
    r"|\bcrc\.[a-z]+|（原文）.*|\b[A-Z][A-Z0-9]*(?:[-/ ][A-Z0-9]+)*\b"
)


def test_there_is_no_english_in_a_chinese_text() -> None:
    for text in texts("zh-CN"):
        assert re.findall(r"[A-Za-z]{2,}", NOT_CHINESE.sub("", text)) == [], text


def test_the_chinese_page_has_no_english_around_the_texts_either() -> None:
    for life in LIVES:
        assert re.search("[\u4e00-\u9fff]", life.title["zh-CN"])
    assert FREE_TEXT["en"].keys() == FREE_TEXT["zh-CN"].keys()


@pytest.mark.parametrize("language", LANGUAGES)
def test_there_are_several_typical_facts_for_what_varies(language: str) -> None:
    told = previewed(language).examples
    for step, least in (("exit", 4), ("sae", 4), ("stand-down", 4), ("T", 4), ("flag", 3)):
        assert sum(each.occasion.step == step for each in told) >= least


def test_a_page_stands_alone_and_is_the_same_every_time() -> None:
    made = page(previewed("en").examples, "en", SITE.zone, "NCT06813157 1")
    again = page(preview(PROTOCOL, "en", LINKS).examples, "en", SITE.zone, "NCT06813157 1")
    assert made == again
    assert re.findall(r'(?:src|href)="([^#][^"]*)"|@import|url\(', made) == []


def test_a_text_stands_on_the_page_as_it_is_sent() -> None:
    made = page(previewed("en").examples, "en", SITE.zone, "NCT06813157 1")
    title, body = render(previewed("en").examples[0].occasion, "en", SITE.zone)
    assert f"<h4>{title}</h4>\n<pre>{body}</pre>".replace("'", "&#39;") in made


def test_free_text_cannot_change_the_page() -> None:
    occasion = Occasion("flag", "investigator", "ITP-007", None, {"term": "<b>x</b>"})
    assert "&lt;b&gt;x&lt;/b&gt;" in page((Example("life", occasion),), "en", SITE.zone, "head")


def test_a_life_that_another_protocol_does_not_let_be_lived_is_named_with_the_reason() -> None:
    def stricter(data: dict[str, Any]) -> None:
        data["eligibility"]["age_years"]["at_least"] = 18

    found = preview(altered(stricter), "en", LINKS)
    assert any(each.startswith("A child who may reach the age of assent: ") for each in found.left_out)
    assert len(found.examples) > 50


@pytest.mark.requirement("SUB-02")
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_protocol_that_reminds_subjects_shows_what_they_read(language: str) -> None:
    shown = preview(reminding(), language, LINKS)
    own = [each.occasion for each in shown.examples if each.occasion.audience == "participant"]
    assert {each.contents.get("language") for each in own} == {"en", "zh-CN"}
    assert shown.left_out == ()
    assert "cannot-come" in [each.occasion.step for each in shown.examples]
    text = page(shown.examples, language, SITE.zone, "")
    assert 'data-step="tomorrow" data-audience="participant"' in text
    assert "/p/" in text
