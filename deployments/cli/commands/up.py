"""`itp up`: the whole service on this machine."""

from __future__ import annotations

import click

from deployments.loading import loading


@click.command("up", short_help="Run the whole service on this machine.")
def command() -> None:
    """Run the whole service: Prefect's server, the API, and the loop that wakes each subject at its time.

    It listens on this machine alone, keeps its data in ITP_DATA_DIR (default: .itp), prints the
    addresses of its pages once it is ready, and stops on Ctrl-C or SIGTERM.

    \b
    Examples:
      itp up
      ITP_DATA_DIR=/srv/itp ITP_APPRISE_CONFIG=/srv/apprise.yaml itp up
    """
    with loading():
        from deployments.bootstrap.settings import load_settings
        from deployments.bootstrap.telemetry import telemetry
        from deployments.up import main

    with telemetry("up"):
        raise click.exceptions.Exit(main(load_settings()))
