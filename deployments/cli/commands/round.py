"""`itp round`: the service's loop alone, for a deployment in parts."""

from __future__ import annotations

import click

from deployments.loading import loading


@click.command("round", short_help="Run the loop that wakes, sends and repairs, alone.")
def command() -> None:
    """Run the loop that wakes each subject, sends and repairs, without the API and without Prefect's server.

    For a deployment in parts. On PostgreSQL any number of these share a study, each with a data directory of
    its own: every due subject is woken by one of them, and what one alone must do passes on within 10 s when
    that one ends. PREFECT_API_URL names the Prefect that all of them use. Stops on Ctrl-C or SIGTERM.

    \b
    Examples:
      itp round
      ITP_DATABASE_URL=postgresql://study@db/study PREFECT_API_URL=http://prefect:4200/api itp round
    """
    with loading():
        from deployments.bootstrap.settings import load_settings
        from deployments.bootstrap.telemetry import telemetry
        from deployments.up import main

    with telemetry("round"):
        raise click.exceptions.Exit(main(load_settings(), alone=True))
