"""`itp demo`: the real service with a clock that runs fast, on a data directory of its own."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click


@click.command("demo", short_help="A year in minutes: the real service with a fast clock.")
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="A new or empty folder, kept afterwards. Default: a temporary one, removed at the end.",
)
@click.option(
    "--days-per-second",
    type=click.FloatRange(0.01, 20),
    default=1.0,
    show_default=True,
    help="The clock's pace.",
)
@click.option(
    "--seconds",
    type=click.IntRange(10),
    default=240,
    show_default=True,
    help="Stop after so long at the latest.",
)
def command(data_dir: Path | None, days_per_second: float, seconds: int) -> None:
    """Show the service at work: a dozen subjects, a day a second, Prefect's own UI.

    Nothing of your study is touched: its settings are not read, and the fast clock works in the
    demonstration's folder alone. Says which pages to look at, and what there is to see as it happens.
    Ctrl-C stops it.

    \b
    Examples:
      itp demo
      itp demo --days-per-second 2 --data-dir /tmp/demonstration
    """
    from deployments.cli.output.tables import SafeConsole
    from deployments.demo.run import demonstrate

    out = SafeConsole()
    if data_dir is not None:
        demonstrate(data_dir, days_per_second, float(seconds), out)
        return
    with tempfile.TemporaryDirectory(prefix="itp-demonstration-") as folder:
        demonstrate(Path(folder), days_per_second, float(seconds), out)
