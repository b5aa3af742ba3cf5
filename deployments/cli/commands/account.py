"""`itp account`: the people and programs who may ask and state."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import sqlalchemy as sa

from deployments.bootstrap.clock import Clock
from deployments.bootstrap.os_user import os_actor
from deployments.bootstrap.settings import load_settings
from deployments.cli.errors import say
from deployments.cli.given_passwords import PASSWORD_FILE, given_password
from deployments.cli.output.tables import console, print_json, table
from itp_events.errors import BadInput
from itp_events.outputs.plan_json import instant
from tasks.accounts import changing, passwords
from tasks.accounts.account import LANGUAGES, ROLES, Account, Language, Role
from tasks.accounts.changing import By, Change
from tasks.database.store import Store

_JSON = click.option("--json", "as_json", is_flag=True, help="The account as JSON.")
_SITES = click.option("--sites", help="Codes of sites with commas between, as 01,02; all for every site.")


@contextmanager
def changing_accounts() -> Iterator[tuple[sa.Connection, By]]:
    """A transaction that changes accounts in the running study, as the operating system's user."""
    store = Store.open(load_settings().database)
    try:
        with store.writing() as connection:
            yield connection, By(os_actor(), "cli", Clock().now())
    finally:
        store.close()


@click.group("account", short_help="The people and programs who may ask and state.")
def command() -> None:
    """Add, list, change and disable accounts. Each change is kept with its author.

    From the first account on, everybody needs one: a password for the pages, a token for programs.

    \b
    Examples:
      itp account add crc.li --name "Li Wei" --role recorder --sites 01
      itp account list
    """


@command.command("add", short_help="Add an account.")
@click.argument("code")
@click.option("--name", required=True, help="The name that is printed with a signature.")
@click.option("--role", required=True, type=click.Choice(ROLES))
@_SITES
@click.option("--language", type=click.Choice(LANGUAGES), default="en", help="The language of its pages.")
@click.option("--for-others", is_flag=True, help="It states what others say, as an EDC does.")
@click.option("--password/--no-password", "wanted", default=None, help="Ask for a password, or do not.")
@PASSWORD_FILE
@_JSON
def add(
    code: str,
    name: str,
    role: Role,
    sites: str | None,
    language: Language,
    for_others: bool,
    wanted: bool | None,
    password_file: Path | None,
    as_json: bool,
) -> None:
    """Add the account CODE. A person gets a password for the pages; a program needs a token alone.

    On a terminal the password is asked for twice.

    \b
    Examples:
      itp account add crc.li --name "Li Wei" --role recorder --sites 01 --language zh-CN
      itp account add castor --name "Castor EDC" --role recorder --for-others --no-password
      itp account add inv.wu --name "Wu Min" --role investigator --password-file - < password
    """
    account = Account(code, name, role, _sites(sites), language, for_others)
    asked = wanted if wanted is not None else bool(password_file) or sys.stdin.isatty()
    kept = passwords.hashed(given_password(password_file, new=True)) if asked else None
    with changing_accounts() as (connection, by):
        changing.add(connection, account, by)
        if kept is not None:
            passwords.set_password(connection, account, kept, by)
    _told(account, "is added", as_json=as_json)


@command.command("list", short_help="List the accounts, or the changes of them.")
@click.option("--log", "as_log", is_flag=True, help="Every change of an account, oldest first.")
@click.option("--json", "as_json", is_flag=True, help="A JSON array.")
def listed(as_log: bool, as_json: bool) -> None:
    """List all accounts, the disabled ones too.

    \b
    Examples:
      itp account list
      itp account list --log --json
    """
    store = Store.open(load_settings().database)
    try:
        with store.reading() as connection:
            found = changing.every_account(connection)
            log = changing.changes(connection) if as_log else []
    finally:
        store.close()
    if as_json:
        print_json([_change(each) for each in log] if as_log else [document(each) for each in found])
    elif as_log:
        _print_log(log)
    else:
        _print(found)


