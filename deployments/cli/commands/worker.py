"""`itp worker`: a Prefect worker for the study's work pool, on one of several machines."""

from __future__ import annotations

import click


@click.command("worker", short_help="Take flow runs from Prefect's work pool, on a further machine.")
def command() -> None:
    """Take the study's flow runs from Prefect's work pool `itp-visits`, and execute them in this process.

    For a deployment in parts whose rounds are not enough for its flow runs: any number of these, each with a
    data directory of its own, on the same PostgreSQL database and Prefect as the rounds. They wake nobody by
    themselves: at least one `itp round` or `itp up` runs beside them. Stops on Ctrl-C or SIGTERM.

    \b
    Examples:
      itp worker
      ITP_DATABASE_URL=postgresql://study@db/study PREFECT_API_URL=http://prefect:4200/api itp worker
    """
    from deployments.bootstrap.settings import load_settings
    from deployments.bootstrap.telemetry import telemetry
    from deployments.worker import main

    with telemetry("worker"):
        raise click.exceptions.Exit(main(load_settings()))
