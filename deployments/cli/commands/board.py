"""`itp board`: the study's board of Prefect's UI, in the terminal or as a drawing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from deployments.cli.opening import OpenStudy, open_to_read
from deployments.cli.output.drawing import save
from deployments.cli.output.tables import console, print_json

if TYPE_CHECKING:
    from tasks.board.cards import Card


@click.command("board", short_help="The study's board: the tasks of today.")
@click.option(
    "--out", type=click.Path(path_type=Path), help="Draw every subject's lane: FILE.svg or FILE.png."
)
@click.option("--json", "as_json", is_flag=True, help="The cards that it is made of, one for each subject.")
def command(out: Path | None, as_json: bool) -> None:
    """Show the tasks of today: decisions, safety reports, overdue visits, the next days, adherence.

    \b
    Examples:
      itp board
      itp board --out swimmer.svg
    """
    from tasks.board.reading import fresh_cards

    with open_to_read() as study:
        cards = fresh_cards(study.store, study.protocol, study.now)
        if as_json:
            print_json(cards)
        elif out is None:
            _print(study, cards)
        else:
            from tasks.board.lanes import swimmer

            today = study.protocol.site("default").date_of(study.now)
            save(out, lambda: swimmer(cards, today))


def _print(study: OpenStudy, cards: Sequence[Card]) -> None:
    from rich.markdown import Markdown

    from tasks.board.markdown import unlinked
    from tasks.board.reading import study_board
    from tasks.board.study_page import study_page

    page = study_page(study_board(study.store, study.protocol, cards, study.now))
    lines = (line for line in unlinked(page).splitlines() if not line.startswith("Work lists:"))
    console().print(Markdown("\n".join(lines)))
