"""Whatever the door, only an investigator decides, assesses, or takes either back."""

import ast
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event as Flag
from typing import Any, cast

import pytest
import sqlalchemy as sa

from deployments.api.http.auth import Caller
from deployments.api.http.dependencies import ApiContext
from deployments.api.pages import participant
from deployments.api.redcap.form import REDCAP
from deployments.api.routes import webhook
from deployments.api.web import acknowledging
from deployments.cli.commands.record import at_the_machine
from flows.record_event import FORM, POSTED
from flows.study.roles import UNKNOWN, Sender, SignedIn, SigningAtTheMachine, Speaker
from flows.study.signing import sign_line
from itp_events.errors import Forbidden, ItpError
from itp_events.events import INVESTIGATORS, Event, Voided
from tasks.accounts import changing
from tasks.accounts.account import ROLES, Role
from tasks.advance import record
from tasks.database import queries
from tasks.database.schema import events
from tests.support import wait_until
from tests.support.study import Study
from tests.tasks.accounts.people import BY, person
from tests.tasks.database.test_record import waiting_for_a_lock
from tests.tasks.desk import Desk

pytestmark = pytest.mark.requirement("WHO-02")

ROOT = Path(__file__).parents[3]
MISSED = "ITP-001/INF1/missed"
LOCAL = cast("Speaker", Caller().sender(cast("ApiContext", None), "api"))
DOORS = {
    "prefect-form": FORM,
    "prefect-event": POSTED,
    "webhook": webhook.sender("site"),
    "redcap": REDCAP,
    "acknowledge-link": acknowledging.HOLDER,
    "participant-link": participant.HOLDER,
    "unknown": UNKNOWN,
    "this-machine-alone": LOCAL,
}
# Whoever runs these could write to the database, or made it.
MAY_DECIDE = {"deployments/cli/commands/record.py", "deployments/demo/run.py"}
ACTS = ("decide", "assess", "void-decision", "void-assessment")


@dataclass
class Case:
    """A subject with a decision and an assessment, and a deviation to assess."""

    desk: Desk
    study: Study

    def __post_init__(self) -> None:
        missed = self.study.event("itp.visit.missed", None, "2026-01-14", visit="INF1", reason="away")
        self.decided, self.assessed = self.stated("decide", "inv-01"), self.stated("assess", "inv-01")
        self.desk.take(self.study.enrol(), missed, self.decided, self.assessed)

    def stated(self, act: str, by: str) -> Event:
        """The event by which somebody acts."""
        if act == "decide":
            said = {"by": by, "decision": "withdraw", "reason": "judged so"}
            return self.study.event("itp.withdrawal.decided", "2026-01-15", "2026-01-16", **said)
        if act == "assess":
            given: dict[str, Any] = {"by": by, "deviation": MISSED, "important": True}
            return self.study.event("itp.deviation.assessed", None, "2026-01-16", **given)
        target = self.decided if act == "void-decision" else self.assessed
        return self.study.void(target, "2026-01-16", by=by)

    def attempt(self, sender: Sender, act: str, by: str) -> ItpError | None:
        """Record it as a door does; the refusal."""
        return self.record(sender, self.stated(act, by))

    def record(self, sender: Sender, event: Event) -> ItpError | None:
        """The refusal of an event; None when it is recorded."""
        [answer] = record(self.desk.store, self.desk.protocol, [event], event.time, sender=sender)
        return answer.error

    def reserved(self) -> list[Event]:
        """The log's decisions, assessments and voids."""
        logged = (line.event for line in queries.log_lines(self.desk.store, "ITP-001"))
        stated = (each for each in logged if not each.own)
        return [each for each in stated if isinstance(each.data, (INVESTIGATORS, Voided))]


@pytest.fixture
def case(desk: Desk, study: Study) -> Case:
    return Case(desk, study)


@pytest.mark.parametrize("door", DOORS)
def test_a_door_that_knows_no_account_lets_no_decision_in(case: Case, door: str) -> None:
    for act in ACTS:
        assert isinstance(case.attempt(DOORS[door], act, "inv-01"), Forbidden), act
    assert case.reserved() == [case.decided, case.assessed]


def test_whoever_is_at_the_machine_and_an_investigator_may(case: Case) -> None:
    """The refusals above are not for another reason."""
    inv = person(case.desk, "investigator", "inv-01")
    takes_back_first = ("void-decision", "void-assessment", "decide", "assess")
    senders: tuple[Sender, ...] = (at_the_machine(), inv) * 2
    for sender, act in zip(senders, takes_back_first, strict=True):
        assert case.attempt(sender, act, "inv-01") is None, act


