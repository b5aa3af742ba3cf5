"""`itp redcap`: what is saved in REDCap, taken without its trigger."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

import click

from deployments.api.redcap.catch_up import Caught, catch_up
from deployments.api.redcap.project import Project
from deployments.bootstrap.settings import load_settings
from deployments.bootstrap.study import open_study
from deployments.cli.afterwards import hand_over_of
from deployments.cli.errors import FAILED, say
from deployments.cli.output.harmless import plain
from deployments.cli.output.tables import print_json
from flows.study.recording import follow_up, show
from flows.study.runtime import Runtime
from itp_events.errors import BadInput
from itp_events.rules.explain import counted
from tasks.advance import Advanced, Answer
from tasks.delivery.claims import NOTHING, Claimed

_SINCE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}([ T][0-9]{2}:[0-9]{2})?")
# Shorter waits are not worth a line.
_SAID_FROM = 5.0


@click.group("redcap", short_help="What is saved in REDCap.")
def command() -> None:
    """Take what is saved in REDCap, without waiting for its trigger.

    \b
    Example:
      itp redcap catch-up
    """


@command.command("catch-up", short_help="Take what was saved while nobody answered REDCap's triggers.")
@click.option("--since", help="An earlier instant, on the clock of REDCap's server.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object: since, records, forms.")
def catch_up_command(since: str | None, as_json: bool) -> None:
    """Read REDCap's log, and take each form that was saved meanwhile and says something new.

    The service does so itself, at its start and every ten minutes. Without --since it begins where the log
    was read last. REDCap's log has the times of its own server, and --since too: a date, or a date and a
    time. A form that states what is recorded already changes nothing. A form that is left
    is named on the standard error (exit code 1).

    \b
    Examples:
      itp redcap catch-up
      itp redcap catch-up --since 2026-01-05
      itp redcap catch-up --since "2026-01-05 14:00" --json
    """
    begin = _begin(since)
    settings = load_settings()
    study = open_study(settings)
    try:
        project = Project.from_settings(settings, study)
        if project is None:
            raise BadInput("no REDCap is configured", "ITP_REDCAP_URL")
        # Somebody asks, and may have mended what REDCap refused.
        project.gate.lift()
        desk = _Desk(study)
        caught = catch_up(desk, project, _wait, since=begin)
        _print(caught, as_json=as_json)
        desk.background.show()
    finally:
        study.store.close()
    if any(taken.left for taken in caught.forms.values()):
        raise click.exceptions.Exit(FAILED)


def _begin(since: str | None) -> str | None:
    if since is None:
        return None
    try:
        if _SINCE.fullmatch(since) is None:
            raise ValueError(since)
        return f"{datetime.fromisoformat(since):%Y-%m-%d %H:%M}"
    except ValueError as error:
        said = "write a date, or a date and a time of REDCap's server, as 2026-01-05 or '2026-01-05 14:00'"
        raise BadInput(said, "--since") from error


def _wait(seconds: float) -> bool:
    if seconds >= _SAID_FROM:
        say(
            f"REDCap's rate is used up (ITP_REDCAP_REQUESTS_PER_MINUTE); it is asked again in {seconds:.0f} s"
        )
    threading.Event().wait(seconds)
    return False


@dataclass
class _Follower:
    """Hands over at once; the new waits are shown at the end, together."""

    study: Runtime
    moved: list[Advanced] = field(default_factory=list)

    def places(self, subjects: int) -> AbstractContextManager[bool]:
        """No sender is kept ready: this command sends after it has recorded."""
        return nullcontext(False)

    def follow(self, answers: Iterable[Answer], claimed: Claimed = NOTHING) -> None:
        """Hand over what these answers made due."""
        follow_up(answers, hand_over_of(self.study), self.moved.extend)

    def show(self) -> None:
        """Show each subject's new wait, as its last event left it."""
        if self.moved:
            show(self.study, list({each.code: each for each in self.moved}.values()))


@dataclass(frozen=True)
class _Desk:
    """Records as the door of this command."""

    study: Runtime

    @cached_property
    def background(self) -> _Follower:
        """Does what follows."""
        return _Follower(self.study)


def _print(caught: Caught, *, as_json: bool) -> None:
    if as_json:
        print_json(_document(caught))
    else:
        for form, taken in caught.forms.items():
            outcomes = ", ".join(each.get("outcome", "refused") for each in taken.results) or "left"
            click.echo(plain(f"{outcomes}  {form}"))
        records, forms = counted(len(caught.records), "record"), counted(len(caught.forms), "form")
        click.echo(f"Since {caught.since} in REDCap's time: {records} changed, {forms} with something new.")
    for form, taken in caught.forms.items():
        for problem, _ in taken.left:
            say(f"{form}: {problem}")


def _document(caught: Caught) -> dict[str, Any]:
    forms = [taken.shown(form) for form, taken in caught.forms.items()]
    return {"since": caught.since, "records": list(caught.records), "forms": forms}
