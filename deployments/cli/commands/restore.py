"""`itp restore`: the study of an archive, in an empty database."""

from __future__ import annotations

from pathlib import Path

import click

from deployments.bootstrap.clock import Clock
from deployments.bootstrap.settings import load_settings
from deployments.cli.output.archives import ANEW, counted_in, document
from deployments.cli.output.progress import growing_bar
from deployments.cli.output.tables import print_json
from itp_events.outputs.plan_json import instant


@click.command("restore", short_help="Bring an archive's study into an empty database.")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="One JSON object: what was restored.")
def command(file: Path, as_json: bool) -> None:
    """Bring the study of FILE, which itp backup wrote, into the empty database that ITP_DATABASE_URL names.

    The archive may come from SQLite or PostgreSQL, and so may the database be of either kind. Every hash in
    it is checked before anything is written, and all is written or nothing. No service may run.

    Sent notices stay sent, waiting ones go out when the service starts. A message that was on its way when
    the archive was written is sent again, and says that it may be a repetition. An event after the
    archive was written is not in it: record it again; what is recorded twice counts once.

    \b
    Examples:
      itp restore /srv/backups/2026-03-01.zip
      ITP_DATABASE_URL=postgresql://study@db/study itp restore study.zip
    """
    from deployments.archiving import restore_study

    settings = load_settings()
    with growing_bar("rows") as progress:
        restored = restore_study(settings, file, Clock().now(), progress)
    manifest = restored.manifest
    if as_json:
        print_json(document(manifest) | {"other_protocols": list(restored.other_protocols)})
        return
    click.echo(f"Restored as of {instant(manifest.made_at)}: {counted_in(manifest)}.")
    for version in restored.other_protocols:
        click.echo(
            f"Protocol version {version} is not installed here as it was there: set ITP_PROTOCOL to the "
            f"files in it (unzip -j {file} 'protocols/*' -d protocols), before the service starts.",
            err=True,
        )
    click.echo(ANEW)
    click.echo("Put the tokens, secret.key, .env and the Apprise configuration back too; then start: itp up")
