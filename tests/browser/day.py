"""The people's day at a site, on their phones, in Chinese: what each of them does, step by step.

The tests walk through it, and `make screenshots` takes the pictures of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path

import yaml

from itp_events.duty.changes import read_change
from itp_events.events import Event
from itp_events.protocol.file import BUILT_IN
from tasks.accounts import changing, passwords
from tasks.accounts.account import Account, Role
from tasks.accounts.changing import By
from tasks.database import duty
from tasks.database.queries import history
from tests.browser.office import state_absence
from tests.browser.phone import Phone, phone
from tests.deployments.api.web.test_forms import eligible
from tests.support.proxy import Proxy
from tests.support.receiver import Receiver, Request
from tests.support.service import AUDIENCES, SITE, Service
from tests.support.waiting import wait_until

CODE = "ITP-101"
PASSWORD = "a sentence of my own"
PEOPLE: dict[str, Role] = {
    "crc.li": "recorder",
    "crc.wang": "recorder",
    "inv.wu": "investigator",
    "adm.qian": "admin",
}
# Who has a phone of their own in the Apprise configuration.
PHONES = ("crc.li", "crc.wang", "inv.wu")
EVERY_DAY = [1, 2, 3, 4, 5, 6, 7]
# To the page of what a notice speaks of; the investigator's about a flag to the decision itself.
_LINK = re.compile(r"http://[^/\s]+(/(?:n|s)/\S+)")
Look = Callable[[Phone, str], None]


@dataclass
class Day:
    """A site whose service runs, with a phone for each person and a network that can be cut."""

    service: Service
    network: Proxy
    look: Look = lambda held, name: None
    phones: dict[str, Phone] = field(default_factory=dict)
    opened: ExitStack = field(default_factory=ExitStack)

    @property
    def now(self) -> datetime:
        """The study's present instant."""
        return self.service.study.clock.now()

    @property
    def today(self) -> date:
        """The date at the site."""
        return self.now.astimezone(SITE).date()

    @property
    def facts(self) -> list[Event]:
        """What was stated about the subject, oldest first."""
        return [each for each in history(self.service.study.store, CODE) if not each.own]

    def stated(self, kind: str) -> list[Event]:
        """The events of a type that stand in the log, the corrected ones too."""
        return [each for each in self.facts if each.type == f"itp.{kind}"]

    def phone_of(self, person: str) -> Phone:
        """The phone of somebody who has signed in on it."""
        if person not in self.phones:
            held = self.opened.enter_context(phone(f"http://127.0.0.1:{self.network.port}"))
            held.sign_in(person, PASSWORD)
            self.phones[person] = held
        return self.phones[person]

    def at(self, on: date, hour: int = 9) -> None:
        """Let the clock go on from an hour of a day at the site."""
        self.service.move_clock_to(datetime(on.year, on.month, on.day, hour, tzinfo=SITE))

    def told(self, person: str) -> list[Request]:
        """The notices on somebody's own phone about the subject."""
        return [each for each in self.service.receiver.at(person) if CODE in each.body["title"]]

    def tap_notice(self, person: str, words: str) -> Phone:
        """Tap the link of the newest notice about the subject whose title has these words."""

        def found() -> str | None:
            titled = [each for each in self.told(person) if words in each.body["title"]]
            links = [
                re.search(r"http://[^/\s]+(/(?:n|s|decide)/\S+)", str(each.body["message"]))
                for each in titled
            ]
            return next((link[1] for link in reversed(links) if link), None)

        link = wait_until(found, f"a notice to {person} with {words!r}", every=0.1)
        held = self.phone_of(person)
        held.open(str(link))
        return held

    def enrol(self) -> None:
        """Enrol the subject, with the first infusion agreed for Friday."""
        held = self.phone_of("crc.li")
        held.open("/enrol")
        self.look(held, "enrol")
        friday = self.today + timedelta(days=4)
        held.write(**eligible(CODE, f"{self.today}"))
        held.write(first_infusion_on=f"{friday}")
        held.send("/enrol")
        assert "已记录" in held.text

    def book(self) -> None:
        """From the notice: three taps, and the visit is booked."""
        held = self.tap_notice("crc.li", "INF1")
        self.look(held, "notice")
        held.tap(f'a[href^="/s/{CODE}/book"]')
        self.look(held, "book")
        held.send(f"/s/{CODE}/book")
        assert "已预约" in held.text

    def do(self) -> None:
        """On the day, from the notice: three taps and the results, and the visit is done."""
        self.at(self.today + timedelta(days=4))
        held = self.tap_notice("crc.li", "应进行")
        held.tap(f'a[href^="/s/{CODE}/done"]')
        held.write(cells_given="6.2e9", platelets="18", bleeding="1")
        self.look(held, "done")
        held.send(f"/s/{CODE}/done")

    def report(self) -> None:
        """Report a serious adverse event, and that its report was submitted."""
        held = self.phone_of("crc.li")
        held.open(f"/s/{CODE}/adverse-event")
        held.write(term="过敏反应", on=f"{self.today}", grade="3", serious="yes", related="yes")
        self.look(held, "adverse-event")
        held.send(f"/s/{CODE}/adverse-event")
        held.open("/today")
        assert "严重不良事件 AE-1" in held.text
        self.look(held, "today")
        held.tap(f'a[href^="/s/{CODE}/submission"]')
        held.send(f"/s/{CODE}/submission")

    def correct(self) -> None:
        """Put the date of the infusion right: it was the day before."""
        held = self.phone_of("crc.li")
        held.open(f"/s/{CODE}")
        done = self.stated("visit.completed")[-1]
        seq = [each.key for each in history(self.service.study.store, CODE)].index(done.key) + 1
        held.tap(f'a[href="/s/{CODE}/correct/{seq}"]')
        held.write(on=f"{self.today - timedelta(days=1)}", why="日期录错")
        self.look(held, "correct")
        held.send(f"/s/{CODE}/correct/{seq}")

    def leave(self) -> None:
        """The coordinator goes on leave, and a deputy stands in."""
        held = self.phone_of("adm.qian")
        held.open("/duty")
        state_absence(held, "crc.li", "crc.wang")
        self.look(held, "duty")

    def decide(self) -> None:
        """The investigator decides, seeing the facts, and signs."""
        held = self.tap_notice("inv.wu", "暂停")
        assert held.driver.current_url.split("?")[0].endswith("/decide")
        self.look(held, "decide")
        held.write(decision="continue", reason="已恢复，继续治疗", token=PASSWORD)
        held.send(f"/s/{CODE}/decide")


