"""`itp leftovers`: received messages that could not be turned into recorded events."""

from __future__ import annotations

import click
from rich.table import Table

from deployments.bootstrap.settings import load_settings
from deployments.cli.output.tables import console, print_json
from itp_events.outputs.plan_json import instant
from tasks.database.dead_letters import DeadLetter, open_dead_letters
from tasks.database.store import Store


@click.command("leftovers", short_help="Received messages that gave no event.")
@click.option("--json", "as_json", is_flag=True, help="A JSON array.")
def command(as_json: bool) -> None:
    """List the forms from REDCap that could not be turned into recorded events, oldest first.

    Mend the mapping or the record and save the form again: once it is recorded, its line goes. A form that
    REDCap did not give, or not whole, is fetched again, at last once an hour; one whose record is gone is
    not.

    \b
    Examples:
      itp leftovers
      itp leftovers --json
    """
    store = Store.open(load_settings().database)
    try:
        left = open_dead_letters(store)
    finally:
        store.close()
    if as_json:
        print_json([row(each) for each in left])
    else:
        _print(left)


def row(each: DeadLetter) -> dict[str, object]:
    """One of them as JSON types."""
    told = {"id": each.id, "door": each.door, "about": each.about, "problem": each.problem}
    return told | {"at": instant(each.at), "body": each.body}


def _print(left: list[DeadLetter]) -> None:
    if not left:
        click.echo("Nothing is left.")
        return
    table = Table("since", "door", "about", "problem")
    for each in left:
        table.add_row(f"{each.at:%Y-%m-%d %H:%M}Z", each.door, each.about, each.problem)
    console().print(table)
