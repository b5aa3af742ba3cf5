"""Who may state what is judged in the transaction that records, by the account as it is then."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from functools import partial
from itertools import count
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flows.study.roles import SignedIn
from itp_events.errors import BadInput, Forbidden
from itp_events.events import OWN_SOURCE, Event
from tasks.accounts import changing, tokens
from tasks.accounts.account import ROLES, Account, Role
from tasks.advance import Answer, record
from tasks.database import queries
from tests.support import wait_until
from tests.support.study import Study
from tests.tasks.accounts.people import BY, person
from tests.tasks.database.test_record import waiting_for_a_lock
from tests.tasks.desk import Desk

pytestmark = pytest.mark.requirement("WHO-02")


def state(desk: Desk, sender: SignedIn, *events: Event) -> list[Answer]:
    """Record events as the sender states them."""
    return record(desk.store, desk.protocol, events, max(event.time for event in events), sender=sender)


def by(event: Event, who: str) -> Event:
    """The event with another `by`."""
    return replace(event, data=event.data.model_copy(update={"by": who}))


def refusal(answers: list[Answer]) -> str:
    """The rule that the only event was refused by; empty when it was not."""
    [answer] = answers
    return answer.error.rule if isinstance(answer.error, Forbidden) else ""


def contact(study: Study, who: str, on: str = "2026-01-05") -> Event:
    return by(study.event("itp.contact.attempted", on, None, reached=True), who)


def decision(study: Study, who: str) -> Event:
    stated = study.event("itp.withdrawal.decided", "2026-01-05", None, decision="withdraw", reason="her wish")
    return by(stated, who)


def test_nobody_states_what_another_says_but_an_account_that_speaks_for_others(
    desk: Desk, study: Study
) -> None:
    desk.take(study.enrol())
    crc, edc = person(desk, "recorder", "crc.li"), person(desk, "recorder", "edc", for_others=True)
    assert refusal(state(desk, crc, contact(study, "crc.wu"))) == "by"
    assert refusal(state(desk, crc, contact(study, "crc.li"))) == ""
    assert refusal(state(desk, edc, contact(study, "crc.wu"))) == ""


@pytest.mark.parametrize(
    ("role", "states", "decides"),
    [
        ("reader", False, False),
        ("monitor", False, False),
        ("admin", False, False),
        ("recorder", True, False),
        ("investigator", True, True),
    ],
)
def test_each_role_states_what_it_may(
    desk: Desk, study: Study, role: Role, states: bool, decides: bool
) -> None:
    desk.take(study.enrol())
    sender = person(desk, role)
    assert (refusal(state(desk, sender, contact(study, role))) == "") is states
    assert (refusal(state(desk, sender, decision(study, role))) == "") is decides


def test_a_recorder_takes_no_decision_back(desk: Desk, study: Study) -> None:
    decided = decision(study, "inv")
    desk.take(study.enrol(), decided)
    void = study.void(decided, "2026-01-05")
    assert refusal(state(desk, person(desk, "recorder"), by(void, "recorder"))) == "role"
    assert refusal(state(desk, person(desk, "investigator"), by(void, "investigator"))) == ""


def test_an_account_states_nothing_of_another_site(desk: Desk) -> None:
    here, there = Study("01", code="ITP-001"), Study("02", code="ITP-002")
    crc = person(desk, "recorder", "crc.li", sites=("01",))
    assert refusal(state(desk, crc, by(there.enrol(), "crc.li"))) == "site"
    desk.take(there.log[0])
    assert refusal(state(desk, crc, contact(there, "crc.li"))) == "site"
    assert refusal(state(desk, crc, by(here.enrol(), "crc.li"))) == ""


def test_an_account_moves_no_subject_to_another_site(desk: Desk, study: Study) -> None:
    crc = person(desk, "recorder", "crc.li", sites=("01",))
    first = by(study.enrol(), "crc.li")
    state(desk, crc, first)
    void = by(study.void(first, "2026-01-06"), "crc.li")
    again = by(Study("02").enrol(event_id="again", at="2026-01-06"), "crc.li")
    answers = state(desk, crc, void, again)
    assert [answer.status for answer in answers] == ["refused", "refused"]


@pytest.mark.parametrize("how", ["disabled", "revoked", "demoted"])
def test_an_account_that_counts_no_more_is_refused_in_the_transaction(
    desk: Desk, study: Study, how: str
) -> None:
    desk.take(study.enrol())
    crc = person(desk, "recorder", "crc.li")
    desk.store.write(_end(crc, how))
    assert refusal(state(desk, crc, contact(study, "crc.li"))) == ("role" if how == "demoted" else "account")


def _end(sender: SignedIn, how: str) -> Callable[[sa.Connection], object]:
    code = sender.account.code
    if how == "revoked":
        return lambda connection: tokens.revoke(connection, sender.proof.digest[:12], BY)
    new: dict[str, Any] = {"active": False} if how == "disabled" else {"role": "reader"}
    return lambda connection: changing.change(connection, code, BY, **new)


@pytest.mark.parametrize("how", ["disabled", "revoked", "demoted"])
def test_from_the_moment_that_an_account_is_changed_none_of_its_events_is_recorded(
    postgresql_url: str, study: Study, how: str
) -> None:
    desk = Desk.open(postgresql_url)
    desk.take(study.enrol())
    crc = person(desk, "recorder", "crc.li")
    with ThreadPoolExecutor(1) as pool:
        with desk.store.writing() as connection:
            _end(crc, how)(connection)
            stating = pool.submit(state, desk, crc, contact(study, "crc.li"))
            wait_until(lambda: waiting_for_a_lock(desk) == 1, "the event to wait for the account")
        assert refusal(stating.result()) in ("account", "role")
    desk.store.close()


def test_a_recorder_who_races_its_own_rise_and_fall_never_decides_as_one(desk: Desk, study: Study) -> None:
    """A hundred attempts to decide while an admin disables and enables the account: the log has none."""
    desk.take(study.enrol())
    crc = person(desk, "recorder", "crc.li")
    stop = threading.Event()

    def flicker() -> None:
        active = False
        while not stop.is_set():
            desk.store.write(partial(_set_active, active=active))
            active = not active

    with ThreadPoolExecutor(1) as pool:
        flickering = pool.submit(flicker)
        try:
            rules = [refusal(state(desk, crc, decision(study, "crc.li"))) for _ in range(100)]
        finally:
            stop.set()
        flickering.result()
    assert set(rules) <= {"role", "account"}
    assert len(rules) == 100
    logged = {line.event.type for line in queries.log_lines(desk.store, "ITP-001")}
    assert "itp.withdrawal.decided" not in logged


def _set_active(connection: sa.Connection, *, active: bool) -> None:
    changing.change(connection, "crc.li", BY, active=active)


_NUMBERS = count(1)
_WHO = st.sampled_from(["self", "crc.wu", "service"])
_TRIES = st.lists(
    st.tuples(st.sampled_from(ROLES), st.booleans(), _WHO, st.booleans()),
    min_size=1,
    max_size=6,
)


@given(tries=_TRIES)
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_tried_no_event_is_by_another_than_its_account(
    desk: Desk, tries: list[tuple[Role, bool, str, bool]]
) -> None:
    subject = Study(code=f"ITP-{next(_NUMBERS):04}")
    desk.take(subject.enrol())
    for number, (role, for_others, who, decides) in enumerate(tries):
        code = f"{subject.code}.{number}"
        sender = person(desk, role, code, for_others=for_others)
        said = code if who == "self" else who
        state(desk, sender, (decision if decides else contact)(subject, said))
    for line in queries.log_lines(desk.store, subject.code):
        if line.event.source == OWN_SOURCE or line.origin.actor is None:
            continue
        account = _account(desk, line.origin.actor)
        assert line.event.data.by == account.code or account.speaks_for_others
        assert account.role in ("recorder", "investigator")
        assert account.role == "investigator" or line.event.type == "itp.contact.attempted"


def _account(desk: Desk, code: str) -> Any:
    with desk.store.reading() as connection:
        return changing.get(connection, code)


def test_every_change_of_an_account_is_in_its_log_with_its_author(desk: Desk) -> None:
    person(desk, "recorder", "crc.li")
    with desk.store.writing() as connection:
        changing.change(connection, "crc.li", BY, role="investigator")
        changing.change(connection, "crc.li", BY, active=False)
        log = changing.changes(connection, "crc.li")
    assert [(each.what, each.actor, each.door) for each in log] == [
        (what, "os:root", "cli") for what in ("added", "token", "changed", "disabled")
    ]
    assert log[2].details == {"role": "investigator"}


@pytest.mark.parametrize("code", ["os:root", "", "li wu", "-li", "a" * 65])
def test_no_account_has_a_code_that_could_be_taken_for_something_else(desk: Desk, code: str) -> None:
    with pytest.raises(BadInput, match="code"), desk.store.writing() as connection:
        changing.add(connection, Account(code, "Li", "reader"), BY)


def test_two_codes_that_differ_in_case_only_are_one(desk: Desk) -> None:
    person(desk, "recorder", "crc.li")
    with pytest.raises(BadInput, match="already"):
        person(desk, "recorder", "CRC.LI")


def test_tokens_known_by_a_role_alone_are_taken_over_once_as_accounts_named_after_their_notes(
    desk: Desk,
) -> None:
    found = [
        tokens.RoleToken("recorder", "a" * 64, "2026-01-05 REDCap of site 01"),
        tokens.RoleToken("reader", "b" * 64, ""),
        tokens.RoleToken("investigator", "c" * 64, "2026-02-05 REDCap of site 01"),
    ]
    taken = desk.store.write(lambda connection: tokens.take_over(connection, found, BY))
    assert [(each.code, each.role, each.speaks_for_others) for each in taken] == [
        ("REDCap-of-site-01", "recorder", True),
        ("token-bbbbbbbb", "reader", True),
        ("REDCap-of-site-01-2", "investigator", True),
    ]
    assert desk.store.write(lambda connection: tokens.take_over(connection, found, BY)) == []


def test_a_token_counts_until_it_expires(desk: Desk, study: Study) -> None:
    desk.take(study.enrol())
    crc = person(desk, "recorder", "crc.li")
    at = datetime.fromisoformat("2026-01-05T12:00:00+00:00")
    with desk.store.writing() as connection:
        tokens.add(connection, crc.account, "d" * 64, "", BY, expires_at=at)
    stale = replace(crc, proof=replace(crc.proof, digest="d" * 64), at=at)
    assert refusal(state(desk, stale, contact(study, "crc.li"))) == "account"
    fresh = replace(stale, at=BY.at)
    assert refusal(state(desk, fresh, contact(study, "crc.li"))) == ""
