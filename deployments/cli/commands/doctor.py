"""`itp doctor`: checks everything that the service needs, and says how to mend faults."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import click

from deployments.bootstrap.clock import Clock
from deployments.bootstrap.settings import load_settings
from deployments.cli.doctor.finding import Finding, look_around
from deployments.cli.doctor.local_checks import findings
from deployments.cli.errors import FAILED
from deployments.cli.output.tables import coloured, console, print_json, table
from itp_events.errors import BadInput
from itp_events.rules.explain import counted


@click.command("doctor", short_help="Check everything that the service needs.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object: ok, findings.")
def command(as_json: bool) -> None:
    """Check everything that the service needs, and say how to mend faults.

    It changes nothing and sends nothing. `warn` can wait, `fail` keeps the service from working (exit
    code 1).

    \b
    Examples:
      itp doctor
      itp doctor --json
    """
    shown = _found()
    failed = sum(each.level == "fail" for each in shown)
    if as_json:
        print_json({"ok": not failed, "findings": [asdict(each) for each in shown]})
    else:
        _print(shown, failed)
    if failed:
        raise click.exceptions.Exit(FAILED)


def _found() -> list[Finding]:
    try:
        settings = load_settings()
    except BadInput as error:
        return [Finding("settings", "fail", str(error), "mend the variable in the environment or in .env")]
    return list(findings(look_around(settings, Clock().now())))


def _print(shown: Sequence[Finding], failed: int) -> None:
    out = console()
    rows = (
        (coloured(each.level), each.name, each.said + (f"\nTo mend: {each.mend}" if each.mend else ""))
        for each in shown
    )
    out.print(table(("", "What", "Found"), rows, ("", "What")))
    warned = sum(each.level == "warn" for each in shown)
    out.print(f"{counted(failed, 'failure')}, {counted(warned, 'warning')}")
