"""`itp backup`: the whole study as one file, while the service runs."""

from __future__ import annotations

from pathlib import Path

import click

from deployments.bootstrap.clock import Clock
from deployments.bootstrap.os_user import os_actor
from deployments.bootstrap.settings import load_settings
from deployments.cli.opening import refuse_to_begin
from deployments.cli.output.archives import counted_in, document
from deployments.cli.output.progress import growing_bar
from deployments.cli.output.tables import print_json
from tasks.database.event_log import Origin

SECRETS = (
    "Not in it, because they are secrets: passwords, second factors, secret.key, .env, the Apprise "
    "configuration, and the file tokens. Keep copies of the files apart from it."
)


@click.command("backup", short_help="Write the whole study into one file.")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--force", is_flag=True, help="Replace FILE when it is there.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object: what the archive holds.")
def command(file: Path, force: bool, as_json: bool) -> None:
    """Write the whole study into FILE, an archive that itp restore reads. The service may run meanwhile.

    The archive is the study at one instant. It is read back before FILE appears, and only its owner may read
    it. It is a ZIP file of JSON Lines with a README, so that it can be read in decades without this program.

    Secrets are not in it: passwords, second factors, secret.key, .env, the Apprise configuration, and the
    file tokens. Keep copies of the files apart from it. Of an account's token the hash is in it: the token
    counts again after a restore.

    \b
    Examples:
      itp backup /srv/backups/2026-03-01.zip
      itp backup study.zip --force --json
    """
    from deployments.archiving import back_up_study

    settings = load_settings()
    refuse_to_begin(settings)
    with growing_bar("rows") as progress:
        origin = Origin(os_actor(), "cli")
        manifest = back_up_study(settings, file, Clock().now(), origin, replace=force, progress=progress)
    if as_json:
        print_json(document(manifest) | {"file": str(file)})
        return
    click.echo(f"{file}: {counted_in(manifest)}; read back, and whole.")
    for version in manifest.missing_protocols:
        click.echo(f"Protocol version {version} is not installed, and not in it: see ITP_PROTOCOL.", err=True)
    click.echo(SECRETS)
