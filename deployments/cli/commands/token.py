"""`itp token`: the tokens of accounts, for programs."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import click
import sqlalchemy as sa

from deployments.api.http.tokens import ROLES as FILE_ROLES
from deployments.bootstrap.settings import load_settings
from deployments.cli.commands.account import changing_accounts
from deployments.cli.errors import say
from deployments.cli.output.tables import console, print_json, table
from itp_events.outputs.plan_json import instant
from tasks.accounts import changing, tokens
from tasks.accounts.account import Account
from tasks.accounts.changing import By
from tasks.accounts.tokens import SHORT, TokenRow
from tasks.database.store import Store


@click.group("token", short_help="Tokens of accounts, for programs.")
def command() -> None:
    """Make, list and revoke tokens for the HTTP API. Only their hash is kept.

    \b
    Examples:
      itp token new castor
      itp token new recorder --note "REDCap of site 01"
      itp token revoke 1f0c9a2b7d44
    """


@command.command("new", short_help="Make a token and show it once.")
@click.argument("account")
@click.option("--note", default="", help="What it is for; kept beside the hash.")
@click.option("--days", type=click.IntRange(1, 3660), help="For how many days it counts; else for good.")
@click.option("--json", "as_json", is_flag=True, help="The token and its account as JSON.")
def new(account: str, note: str, days: int | None, as_json: bool) -> None:
    """Make a token of ACCOUNT and print it, this once.

    With reader, recorder or investigator in place of an account, an account of that role is made, named after
    the note; it may state what others say. A running service knows the token at once. With the first account
    the API asks everybody for a token.

    \b
    Examples:
      itp token new crc.li --days 365
      itp token new reader
      itp token new investigator --note inv-01
    """
    token = tokens.make()
    hashed = tokens.digest(token)
    with changing_accounts() as (connection, by):
        owner = _owner(connection, account, note, hashed, by)
        expires = by.at + timedelta(days=days) if days else None
        tokens.add(connection, owner, hashed, note, by, expires_at=expires)
    if as_json:
        shown = {"token": token, "account": owner.code, "role": owner.role, "digest": hashed}
        print_json(shown | {"expires_at": expires and instant(expires)})
        return
    say(f"A token of account {owner.code}, role {owner.role}. Its hash is kept; it is shown only now:")
    click.echo(token)


def _owner(connection: sa.Connection, name: str, note: str, hashed: str, by: By) -> Account:
    role = next((each for each in FILE_ROLES if each == name), None)
    if role is not None and changing.find(connection, name) is None:
        return tokens.for_role(connection, role, note, hashed, by)
    return changing.get(connection, name)


@command.command("list", short_help="List the tokens.")
@click.option("--json", "as_json", is_flag=True, help="A JSON array, one object for each token.")
def listed(as_json: bool) -> None:
    """List all tokens, the revoked ones too, by the beginning of their hash.

    \b
    Example:
      itp token list
    """
    store = Store.open(load_settings().database)
    try:
        with store.reading() as connection:
            found = tokens.every_token(connection)
    finally:
        store.close()
    if as_json:
        print_json([_document(each) for each in found])
        return
    columns = ("Token", "Account", "Note", "Made", "Expires", "Revoked")
    rows = ([f"{value or ''}" for value in _document(each).values()][: len(columns)] for each in found)
    console().print(table(columns, rows, columns[:1]))


@command.command("revoke", short_help="Let a token count no more.")
@click.argument("token")
def revoke(token: str) -> None:
    """Let a token count no more. TOKEN is the beginning of its hash, as itp token list shows it.

    \b
    Example:
      itp token revoke 1f0c9a2b7d44
    """
    with changing_accounts() as (connection, by):
        row = tokens.revoke(connection, token, by)
    say(f"The token {row.digest[:SHORT]} of account {row.account} counts no more.")


def _document(row: TokenRow) -> dict[str, Any]:
    return {
        "token": row.digest[:SHORT],
        "account": row.account,
        "note": row.note,
        "created_at": instant(row.created_at),
        "expires_at": row.expires_at and instant(row.expires_at),
        "revoked_at": row.revoked_at and instant(row.revoked_at),
        "in_file": row.in_file,
    }