@contextmanager
def begun(service: Service, look: Look = lambda held, name: None) -> Iterator[Day]:
    """A Monday at a site that has people, a rota and a service which speaks Chinese."""
    service.begin_week()
    _employ(service)
    with Proxy(service.api_port) as network, ExitStack() as opened:
        yield Day(service, network, look, opened=opened)


def chinese_protocol(path: Path) -> Path:
    """The built-in protocol for a site that speaks Chinese."""
    data = yaml.safe_load(BUILT_IN.read_text(encoding="utf-8"))
    for site in data["sites"].values():
        site["language"] = "zh-CN"
    path.write_text(yaml.safe_dump(data, allow_unicode=True, sort_keys=False), encoding="utf-8")
    return path


def phones_config(receiver: Receiver) -> str:
    """An Apprise configuration in which each audience and each person has a path of their own."""
    tags = (*AUDIENCES, *PHONES)
    lines = "".join(f"  - {receiver.apprise_url()}{tag}:\n      - tag: {tag}\n" for tag in tags)
    return f"version: 1\nurls:\n{lines}"


def _employ(service: Service) -> None:
    """Accounts with passwords, and a rota by which crc.li and inv.wu are on duty every day."""
    study, now = service.study, service.study.clock.now()
    kept = passwords.hashed(PASSWORD)
    with study.store.writing() as connection:
        by = By(None, "cli", study.wall())
        for code, role in PEOPLE.items():
            account = Account(code, f"Name of {code}", role, language="zh-CN")
            changing.add(connection, account, by)
            passwords.set_password(connection, account, kept, by)
    first = f"{now.astimezone(SITE).date()}"
    for audience, person in (("coordinator", "crc.li"), ("investigator", "inv.wu")):
        said = {"what": "rota", "audience": audience, "site": "01", "days": EVERY_DAY, "people": [person]}
        duty.state(study.store, read_change(said | {"first": first}), now, actor="os:test", door="cli")
