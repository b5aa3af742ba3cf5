"""What somebody else wrote gives a terminal no command, and reads in the order in which it stands."""

import io
import json
import unicodedata

import click
import pytest
from click.testing import CliRunner
from hypothesis import example, given
from hypothesis import strategies as st
from rich.markdown import Markdown
from rich.text import Text

from deployments.cli.errors import say
from deployments.cli.output.harmless import plain
from deployments.cli.output.tables import SafeConsole, print_json

pytestmark = pytest.mark.requirement("TXT-02")

COMMANDS = "\u00ad\U000e0041\x1b]0;owned\x07\x1b[2J\x08\x9b31m\x85\u2028\u202egnp.exe\u2066\u200f\ufeff"
texts = st.text(st.one_of(st.sampled_from(COMMANDS), st.characters(exclude_categories=["Cs"])))


def commands_in(text: str) -> list[str]:
    """The characters of a text that are not shown as they are: controls, marks of direction, line breaks."""
    shown = (letter for letter in text if letter not in "\n\t")
    return [each for each in shown if unicodedata.category(each) in ("Cc", "Zl", "Zp") or _turns(each)]


def _turns(letter: str) -> bool:
    return unicodedata.bidirectional(letter) in {
        "LRE",
        "RLE",
        "LRO",
        "RLO",
        "PDF",
        "LRI",
        "RLI",
        "FSI",
        "PDI",
    }


@given(texts)
@example(COMMANDS)
def test_plain_text_holds_no_command(text: str) -> None:
    assert commands_in(plain(text)) == []


@pytest.mark.parametrize("text", ["研究者，成都　华西", "é ñ 10⁹/L ≥ †", "one\n\ttwo", ""])
def test_what_is_shown_as_it_is_stays(text: str) -> None:
    assert plain(text) == text


@pytest.mark.parametrize("shown", [str, Text, Markdown])
def test_whatever_is_printed_no_command_of_somebody_else_reaches_the_terminal(
    shown: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = SafeConsole()
    out.file = io.StringIO()
    out.print(shown(f"before {COMMANDS} after"))
    said = out.file.getvalue()
    assert "before" in said
    assert commands_in(said) == []


@given(texts)
@example(COMMANDS)
def test_json_holds_commands_as_escapes_only(text: str) -> None:
    @click.command()
    def printing() -> None:
        print_json({text: text})

    said = CliRunner().invoke(printing).stdout
    assert json.loads(said) == {text: text}
    assert commands_in(said) == []


@given(texts)
@example(f"{COMMANDS}\nforged: line")
def test_an_error_is_one_line_whatever_it_repeats(text: str) -> None:
    @click.command()
    def failing() -> None:
        say(text)

    said = CliRunner().invoke(failing).stderr
    assert said.endswith("\n")
    assert commands_in(said) == []
    assert "\n" not in said[:-1]