def test_no_other_part_of_the_program_makes_a_sender_that_decides() -> None:
    packages = ("itp_events", "tasks", "flows", "deployments")
    found = {
        str(path.relative_to(ROOT))
        for package in packages
        for path in (ROOT / package).rglob("*.py")
        if "Speaker(" in path.read_text("utf-8") and _makes_one_that_decides(path)
    }
    assert found == MAY_DECIDE


def _makes_one_that_decides(path: Path) -> bool:
    calls = (node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call))
    return any(
        isinstance(call.func, ast.Name)
        and call.func.id == "Speaker"
        and (call.args or any(each.arg in ("decides", None) for each in call.keywords))
        for call in calls
    )


def test_whoever_counts_while_there_is_no_account_states_nothing_from_the_first_one_on(
    desk: Desk, study: Study
) -> None:
    desk.take(study.enrol())
    first, second = (study.event("itp.contact.attempted", "2026-01-05", None, reached=True) for _ in "12")
    [answer] = record(desk.store, desk.protocol, [first], first.time, sender=LOCAL)
    assert answer.status == "recorded"
    person(desk, "reader")
    [answer] = record(desk.store, desk.protocol, [second], second.time, sender=LOCAL)
    assert isinstance(answer.error, Forbidden)


@pytest.mark.parametrize("role", ROLES)
def test_an_account_has_its_own_role_and_its_own_name_at_each_door(case: Case, role: Role) -> None:
    account = person(case.desk, role, "who")
    senders: tuple[Sender, ...] = (
        account,
        replace(account, door="page", signs=True),
        SigningAtTheMachine(account.account),
    )
    for sender in senders:
        for act in ACTS:
            assert isinstance(case.attempt(sender, act, "inv-01"), Forbidden), "in another's name"
            if role != "investigator":
                assert isinstance(case.attempt(sender, act, "who"), Forbidden), act
    if role == "investigator":
        assert case.attempt(senders[1], "void-decision", "who") is None
        assert case.attempt(senders[0], "decide", "who") is None
        assert [each.data.by for each in case.reserved()] == ["inv-01", "inv-01", "who", "who"]
    else:
        assert case.reserved() == [case.decided, case.assessed]


# What is tried while somebody changes the account


def _switch(connection: sa.Connection, role: Role) -> None:
    changing.change(connection, "who", BY, role=role)


def test_nobody_decides_or_takes_back_between_a_fall_and_the_next_rise(case: Case) -> None:
    """The account is an investigator, a recorder, and so on, while it decides and takes back."""
    case.desk.take(case.stated("void-decision", "inv-01"))
    who, stop = person(case.desk, "investigator", "who"), Flag()
    between: list[tuple[int, int]] = []

    def flicker() -> None:
        while not stop.is_set():
            after_the_fall = case.desk.store.write(_switched("recorder"))
            between.append((after_the_fall, case.desk.store.write(_switched("investigator"))))

    with ThreadPoolExecutor(1) as pool:
        flickering = pool.submit(flicker)
        try:
            for _ in range(25):
                decided = case.stated("decide", "who")
                if case.record(who, decided) is None:
                    case.record(who, case.study.void(decided, "2026-01-16", by="who"))
        finally:
            stop.set()
        flickering.result()
    assert between
    assert [rise for _, rise in between] == [fall for fall, _ in between]


def _switched(role: Role) -> Callable[[sa.Connection], int]:
    """Change the role; the number of the account's events by then."""

    def step(connection: sa.Connection) -> int:
        _switch(connection, role)
        query = sa.select(sa.func.count()).select_from(events).where(events.c.actor == "who")
        return connection.scalar(query) or 0

    return step


@pytest.mark.parametrize("act", [*ACTS, "sign"])
def test_who_falls_while_it_waits_for_the_account_is_refused(
    postgresql_url: str, study: Study, act: str
) -> None:
    case = Case(Desk.open(postgresql_url), study)
    who = person(case.desk, "investigator", "who")
    with ThreadPoolExecutor(1) as pool:
        with case.desk.store.writing() as connection:
            _switch(connection, "recorder")
            trying = pool.submit(_tried, case, who, act)
            wait_until(lambda: waiting_for_a_lock(case.desk) == 1, f"{act} to wait for the account")
        assert isinstance(trying.result(), Forbidden)
    assert case.reserved() == [case.decided, case.assessed]
    case.desk.store.close()


def _tried(case: Case, who: SignedIn, act: str) -> ItpError | None:
    if act != "sign":
        return case.attempt(who, act, "who")
    lines = queries.log_lines(case.desk.store, "ITP-001")
    number = next(line.seq for line in lines if line.event.key == case.decided.key)
    try:
        sign_line(case.desk.store, who.account, "ITP-001", number, case.decided.time)
    except ItpError as error:
        return error
    return None
