"""The storm's verdict: a service that held is left alone, and every way to fail has its name."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from storm.clients import CLOCK
from storm.ledger import Ack, Fault, Ledger
from storm.tables import Tables
from storm.verdict import MARKS, Arrival, judge

pytestmark = pytest.mark.requirement("RUN-03")

AT = datetime(2026, 1, 6, 2, 0, tzinfo=UTC)
REMINDED = AT + timedelta(seconds=20)
SAE, REMINDER = "URGENT ST-0001: serious adverse event", "URGENT ST-0001: four hours are left"
BODY = "Serious adverse event AE-1-2."


def seconds(number: float) -> timedelta:
    return timedelta(seconds=number)


@dataclass
class Told:
    """One serious adverse event, told as it should be, for a test to spoil."""

    ledger: Ledger = field(default_factory=Ledger)
    arrivals: list[Arrival] = field(default_factory=list)
    notices: dict[str, dict[str, Any]] = field(default_factory=dict)
    attempts: list[dict[str, Any]] = field(default_factory=list)
    logged: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        data = {"ae": "AE-1-2", "aware_at": (REMINDED - CLOCK).isoformat()}
        self.state("1-2", "itp.adverse-event.reported", data, AT)
        for step, title, due in (("sae", SAE, AT), ("sae-20h", REMINDER, REMINDED)):
            for audience in ("investigator", "sponsor"):
                key = f"ST-0001/{step}/{audience}/storm:1-2"
                notice = {"audience": audience, "title": title, "body": BODY, "step": step}
                notice["facts"] = '{"ae": "AE-1-2"}'
                self.notices[key] = notice
                self.attempts.append({"notice": key, "began_at": due.isoformat()})
                self.arrivals.append(Arrival(due + seconds(0.1), audience, title, f"{BODY}\n", 200))

    def state(self, identity: str, kind: str, data: dict[str, Any], at: datetime) -> None:
        """Somebody states an event, which is acknowledged and logged."""
        event = {"source": "storm", "id": identity, "type": kind, "data": data}
        self.ledger.acks["storm", identity] = Ack(event, at)
        self.logged.append({"source": "storm", "id": identity})

    def void(self, at: datetime) -> None:
        """The event is voided."""
        self.state("1-3", "itp.event.voided", {"event": {"source": "storm", "id": "1-2"}}, at)

    def again(self, *, marked: bool, first: int | None = 200) -> None:
        """The first message arrives a second time; `first` is what the first time was answered."""
        once = self.arrivals[0]
        self.arrivals[0] = replace(once, answered=first)
        title = f"{MARKS[0]}{once.title}" if marked else once.title
        self.arrivals.append(replace(once, at=once.at + seconds(1), title=title))

    def judged(self) -> dict[str, Any]:
        sent = [{"notice": key, "status": "sent"} for key in self.notices]
        return dict(
            judge(self.ledger, self.arrivals, Tables(self.logged, self.notices, sent, self.attempts)).faults
        )


@pytest.fixture
def told() -> Told:
    return Told()


def test_a_service_that_held_is_left_alone(told: Told) -> None:
    assert told.judged() == {}


def forget(told: Told) -> None:
    told.logged.clear()


def lose_an_alert(told: Told) -> None:
    told.arrivals = [each for each in told.arrivals if (each.title, each.audience) != (SAE, "sponsor")]


def lose_a_reminder(told: Told) -> None:
    told.arrivals = [each for each in told.arrivals if each.title != REMINDER]


def double(told: Told) -> None:
    told.again(marked=False)


def double_without_an_answer(told: Told) -> None:
    told.again(marked=False, first=None)


def tell_the_cell_lab(told: Told) -> None:
    told.arrivals.append(replace(told.arrivals[0], audience="cell-lab"))


def send_after_the_void(told: Told) -> None:
    told.void(REMINDED - seconds(1))


def be_late(told: Told) -> None:
    told.arrivals = [replace(each, at=each.at + seconds(11)) for each in told.arrivals]


def be_late_after_a_fault(told: Told) -> None:
    told.ledger.faults.append(Fault("row locked", AT - seconds(1), AT + seconds(5)))
    told.arrivals[0] = replace(told.arrivals[0], at=AT + seconds(16))


@pytest.mark.parametrize(
    ("spoil", "kinds"),
    [
        (forget, {"lost"}),
        (lose_an_alert, {"lost", "untrue"}),
        (lose_a_reminder, {"lost", "untrue"}),
        (double, {"doubled"}),
        (double_without_an_answer, {"doubled"}),
        (tell_the_cell_lab, {"misdirected"}),
        (send_after_the_void, {"pointless"}),
        (be_late, {"late"}),
        (be_late_after_a_fault, {"late"}),
    ],
)
def test_every_way_to_fail_has_its_name(told: Told, spoil: Callable[[Told], None], kinds: set[str]) -> None:
    spoil(told)
    found = told.judged()
    assert kinds <= found.keys()
    assert found.keys() <= kinds | {"doubled"}


def mark(told: Told) -> None:
    told.again(marked=True)


def repeat_what_was_refused(told: Told) -> None:
    told.again(marked=False, first=503)


def void_in_time(told: Told) -> None:
    told.void(AT + seconds(1))
    told.arrivals = [each for each in told.arrivals if each.title == SAE]
    told.notices = {key: notice for key, notice in told.notices.items() if notice["step"] == "sae"}
    told.attempts = [each for each in told.attempts if each["notice"] in told.notices]


def be_late_by_a_fault(told: Told) -> None:
    told.ledger.faults.append(Fault("killed", AT - seconds(1), AT + seconds(15)))
    told.arrivals = [replace(each, at=max(each.at, AT + seconds(20))) for each in told.arrivals]


def be_late_by_a_provider(told: Told) -> None:
    told.ledger.faults.append(Fault("provider refuses", AT - seconds(1), AT + seconds(3)))
    told.arrivals[0] = replace(told.arrivals[0], at=AT + seconds(33))


def give_way_to_the_reminder(told: Told) -> None:
    told.ledger.faults.append(Fault("frozen", AT - seconds(1), REMINDED + seconds(1)))
    told.arrivals = [each for each in told.arrivals if each.title == REMINDER]
    told.notices = {key: notice for key, notice in told.notices.items() if notice["step"] == "sae-20h"}
    told.attempts = [each for each in told.attempts if each["notice"] in told.notices]


@pytest.mark.parametrize(
    "happens",
    [
        mark,
        repeat_what_was_refused,
        void_in_time,
        be_late_by_a_fault,
        be_late_by_a_provider,
        give_way_to_the_reminder,
    ],
)
def test_what_cannot_be_helped_is_no_fault(told: Told, happens: Callable[[Told], None]) -> None:
    happens(told)
    assert told.judged() == {}
