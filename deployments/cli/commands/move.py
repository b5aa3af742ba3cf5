"""`itp move`: the study into another database, between SQLite and PostgreSQL."""

from __future__ import annotations

import click

from deployments.bootstrap.clock import Clock
from deployments.bootstrap.settings import load_settings
from deployments.cli.opening import refuse_to_begin
from deployments.cli.output.archives import ANEW
from deployments.cli.output.progress import growing_bar
from itp_events.errors import BadInput


@click.command("move", short_help="Move the study into another database.")
@click.argument("url", required=False)
@click.option("--stay", is_flag=True, help="Take a move back: go on in the database that was left.")
def command(url: str | None, stay: bool) -> None:
    """Move the study into the empty database at URL, of either kind: sqlite:///... or postgresql://...

    No service may run. The database that is left keeps every row, and is closed: no service goes on with it,
    and it takes in nothing. Then set ITP_DATABASE_URL to URL for every process of the study. A move that was
    killed is begun again by the same command, and nothing is doubled.

    Keep the password out of the command line: PGPASSWORD or ~/.pgpass may hold it.

    \b
    Examples:
      itp move postgresql://study@db/study
      itp move sqlite:////srv/itp/study.db
      itp move --stay
    """
    from deployments.archiving import move_study
    from deployments.archiving import stay as go_on

    settings = load_settings()
    if stay == (url is not None):
        raise BadInput("name the database to move to, or say --stay", "URL")
    refuse_to_begin(settings)
    if url is None:
        taken_back = go_on(settings, Clock().now())
        said = f"The move to {taken_back.place} is taken back" if taken_back else "No move stands"
        click.echo(f"{said}: the study goes on in this database.")
        return
    with growing_bar("rows") as progress:
        move = move_study(settings, url, Clock().now(), progress)
    click.echo(f"The study is in {move.place} now.")
    click.echo(
        "Next, for every process of the study: set ITP_DATABASE_URL to that address; then start: itp up"
    )
    click.echo(ANEW)
    click.echo(
        "The database that was left is closed and untouched otherwise: keep it until a backup of the new one."
    )
