"""`itp protocol`: the schedule of activities for people, and the check of a protocol file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from deployments.bootstrap.settings import load_settings
from deployments.protocols import installed
from itp_events.errors import BadInput
from itp_events.protocol.file import load_protocol
from itp_events.protocol.model import Protocol


class _Commands(click.Group):
    """`diff` reads the running study: its module, and the database's, load only when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*super().list_commands(ctx), "diff"]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name != "diff":
            return super().get_command(ctx, cmd_name)
        from deployments.cli.commands.amendment import command as diff

        return diff


@click.group("protocol", cls=_Commands, short_help="The schedule of activities; check or compare files.")
def command() -> None:
    """Show the protocol that the study follows, check a protocol file, compare two for a subject.

    \b
    Examples:
      itp protocol show
      itp protocol check my-protocol.yaml
      itp protocol diff protocols/v1.yaml protocols/v2.yaml --subject ITP-007
    """


@command.command("show")
@click.option("--json", "as_json", is_flag=True, help="The protocol as one JSON object.")
def show(as_json: bool) -> None:
    """Print the schedule of activities: visits, windows, reminders, escalation, withdrawal criteria.

    What the sponsor's synopsis does not say is an assumption, and marked.

    \b
    Examples:
      itp protocol show
      ITP_PROTOCOL=my-protocol.yaml itp protocol show --json
    """
    from deployments.cli.output.tables import print_json

    protocol = load_protocol(load_settings().protocols)
    if as_json:
        print_json(_document(protocol))
        return
    from deployments.cli.output.activities import print_protocol

    print_protocol(protocol)


@command.command("check")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="One JSON object: ok, id, version, visits.")
def check(file: Path, as_json: bool) -> None:
    """Check that FILE (or every *.yaml in a folder of versions) is a protocol that the service can follow.

    A wrong file is refused with its line and the reason, and exit code 2.

    \b
    Example:
      itp protocol check my-protocol.yaml
    """
    from deployments.cli.output.tables import print_json

    protocol = load_protocol(file)
    codes = [visit.code for visit in protocol.visits]
    if as_json:
        print_json({"ok": True, "id": protocol.id, "version": protocol.version, "visits": codes})
    else:
        click.echo(
            f"ok: {protocol.id} version {protocol.version}, {len(codes)} visits, {codes[0]} to {codes[-1]}"
        )


@command.command("install")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
def install(file: Path) -> None:
    """Install FILE as a version beside the others, in the folder that ITP_PROTOCOL names.

    Without ITP_PROTOCOL it is the folder `protocols` of the data directory, which then holds the built-in
    version too. A running service takes it up by itself.

    \b
    Example:
      itp protocol install protocol-v2.yaml
    """
    settings = load_settings()
    if settings.protocol is not None and not settings.protocol.is_dir():
        raise BadInput(
            f"ITP_PROTOCOL names the file {settings.protocol}; put it into a folder and name that folder"
        )
    click.echo(f"ok: {installed(file, settings.versions)}")


def _document(protocol: Protocol) -> dict[str, Any]:
    document = protocol.model_dump(mode="json", by_alias=True)
    for row, visit in zip(document["visits"], protocol.visits, strict=True):
        row |= {"target": visit.target.text, "before": visit.before.text, "after": visit.after.text}
    return document
