"""`itp token`: the tokens of the HTTP API."""

from __future__ import annotations

import click

from deployments.api.http.tokens import ROLES, Role, Tokens, new_token
from deployments.bootstrap.clock import Clock
from deployments.bootstrap.settings import load_settings
from deployments.cli.errors import say


@click.group("token", short_help="Tokens of the HTTP API.")
def command() -> None:
    """Make tokens for the HTTP API. Only their hash is kept.

    \b
    Example:
      itp token new recorder --note "REDCap of site 01"
    """


@command.command("new", short_help="Make a token and show it once.")
@click.argument("role", type=click.Choice(ROLES))
@click.option("--note", default="", help="Whose it is; kept beside the hash.")
def new(role: Role, note: str) -> None:
    """Make a token of ROLE and print it, this once.

    A reader sees subjects, plans and calendars; a recorder also records events; an investigator also states
    decisions (itp.withdrawal.decided). A running service knows the token at once. With the first token the
    API asks everybody for one.

    \b
    Examples:
      itp token new reader
      itp token new investigator --note inv-01
    """
    settings = load_settings()
    tokens = Tokens.from_setting(settings.api_tokens.get_secret_value(), settings.data_dir)
    token, entry = new_token(role)
    made = f"{Clock().now():%Y-%m-%d}"
    place = tokens.add(entry, f"{made} {note}")
    say(f"Its hash is kept in {place}; the token itself is shown only now:")
    click.echo(token)
