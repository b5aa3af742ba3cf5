"""A page in Chinese says nothing in English but codes and what people typed in."""

import html
import re
from collections.abc import Iterator
from datetime import timedelta
from itertools import count
from typing import get_args

import httpx
import pytest

from deployments.bootstrap.clock import Clock
from tasks.accounts.account import Role
from tasks.audit.entries import Kind
from tasks.database import custody, service_log
from tasks.database.event_log import Origin
from tasks.database.repairs import note_repair
from tasks.delivery.links import Appointment, Matter
from tests.support.api import Door, done, served
from tests.support.chinese import english
from tests.support.gallery import gallery
from tests.support.pages import Person
from tests.support.people import with_tokens

pytestmark = pytest.mark.requirement("PAG-01")

# The most different of the gallery's lives: how many days ago each was enrolled, and what is special.
LIVES = (
    *((438, ""), (310, "died"), (260, "consent"), (287, "late"), (151, "overdue"), (121, "stopped")),
    *((76, "flagged"), (41, "rescue"), (34, "booked"), (21, "overdue"), (7, "due"), (3, "sae"), (0, "new")),
)
# What the gallery's people typed in, and the names that the test gives to accounts.
TYPED = ("anaphylaxis", "prednisone", "1 mg/kg for 5 days", "Name of", "itp duty", "itp show")
PEOPLE: tuple[tuple[str, Role], ...] = (
    *(("inv.wu", "investigator"), ("crc.li", "recorder"), ("mon.sun", "monitor"), ("crc.he", "reader")),
    ("adm.qian", "admin"),
)
BARRED = "this needs a token of role recorder; yours is of role reader"
CHINESE = {"Accept-Language": "zh-CN,zh;q=0.9,en;q=0.8"}
FIRST = ("/", "/review?since=", "/review", "/duty", "/accounts", "/password", "/accounts/nobody")
# One page of a kind in so many subjects: they differ in what has happened to them.
EACH = 5
_LINKS = re.compile(r'href="(/[^"#]*)"')
_FORMS = re.compile(r'<form method="post" action="(/[^"]*)"')
# These would end the session of who looks, or of another role.
_NOT_SENT = ("/language", "/sign-out", "/reset", "/disable", "/revoke", "/token")


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    data = tmp_path_factory.mktemp("chinese")
    lived = gallery(data, Clock().now())
    for number, (ago, special) in zip(count(1), LIVES, strict=False):
        lived.live(f"ITP-{number:03}", ago, 0, special)
    lived.store.close()
    with served(data) as door:
        yield door


@pytest.fixture(scope="module")
def people(door: Door) -> dict[str, Person]:
    found = with_tokens(door, PEOPLE)
    for each in found.values():
        each.client.post("/language", data={"language": "zh-CN", "to": "/today"})
    return found


@pytest.mark.parametrize("code", [code for code, _ in PEOPLE])
def test_every_page_that_a_role_finds_and_every_refusal_is_in_chinese(
    door: Door, people: dict[str, Person], code: str
) -> None:
    found = {path: told for path, text in _found(people[code].client) if (told := english(text, TYPED))}
    assert found == {}


def _found(client: httpx.Client) -> Iterator[tuple[str, str]]:
    """Every page that links lead to, and the answers to its forms, sent empty."""
    waiting, seen, kinds = list(FIRST), set[str](), dict[str, int]()
    while waiting:
        path = waiting.pop(0)
        kind = re.sub(r"ITP-\d+|correct/\d+", "x", path.partition("?")[0])
        if path in seen or kinds.get(kind, 0) > EACH or path.startswith(("/web/", "/review.csv")):
            continue
        seen.add(path)
        kinds[kind] = kinds.get(kind, 0) + 1
        text = client.get(path, follow_redirects=True).text
        assert '<html lang="zh-CN">' in text, path
        yield path, text
        waiting += map(html.unescape, _LINKS.findall(text))
        yield from _sent_empty(client, text)


def _sent_empty(client: httpx.Client, page: str) -> Iterator[tuple[str, str]]:
    hidden = dict(re.findall(r'<input type="hidden" name="(csrf|id)" value="([^"]*)"', page))
    for action in map(html.unescape, _FORMS.findall(page)):
        if not action.endswith(_NOT_SENT):
            yield f"POST {action}", client.post(action, data=hidden).text


def test_every_kind_of_entry_of_a_review_is_in_chinese(door: Door, people: dict[str, Person]) -> None:
    origin = Origin("os:test", "cli")
    setting = {"place": "here:/data", "before": None, "after": "24.0"}
    with door.study.store.writing() as connection:
        service_log.note_barred(connection, "POST /events", origin, door.now, BARRED)
        service_log.note(connection, "exported", "july", origin, door.now, {})
        service_log.note(connection, "backed-up", "itp-1.tar", origin, door.now, {})
        service_log.note(connection, "settings", "ITP_BACKUP_HOURS", origin, door.now, setting)
        custody.note_restored(connection, "1", "itp-1.tar", door.now)
    fault = "its flow run was Cancelled; put back to INF3 window open"
    note_repair(door.study.store, fault, door.now, "ITP-001")
    token = door.token("recorder")
    door.post([done("INF4", door.now, "ITP-013")], headers=token)
    page = people["mon.sun"].open("/review?since=&late_days=0")
    assert english(page, TYPED) == []
    table = people["mon.sun"].client.get("/review.csv?since=&late_days=0").text
    kinds = {kind for kind in get_args(Kind) if f',"{kind}",' in table}
    assert kinds >= {"refusal", "export", "backup", "setting", "custody", "repair", "sign-in", "account"}


@pytest.mark.parametrize("step", ["T", "last-day", "sae", "flag", "majority", "disposition"])
def test_the_page_of_a_notice_is_in_chinese_also_for_nobody(door: Door, step: str) -> None:
    visit = "INF1" if step in ("T", "last-day") else None
    tomorrow, yesterday = door.now + timedelta(days=1), door.now - timedelta(days=1)
    links = [door.api.links.open(Matter(code, visit, step), tomorrow) for code in ("ITP-001", "ITP-013")]
    expired = door.api.links.open(Matter("ITP-001", visit, step), yesterday)
    with httpx.Client(trust_env=False, headers=CHINESE) as client:
        pages = [client.get(each) for each in (*links, expired, f"{links[0][:-3]}abc")]
    assert [each.status_code for each in pages] == [200, 200, 410, 403]
    assert [english(each.text, TYPED) for each in pages] == [[]] * len(pages)


def test_a_participants_page_is_in_chinese_whatever_it_says(door: Door) -> None:
    about = Appointment("ITP-013", "INF1", door.now.date() + timedelta(days=1), "zh-CN")
    link = door.api.links.answer(about)
    with httpx.Client(trust_env=False, headers=CHINESE) as client:
        answers = [client.get(link), client.get(link[:-3] + "abc")]
        answers += [client.post(link, data={"answer": each}) for each in ("coming", "stop", "nothing")]
    assert [english(each.text) for each in answers] == [[]] * len(answers)
