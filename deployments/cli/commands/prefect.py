"""`itp prefect`: Prefect's server alone, for a deployment in parts."""

from __future__ import annotations

import click


@click.command("prefect", short_help="Run Prefect's server alone.")
@click.option("--services", is_flag=True, help="Do the background services of all Prefect servers.")
def command(services: bool) -> None:
    """Run Prefect's API and UI in a process of its own, without the service.

    For a deployment in parts: the other parts name it as PREFECT_API_URL. One alone needs nothing else.
    Several share a PostgreSQL database (ITP_PREFECT_DATABASE_URL) and a Redis (ITP_PREFECT_REDIS_URL), and
    one more process with --services runs beside them. Stops on Ctrl-C or SIGTERM.

    \b
    Examples:
      itp prefect
      ITP_PREFECT_DATABASE_URL=postgresql://db/prefect ITP_PREFECT_REDIS_URL=redis://redis/0 itp prefect
      itp prefect --services
    """
    from deployments.bootstrap.settings import load_settings
    from deployments.prefect_apart import main

    raise click.exceptions.Exit(main(load_settings(), services=services))
