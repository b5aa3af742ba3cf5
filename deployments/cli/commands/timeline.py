"""`itp timeline`: one subject's windows, visits, notices and platelets as a drawing."""

from __future__ import annotations

from pathlib import Path

import click

from deployments.cli.opening import open_to_read
from deployments.cli.output.drawing import save


@click.command("timeline", short_help="One subject's timeline as a drawing.")
@click.argument("code", metavar="SUBJECT")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="FILE.svg or FILE.png.")
def command(code: str, out: Path) -> None:
    """Draw SUBJECT's windows, visits and notices, and its platelet counts.

    \b
    Examples:
      itp timeline ITP-007 --out itp-007.svg
      itp timeline ITP-007 --out itp-007.png
    """
    from tasks.board.story import story

    with open_to_read() as study:
        told = story(study.store, study.protocol, code, study.now)

    from tasks.board.drawings import timeline

    save(out, lambda: timeline(told))