@command.command("change", short_help="Change an account.")
@click.argument("code")
@click.option("--name", help="The name that is printed with a signature.")
@click.option("--role", type=click.Choice(ROLES))
@_SITES
@click.option("--language", type=click.Choice(LANGUAGES))
@click.option("--for-others/--not-for-others", default=None, help="Whether it states what others say.")
@click.option("--enable", is_flag=True, help="Let a disabled account count again.")
@click.option("--password", "wanted", is_flag=True, help="Ask for a new password.")
@PASSWORD_FILE
@click.option("--totp", type=click.Choice(["set-up", "remove"]), help="A second factor for signing in.")
@_JSON
def change(
    code: str,
    name: str | None,
    role: Role | None,
    sites: str | None,
    language: Language | None,
    for_others: bool | None,
    enable: bool,
    wanted: bool,
    password_file: Path | None,
    totp: str | None,
    as_json: bool,
) -> None:
    """Change the account CODE. Its new rights count for the next event.

    \b
    Examples:
      itp account change crc.li --role investigator --sites 01,02
      itp account change crc.li --password
      itp account change crc.li --totp set-up
    """
    new: dict[str, Any] = {"name": name, "role": role, "language": language, "speaks_for_others": for_others}
    new = {field: value for field, value in new.items() if value is not None}
    new |= {"sites": _sites(sites)} if sites else {}
    new |= {"active": True} if enable else {}
    kept = passwords.hashed(given_password(password_file, new=True)) if wanted or password_file else None
    if not (new or kept or totp):
        raise BadInput("say what to change; itp account change --help lists it", code)
    secret = passwords.new_totp() if totp == "set-up" else None
    with changing_accounts() as (connection, by):
        account = changing.change(connection, code, by, **new) if new else changing.get(connection, code)
        if kept is not None:
            passwords.set_password(connection, account, kept, by)
        if totp:
            passwords.set_up_totp(connection, account, secret, by)
    _told(account, "is changed", as_json=as_json, address=secret and passwords.totp_address(account, secret))


@command.command("disable", short_help="Let an account count no more.")
@click.argument("code")
@_JSON
def disable(code: str, as_json: bool) -> None:
    """Let the account CODE count no more: its tokens and sessions too. It stays in the record.

    \b
    Example:
      itp account disable crc.li
    """
    with changing_accounts() as (connection, by):
        account = changing.change(connection, code, by, active=False)
    _told(account, "is disabled", as_json=as_json)


def document(account: Account) -> dict[str, Any]:
    """An account as JSON types."""
    return {
        "code": account.code,
        "name": account.name,
        "role": account.role,
        "sites": "all" if account.sites is None else list(account.sites),
        "language": account.language,
        "speaks_for_others": account.speaks_for_others,
        "active": account.active,
    }


def _sites(given: str | None) -> tuple[str, ...] | None:
    if given is None or given.strip() == "all":
        return None
    found = tuple(dict.fromkeys(each.strip() for each in given.split(",") if each.strip()))
    if not found:
        raise BadInput("name sites with commas between, or all", "--sites")
    return found


def _told(account: Account, done: str, *, as_json: bool, address: str | None = None) -> None:
    if as_json:
        print_json(document(account) | ({"otpauth": address} if address else {}))
        return
    say(f"Account {account.code} ({account.role}) {done}.")
    if address:
        _show_code(address)


def _show_code(address: str) -> None:
    import segno

    say("Scan this with an authenticator; it is shown only now:")
    segno.make(address, error="m").terminal(out=sys.stdout, compact=True)
    click.echo(address)


def _print(found: list[Account]) -> None:
    out = console()
    if not found:
        out.print("There is no account: this machine alone is served. Add one with itp account add.")
        return
    columns = ("Code", "Name", "Role", "Sites", "Language", "For others", "Active")
    rows = (
        (
            each.code,
            each.name,
            each.role,
            "all" if each.sites is None else ", ".join(each.sites),
            each.language,
            "yes" if each.speaks_for_others else "",
            "yes" if each.active else "no",
        )
        for each in found
    )
    out.print(table(columns, rows, columns[:1]))


def _change(each: Change) -> dict[str, Any]:
    return {
        "at": instant(each.at),
        "actor": each.actor,
        "door": each.door,
        "account": each.account,
        "what": each.what,
        "details": dict(each.details),
    }


def _print_log(log: list[Change]) -> None:
    columns = ("At", "By", "Door", "Account", "What", "Details")
    rows = (
        (
            instant(each.at),
            each.actor or "",
            each.door,
            each.account,
            each.what,
            ", ".join(f"{name}: {value}" for name, value in each.details.items()),
        )
        for each in log
    )
    console().print(table(columns, rows, columns[:1]))
