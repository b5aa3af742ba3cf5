"""`itp clock`: the study's time, and a person's answer after a clock jumped."""

from __future__ import annotations

import click

from deployments.bootstrap.settings import load_settings
from itp_events.rules.explain import counted


@click.command("clock", short_help="The clock that the study goes by.")
@click.option(
    "--accept", "is_right", is_flag=True, help="The machine's clock is right: go by it from now on."
)
def command(is_right: bool) -> None:
    """Print the study's time, and whether the clocks agree.

    When the machine's clock jumps, the study does not follow it: it goes on as before, and waits for a
    person. Set the machine's clock right; or, when it is right, say so with --accept. Subjects that were
    decided about by a clock that was ahead are then decided about anew: sent notices stay sent, the others
    are taken back.

    \b
    Examples:
      itp clock
      itp clock --accept
    """
    from deployments.bootstrap.study import open_study
    from deployments.bootstrap.watched_clock import ClockWatch, accept

    study = open_study(load_settings())
    try:
        if is_right:
            anew = accept(study.store, study.protocol, study.clock)
            click.echo(
                f"{counted(len(anew), 'subject')} decided about anew: {', '.join(anew) or 'none was ahead'}"
            )
        wrong = ClockWatch(study.store, study.clock).look()
        click.echo(f"The study's time is {study.clock.now():%Y-%m-%d %H:%M:%S} UTC.")
        click.echo(f"Wrong: {wrong}" if wrong else "The clocks agree.")
    finally:
        study.store.close()
