"""The pages are complete in both languages, the sentences of refusals included."""

import ast
import re
import string
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from deployments.api.web.forms import FORMS
from deployments.api.web.in_words import InWords
from deployments.api.web.words import ALL, LANGUAGES, Language, Say
from itp_events.events import DECISIONS, FACTS
from itp_events.protocol.file import load_protocol
from itp_events.rules.eligibility import SENTENCES
from tasks.audit.entries import Kind
from tasks.text.refusals_zh import criterion_zh, said_zh
from tasks.text.repairs_zh import repair_zh

pytestmark = pytest.mark.requirement("PAG-01")

ROOT = Path(__file__).parents[4]
ZONE = load_protocol().site("01").zone
RULES = [
    *sorted((ROOT / "itp_events/intake").glob("*.py")),
    *sorted((ROOT / "deployments/api/web").glob("*.py")),
    *(
        ROOT / path
        for path in (
            "flows/study/roles.py",
            "tasks/accounts/changing.py",
            "tasks/accounts/passwords.py",
            "tasks/accounts/sessions.py",
            "tasks/database/duty.py",
            "tasks/database/event_log.py",
            "deployments/api/http/form_body.py",
        )
    ),
]
MENDS = [
    ROOT / path
    for path in (
        "deployments/service/repair.py",
        "deployments/service/prefect_link.py",
        "deployments/prefect/deployments.py",
        "deployments/prefect/trigger.py",
        "deployments/bootstrap/watched_clock.py",
    )
]
TEMPLATES = sorted((ROOT / "deployments/api/web/templates").glob("*.html"))


def _places(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_both_languages_say_the_same_things_of_the_same_values() -> None:
    english, chinese = ALL["en"], ALL["zh-CN"]
    assert english.keys() == chinese.keys()
    assert {key: _places(english[key]) for key in english} == {key: _places(chinese[key]) for key in chinese}


def test_every_key_that_a_template_names_has_words() -> None:
    named = {key for path in TEMPLATES for key in re.findall(r'say\("([a-z][\w.-]*)"[,)]', path.read_text())}
    assert len(named) > 50
    assert named <= ALL["en"].keys()


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_field_choice_and_form_has_words(language: Language) -> None:
    words = InWords(Say(language), ZONE)
    for form in FORMS.values():
        assert words.say(f"form.{form.name}")
        for field in form.fields:
            assert words.label(form, field)
            shown = [words.choice(form, field, choice) for choice in field.choices]
            assert all(shown)
            if language == "zh-CN" and field.name != "decode":
                assert all(re.search("[\u4e00-\u9fff]", text) for text in shown), field


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_kind_of_entry_that_a_review_lists_has_a_name(language: Language) -> None:
    assert all(Say(language)(f"review.kind.{kind}") for kind in get_args(Kind))


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_type_of_event_has_a_name(language: Language) -> None:
    shown = {*FACTS, *(each for each in DECISIONS if "notice" not in each.type)}
    assert all(Say(language)(f"type.{each.type}") for each in shown)


def sentences(source: str) -> Iterator[str]:
    """The sentences with which a source file refuses, with a word in each place of a value."""
    for node in ast.walk(ast.parse(source)):
        called = node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""
        if called in _SENTENCE_AT and isinstance(node, ast.Call):
            yield from filter(None, [text_of(node.args[_SENTENCE_AT[called]])])


# Which argument of an error is its sentence.
_SENTENCE_AT = {"Refused": 1, "Forbidden": 1, "BadEvent": 0, "BadInput": 0, "Problem": 2, "Unreadable": 1}


def text_of(node: ast.AST) -> str | None:
    """A sentence as it is written in the source, with a word in each place of a value."""
    if isinstance(node, ast.JoinedStr):
        parts = [each.value if isinstance(each, ast.Constant) else "X1" for each in node.values]
        return "".join(map(str, parts))
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


@pytest.mark.parametrize("path", RULES, ids=lambda path: path.name)
def test_every_sentence_of_a_refusal_has_its_chinese(path: Path) -> None:
    found = [each.replace("flagX1", "flag") for each in sentences(path.read_text(encoding="utf-8"))]
    # A sentence whose beginning is made elsewhere stands in the list with each of its beginnings.
    without = [each for each in found if not each.startswith("X1") and said_zh(each) == each]
    assert without == []


# How the lines of the repairs log begin, where they are made.
_MENDED = ("its flow", "its journey", "a second", "the automation", "the deployment", "it was decided")


@pytest.mark.parametrize("path", MENDS, ids=lambda path: path.name)
def test_every_line_of_the_repairs_log_has_its_chinese(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    parts = {part for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    found = [text_of(node) for node in ast.walk(tree) if node not in parts]
    lines = [each for each in found if each and each.startswith(_MENDED)]
    assert [line for line in lines if repair_zh(line, str) == line] == []


def test_a_line_of_the_repairs_log_is_said_with_the_phase_in_words() -> None:
    words = InWords(Say("zh-CN"), ZONE)
    line = "its flow run was Running since 10:00:00Z; put back to INF3 window open"
    assert words.repair(line) == "流程运行自 10:00:00Z 起处于 Running 状态；已恢复为 INF3 时间窗已开放。"
    assert InWords(Say("en"), ZONE).repair(line) == line


@pytest.mark.parametrize(
    ("door", "said"), [("webhook:castor", "Webhook castor"), ("page", "网页"), ("telex", "telex")]
)
def test_a_door_is_said_in_words_and_one_that_is_not_known_as_it_is(door: str, said: str) -> None:
    assert InWords(Say("zh-CN"), ZONE).door(door) == said


def test_every_inclusion_criterion_has_its_chinese() -> None:
    for sentence in SENTENCES.values():
        told = re.sub(r"\{\w+\}", "7", sentence)
        assert criterion_zh(told) != told
        assert criterion_zh(f"{told}†").endswith("†")


def test_dates_in_a_refusal_are_written_as_in_chinese() -> None:
    said = said_zh(
        "INF2 is completed on 12 Jan 2026 already (source web, id a1); void that event to correct it"
        "; was INF3 meant, whose window is 28 Jan to 3 Feb 2026?"
    )
    assert "2026年1月12日" in said
    assert "2026年1月28日至2026年2月3日" in said
    assert "来源 web" in said
