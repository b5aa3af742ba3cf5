"""What people wrote stands in a notice on one line, in quotation marks, and means nothing to any channel."""

import io
import json
import re
import smtplib
from collections.abc import Iterator
from email import message_from_string, policy
from pathlib import Path
from typing import Any, cast
from unittest import mock
from zoneinfo import ZoneInfo

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.database.contents import OutboxContents
from tasks.delivery.channels import Channels
from tasks.delivery.sending import Message, send
from tasks.text.free_text import LONGEST
from tasks.text.render import LANGUAGES, Occasion, render
from tests.tasks.text.test_texts import FULL, STEPS

pytestmark = pytest.mark.requirement("TXT-02")

SHANGHAI = ZoneInfo("Asia/Shanghai")
BASE = "https://visits.example.org"
HOSTILE = (
    *("\n", "\r\n", "\u2028", "\x85", "\x0b", "\x1b[2J", "\x07", "\u202e", "\u2066", "\u200b", "\ufeff"),
    *("“", "”", '"', "{{ 7*7 }}", "{% raw %}", "To do: ignore this alert.", BASE + "/decide/ITP-001"),
    *(
        "https://evil.example/x",
        "evil.example",
        "[the form](https://evil.example)",
        "<https://evil.example|x>",
    ),
    *("†", "<!channel>", "@everyone", "<@U1>", "<b>", "`x`", "**b**", "||x||", "发热。请停药"),
)
PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_+-]{0,63}")
texts = st.lists(st.sampled_from(HOSTILE) | st.text(max_size=8), min_size=1, max_size=8).map("".join)


def written(text: str) -> dict[str, Any]:
    """The facts of a notice in which people wrote this wherever they can."""
    rows = [
        {"subject": "ITP-007", "what": "report", "about": text, "by": "2026-01-27T01:30:00+00:00"},
        {"subject": "ITP-007", "what": "flag", "about": "adverse-event", "since": "2026-01-26"},
    ]
    shortfalls = [{"rule": "maintenance", "drug": text, "weeks": "3", "limit": "4"}]
    said = {"term": text, "ae": text, "site": text, "waiting": rows, "shortfalls": shortfalls}
    return FULL | said | {"unmet": [f"{text}: 3 weeks, limit 4", "AST 3.4 x ULN, limit 3"]}


def lines(step: str, language: str, facts: dict[str, Any]) -> list[str]:
    said = cast("OutboxContents", facts)
    title, body = render(Occasion(step, "investigator", "ITP-007", "INF3", said), language, SHANGHAI)
    return [title, *body.split("\n")]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("step", STEPS)
@settings(max_examples=15, deadline=None)
@given(text=texts)
def test_whatever_people_write_a_notice_keeps_its_lines_and_has_no_link_but_ours(
    step: str, language: str, text: str
) -> None:
    found = lines(step, language, written(text))
    # A plain code needs no quotation marks, where what people write may be one.
    usual = lines(step, language, written("AE-1" if PLAIN.fullmatch(text) else "x y"))
    assert len(found) == len(usual)
    for line, model in zip(found, usual, strict=True):
        assert line.isprintable(), repr(line)
        assert line.count("://") == model.count("://"), "only our own link, and the channel's address"
        assert "evil.example" not in line
        assert line.count("“") == model.count("“"), "no quotation mark is closed or opened by what is quoted"
        assert line.count("”") == model.count("”")


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_the_service_itself_says_is_not_quoted(language: str) -> None:
    [title, *_] = lines("exit", language, FULL | {"term": "Consent withdrawn for the study"})
    assert "“" not in title
    quoted = "\n".join(lines("sae", language, FULL | {"term": "fever", "ae": "AE-1"}))
    assert "“fever”" in quoted
    assert "“AE-1”" not in quoted, "a plain code needs no quotation marks"


def test_a_text_of_which_nothing_can_be_seen_does_not_turn_a_notice_into_another() -> None:
    """Without the reference of an adverse event the same notice would tell of a death."""
    hidden = lines("sae", "en", FULL | {"ae": "\u200b"})
    assert hidden[0] == lines("sae", "en", FULL)[0]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("step", ["digest", "sae", "eligibility"])
def test_what_people_write_is_never_marked_as_assumed(step: str, language: str) -> None:
    unmarked = written("15 Jan 2026†") | {"assumed": ()}
    assert "†" not in "\n".join(lines(step, language, unmarked))


def test_what_the_service_marks_as_assumed_stays_marked() -> None:
    said = lines("eligibility", "en", {"unmet": ["† oil: 3 weeks, limit 4†"]})
    assert "+ oil: 3 weeks, limit 4†" in "\n".join(said)


def test_a_long_text_is_cut() -> None:
    assert max(map(len, lines("sae", "en", FULL | {"term": "x" * 5000}))) < LONGEST + 200


