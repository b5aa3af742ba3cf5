"""A mail is a page of our own beside its text: sentences wrap, and the link is a button."""

import io
import json
from collections.abc import Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tasks.delivery.channels import Channels
from tasks.delivery.sending import Message, Outcome, send
from tests.tasks.delivery.stand_in import StandIn, stand_in
from tests.tasks.delivery.test_answers import CASES, KEY, unlimited
from tests.tasks.mail_server import mail_server

pytestmark = pytest.mark.requirement("TXT-02")

BASE = "https://itp.example.org"
LINK = f"{BASE}/acknowledge/_a_-b.c?x=1&y=2"
LINES = [
    "The coordinator was told, and Infusion 3 of subject ITP-007 is still not recorded.",
    "Window: Mon 2 Feb 2026 to Sun 8 Feb 2026, both days included.",
    f"To take it on, open this page and press its button: {LINK}",
    "Recording the visit ends these messages.",
    "- ITP-008: platelets < 30 & “<b>bold</b> <script>alert(1)</script> evil[.]example”",
]
MESSAGE = Message("OVERDUE ITP-007: “<i>x</i>”", "\n".join(LINES), links=BASE)
ZH = Message(
    "【逾期】ITP-007：第 3 次输注仍无记录",
    f"如由您负责跟进，请打开此页面并按下按钮：{LINK}",
    links=BASE,
    language="zh-CN",
)


class Page(HTMLParser):
    """The tags of a page, the addresses that it leads to, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.loads: list[str] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [str(value) for name, value in attrs if name == "href"]
        self.loads += [str(value) for name, value in attrs if name in ("src", "srcset", "background")]

    def handle_data(self, data: str) -> None:
        self.text += data


def mailed(path: Path, message: Message, form: str = "") -> EmailMessage:
    """The mail as a real server gets it."""
    got: list[bytes] = []
    with mail_server(mails=got) as port:
        file = path / "apprise.txt"
        file.write_text(
            f"coordinator=mailto://127.0.0.1:{port}?from=itp@example.org&to=a@example.org&mode=insecure{form}\n"
        )
        [recipient] = Channels.from_config(file).configured
        assert send(recipient, message, io.StringIO()) == Outcome("sent")
    [raw] = got
    mail = message_from_bytes(raw, policy=policy.default)
    assert isinstance(mail, EmailMessage)
    return mail


def part(mail: EmailMessage, kind: str) -> str:
    found = mail.get_body((kind,))
    assert found
    return str(found.get_content())


def test_a_mail_has_its_text_and_a_page_of_the_same_words(tmp_path: Path) -> None:
    mail = mailed(tmp_path, MESSAGE)
    assert mail.get_content_type() == "multipart/alternative"
    assert mail["Subject"] == MESSAGE.title
    text = part(mail, "plain")
    for line in LINES:
        sentence = line.removesuffix(LINK).strip().removeprefix("- ")
        assert sentence in text.splitlines() or f"- {sentence}" in text.splitlines(), text
        assert sentence in Page(part(mail, "html")).text
    assert LINK in text.splitlines(), "the address stands on a line of its own"


def test_the_link_is_a_button_and_nothing_else_leads_anywhere(tmp_path: Path) -> None:
    page = Page(part(mailed(tmp_path, MESSAGE), "html"))
    assert page.links == [LINK]
    assert page.loads == []
    assert "Open the page" in page.text


def test_what_people_wrote_is_not_taken_for_html(tmp_path: Path) -> None:
    page = Page(part(mailed(tmp_path, MESSAGE), "html"))
    assert not {"b", "i", "script", "img"} & set(page.tags)
    assert "“<b>bold</b> <script>alert(1)</script> evil[.]example”" in page.text


def test_sentences_wrap_on_a_narrow_screen(tmp_path: Path) -> None:
    html = part(mailed(tmp_path, MESSAGE), "html")
    assert "pre" not in Page(html).tags
    assert "&nbsp;" not in html
    assert 'name="viewport"' in html
    assert "max-width:38em" in html


def test_a_mail_in_chinese_says_so_and_its_button_is_chinese(tmp_path: Path) -> None:
    mail = mailed(tmp_path, ZH)
    assert mail["Subject"] == ZH.title
    html = part(mail, "html")
    assert '<html lang="zh-CN">' in html
    assert "打开页面" in Page(html).text
    assert LINK in part(mail, "plain").splitlines()


def test_a_link_of_somebody_else_is_no_button(tmp_path: Path) -> None:
    foreign = Message("t", f"see https://itp.example.org.evil.example/x and {BASE}x", links=BASE)
    assert Page(part(mailed(tmp_path, foreign), "html")).links == []


def test_a_url_that_asks_for_text_gets_the_text_alone(tmp_path: Path) -> None:
    mail = mailed(tmp_path, MESSAGE, "&format=text")
    assert mail.get_content_type() == "text/plain"
    assert str(mail.get_content()).split() == MESSAGE.body.split()


SERVICES = {
    "brevo": f"brevo://{KEY}:from@example.org/b@example.org",
    "mailersend": CASES["mailersend"].url,
    "postmark": CASES["postmark"].url,
    "resend": f"resend://{KEY}:from@example.org/b@example.org",
    "sendgrid": f"sendgrid://{KEY}:from@example.org/b@example.org",
    "smtp2go": CASES["smtp2go"].url,
    "sparkpost": CASES["sparkpost"].url,
}


@pytest.fixture
def providers(monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    """All providers there are."""
    with stand_in(monkeypatch) as found:
        yield found


@pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning")
@pytest.mark.parametrize("name", SERVICES)
def test_a_service_that_mails_for_us_gets_the_same_page(
    name: str, providers: StandIn, tmp_path: Path
) -> None:
    providers.always(json.dumps(CASES[name].taken) if name in CASES else "{}")
    file = tmp_path / "apprise.txt"
    file.write_text(f"coordinator={SERVICES[name]}\n")
    [recipient] = Channels.from_config(file).configured
    assert recipient.server
    unlimited(recipient.server)
    assert send(recipient, MESSAGE, io.StringIO()) == Outcome("sent")
    [asked] = providers.asked
    posted = json.loads(asked.text.partition("\n\n")[2])
    texts = [each for each in _strings(posted) if "<!DOCTYPE html>" in each]
    assert [Page(each).links for each in texts] == [[LINK]]


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _strings(each)
