"""`itp api`: the HTTP API alone, for a deployment in parts."""

from __future__ import annotations

import click

from deployments.loading import loading


@click.command("api", short_help="Serve the HTTP API alone.")
def command() -> None:
    """Serve the HTTP API without Prefect's server and without the service's loop.

    For a deployment in parts: another process, `itp up` or a worker of Prefect's own, wakes the subjects of
    the same study. `itp up` serves the API itself. Stops on Ctrl-C or SIGTERM.

    \b
    Examples:
      itp api
      ITP_API_PORT=8301 ITP_DATABASE_URL=postgresql://study@db/study itp api
    """
    with loading():
        from deployments.api.standalone import main
        from deployments.bootstrap.settings import load_settings
        from deployments.bootstrap.telemetry import telemetry

    with telemetry("api"):
        raise click.exceptions.Exit(main(load_settings()))