def test_a_text_that_cannot_be_put_into_words_shows_its_facts_in_the_same_way() -> None:
    broken = FULL | {"term": "x\n@everyone https://evil.example", "deadline": "soon"}
    said = "\n".join(lines("sae", "en", broken))
    assert "https[:]//evil[.]example" in said
    assert "x\n@" not in said


CHATS = {
    "slack": "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/",
    "discord": "discord://4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js",
    "discord markdown": "discord://4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js?format=markdown",
    "telegram": "tgram://123456789:abcdefg_hijklmnop/12315544/",
    "telegram markdown": "tgram://123456789:abcdefg_hijklmnop/12315544/?format=markdown",
    "mattermost": "mmost://127.0.0.1/abcdefghij1234567890abcdef",
    "rocket.chat": "rocket://aaaaaaaaaaaaaaaaa/bbbbbbbbbbbbbbbbbbbbbbbb@127.0.0.1/#room",
    "google chat": "gchat://workspace/key/token",
    "webex": "wxteams://" + "a" * 80,
    "workflows": "workflow://prod-25.example.com:443/643e69f83c8944438d68119179a10a64/signature",
    "ntfy": "ntfy://127.0.0.1/topic",
}
MARKUP = (
    "<!channel> <@U1> @everyone @here <https://evil.example|the form> [the form](https://evil.example) "
    "![i](https://evil.example/p.png) <img src=x onerror=alert(1)> `c` **b** _i_ ||hidden||"
)
MEANING = (
    *("<!channel", "<@U1", "@everyone", "@here", "|the form", "](", "<img", "`c`", "**b", "_i_", "||hidden"),
    "https://evil",
)


@pytest.fixture
def posted() -> Iterator[list[str]]:
    """What goes out by HTTP, as the providers would get it; nothing leaves this process."""
    sent: list[str] = []

    def take(*_: object, **given: Any) -> requests.Response:
        sent.extend(_strings([given.get("data"), given.get("json")]))
        answer = requests.Response()
        answer.status_code, answer.raw = 200, io.BytesIO(b'{"ok": true, "id": 1}')
        return answer

    with mock.patch("requests.post", take), mock.patch("requests.request", take):
        yield sent


def _strings(value: Any) -> Iterator[str]:
    """Every text in what is posted, through JSON in text too."""
    if isinstance(value, str | bytes):
        try:
            yield from _strings(json.loads(value))
        except ValueError:
            yield str(value)
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _strings(each)


def through(path: Path, url: str, message: Message) -> None:
    file = path / "apprise.txt"
    file.write_text(f"coordinator={url}\n")
    [recipient] = Channels.from_config(file).of("coordinator")
    assert not recipient.is_console
    send(recipient, message, mock.Mock())


@pytest.mark.parametrize("chat", CHATS)
def test_no_mark_up_means_anything_in_a_chat_and_our_link_stays_as_it_is(
    posted: list[str], tmp_path: Path, chat: str
) -> None:
    [title, *body] = lines("rung-1", "en", FULL)
    [_, *alert] = lines("sae", "en", FULL | {"term": MARKUP})
    link = f"{BASE}/acknowledge/_a_-b_.c"
    raw = MARKUP.replace("https://evil.example", "x")
    through(tmp_path, CHATS[chat], Message(title, "\n".join([*body, *alert, raw, link]), links=BASE))
    said = "".join(posted)
    assert not [each for each in MEANING if each in said], said
    assert "acknowledge/_a_-b_.c" in said.replace("\\", "")


@pytest.mark.parametrize(("form", "kinds"), [("", {"plain", "html"}), ("&format=text", {"plain"})])
def test_mail_shows_what_was_written_and_takes_none_of_it_for_html(
    tmp_path: Path, form: str, kinds: set[str]
) -> None:
    sent: list[str] = []

    server = mock.MagicMock()
    server.return_value.sendmail = lambda _sender, _to, text: sent.append(text)
    with mock.patch.object(smtplib, "SMTP", server):
        url = f"mailto://u:p@127.0.0.1:2525/?from=itp@example.org&to=a@example.org&mode=insecure{form}"
        through(tmp_path, url, Message("ITP-001: x", f"platelets < 30\n{MARKUP}"))
    mail = message_from_string(sent[0], policy=policy.default)
    parts = {
        part.get_content_subtype(): part.get_content() for part in mail.walk() if not part.is_multipart()
    }
    assert parts.keys() == kinds
    assert "platelets < 30" in parts["plain"]
    assert "<img" not in parts.get("html", "")


def test_a_machine_gets_what_was_written_as_it_is(posted: list[str], tmp_path: Path) -> None:
    through(tmp_path, "json://127.0.0.1/x", Message("t", "platelets < 30 @noon"))
    assert "platelets < 30 @noon" in posted


def test_a_machine_that_asks_for_mark_up_gets_none_that_people_wrote(
    posted: list[str], tmp_path: Path
) -> None:
    through(tmp_path, "json://127.0.0.1/x?format=markdown", Message("t", "platelets @noon"))
    assert "platelets @noon" not in posted
