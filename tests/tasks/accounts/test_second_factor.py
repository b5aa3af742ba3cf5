"""A second factor's code counts once, within its time, on both databases and for one of two at once."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pyotp
import pytest

from tasks.accounts import passwords
from tasks.accounts.account import Account
from tasks.accounts.sessions import Attempt, attempts, verify
from tests.tasks.accounts.people import BY, person
from tests.tasks.desk import Desk

pytestmark = pytest.mark.requirement("WHO-04")

AT = datetime(2026, 1, 5, 1, 0, 10, tzinfo=UTC)
PASSWORD = "correct horse battery"
SECRET = pyotp.random_base32()


@pytest.fixture
def account(desk: Desk) -> Account:
    """An investigator with a password and a second factor."""
    account = person(desk, "investigator", "inv.wu").account
    with desk.store.writing() as connection:
        passwords.set_password(connection, account, passwords.hashed(PASSWORD), BY)
        passwords.set_up_totp(connection, account, SECRET, BY)
    return account


def code(at: datetime, secret: str = SECRET) -> str:
    return pyotp.TOTP(secret).at(at)


def lets_in(desk: Desk, given: str, at: datetime = AT, password: str = PASSWORD) -> bool:
    return verify(desk.store, Attempt("inv.wu", password, given, "192.0.2.1", at)) is not None


def test_a_code_counts_once_and_the_refusal_is_noted(desk: Desk, account: Account) -> None:
    assert lets_in(desk, code(AT))
    assert not lets_in(desk, code(AT), AT + timedelta(seconds=1))
    assert lets_in(desk, code(AT + timedelta(seconds=30)), AT + timedelta(seconds=31))
    with desk.store.reading() as connection:
        assert [each.outcome for each in attempts(connection)] == ["refused"]


@pytest.mark.parametrize("seconds", [-30, 0, 30])
def test_a_code_counts_half_a_minute_around_its_time_but_none_before_one_that_was_taken(
    desk: Desk, account: Account, seconds: int
) -> None:
    assert lets_in(desk, code(AT + timedelta(seconds=seconds)))
    for earlier in (seconds, seconds - 30):
        assert not lets_in(desk, code(AT + timedelta(seconds=earlier)))


@pytest.mark.parametrize("given", ["", "12345", "一二三四五六", "000000x"])
def test_what_is_no_code_is_refused(given: str) -> None:
    assert passwords.step_of(SECRET, given, AT) is None


def test_a_wrong_password_takes_no_code(desk: Desk, account: Account) -> None:
    assert not lets_in(desk, code(AT), password="a wrong password")
    assert lets_in(desk, code(AT))


def test_a_new_second_factor_has_codes_of_its_own(desk: Desk, account: Account) -> None:
    assert lets_in(desk, code(AT))
    other = pyotp.random_base32()
    with desk.store.writing() as connection:
        passwords.set_up_totp(connection, account, other, BY)
    assert lets_in(desk, code(AT, other))


def test_of_those_who_give_one_code_at_once_one_is_let_in(desk: Desk, account: Account) -> None:
    step = passwords.step_of(SECRET, code(AT), AT)
    assert step is not None

    def take(_: int) -> bool:
        return desk.store.write(lambda connection: passwords.use_step(connection, account, step, AT))

    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(take, range(24)))
    assert taken.count(True) == 1
