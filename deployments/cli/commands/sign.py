"""`itp sign`: signs what is recorded, and reviews of the record, with the signer's password."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from deployments.auditing import given_instant, seen_by, until_now
from deployments.auditing import review as content_of
from deployments.bootstrap.clock import Clock
from deployments.bootstrap.os_user import os_actor
from deployments.cli.errors import say
from deployments.cli.given_passwords import PASSWORD_FILE, SECOND_FACTOR, given_password
from deployments.cli.opening import OpenStudy, open_to_read
from deployments.cli.output.tables import print_json
from flows.study.signing import sign_a_review, sign_line
from itp_events.outputs.plan_json import instant
from itp_events.rules.explain import counted
from tasks.accounts.account import Account
from tasks.accounts.sessions import Attempt, prove
from tasks.audit.entries import Wanted
from tasks.audit.reading import audit

_AS = click.option("--as", "code", required=True, metavar="ACCOUNT", help="The account that signs.")
_JSON = click.option("--json", "as_json", is_flag=True, help="What was signed, as JSON.")


@click.group("sign", short_help="Sign what is recorded, or a review of the record.")
def command() -> None:
    """Sign a recorded event, or a review of the record, by an account's password.

    What is decided or assessed on the pages is signed there already. A signature keeps the account, its name,
    what it means and the instant; `itp show` and `itp export` tell when one does not hold any more.

    \b
    Examples:
      itp sign event ITP-007 12 --as inv.wu
      itp sign review --as mon.sun --since 2026-03-01
    """


@dataclass(frozen=True)
class _Signing:
    """A study in which an account signs now: it has just given its password."""

    study: OpenStudy
    account: Account
    at: datetime


@contextmanager
def _signing(code: str, password_file: Path | None, second_factor: str) -> Iterator[_Signing]:
    with open_to_read() as study:
        password = given_password(password_file)
        attempt = Attempt(code, password, second_factor, os_actor(), Clock().now())
        yield _Signing(study, prove(study.store, attempt), study.now)


@command.command("event", short_help="Sign a recorded event.")
@click.argument("subject")
@click.argument("number", type=click.IntRange(1))
@_AS
@PASSWORD_FILE
@SECOND_FACTOR
@_JSON
def event(
    subject: str, number: int, code: str, password_file: Path | None, second_factor: str, as_json: bool
) -> None:
    """Sign the line NUMBER of what was recorded about SUBJECT; `itp show SUBJECT` numbers the lines.

    An account signs what it might state itself: a decision is signed by an investigator.

    \b
    Example:
      itp sign event ITP-007 12 --as inv.wu
    """
    with _signing(code, password_file, second_factor) as signing:
        source, identity = sign_line(signing.study.store, signing.account, subject, number, signing.at)
    signed = {"subject": subject, "source": source, "id": identity}
    _told(signing, f"line {number} of {subject}", signed, as_json=as_json)


@command.command("review", short_help="Sign a review of the record.")
@_AS
@click.option("--since", metavar="WHEN", help="A date at the site, or an instant with its offset.")
@click.option("--until", metavar="WHEN", help="As --since; itself not included; by default now.")
@click.option("--subject", metavar="CODE", help="Only what concerns one subject.")
@click.option("--site", metavar="SITE", help="Only one site's subjects.")
@click.option(
    "--late-days", type=click.IntRange(0, 3650), default=3, show_default=True, help="As `itp audit`."
)
@PASSWORD_FILE
@SECOND_FACTOR
@_JSON
def review(
    code: str,
    since: str | None,
    until: str | None,
    subject: str | None,
    site: str | None,
    late_days: int,
    password_file: Path | None,
    second_factor: str,
    as_json: bool,
) -> None:
    """Sign that you have reviewed what `itp audit` lists with the same options.

    The signature keeps these, the number of entries of each kind, and the SHA-256 of the entries.

    \b
    Examples:
      itp sign review --as mon.sun
      itp sign review --as mon.sun --since 2026-03-01 --until 2026-04-01 --site 01
    """
    with _signing(code, password_file, second_factor) as signing:
        study = signing.study
        local = study.protocol.site(site or "01")
        since_at, until_at = given_instant(since, local, "--since"), given_instant(until, local, "--until")
        wanted = until_now(Wanted(since_at, until_at, subject, site, None, (), late_days), signing.at)
        entries = seen_by(signing.account, audit(study.store, study.protocol, wanted))
        content = content_of(entries, wanted)
        identity = sign_a_review(study.store, signing.account, content, signing.at)
    _told(
        signing,
        f"the review of {counted(len(entries), 'entry')}",
        content | {"id": identity},
        as_json=as_json,
    )


def _told(signing: _Signing, what: str, signed: dict[str, Any], *, as_json: bool) -> None:
    account = signing.account
    if as_json:
        print_json(signed | {"account": account.code, "name": account.name, "at": instant(signing.at)})
    else:
        say(f"{account.name} ({account.code}) has signed {what}.")
