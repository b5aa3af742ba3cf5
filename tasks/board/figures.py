"""The study in figures: enrolment by phase, adherence to the windows, repairs made by the service.

The lists of open matters are in `tasks.board.needs`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from statistics import median

from itp_events.rules.explain import counted
from tasks.board.cards import VisitLine
from tasks.board.markdown import document, plain, table
from tasks.board.overview import Board, at
from tasks.database.repairs import Mend

REPAIRS_SHOWN = 10
REPAIRS_READ = 200
PHASES = {
    "on-treatment": "on treatment",
    "in-follow-up": "in follow-up",
    "on-hold": "on hold",
    "completed": "completed",
    "withdrawn": "withdrawn",
}


def phases(board: Board) -> str:
    """The numbers of subjects in each phase, by site, and of refused enrolments, as Markdown."""
    refused = f"{counted(board.refused, 'enrolment')} refused (screening log)." if board.refused else ""
    if not board.cards:
        return refused
    sites = sorted({card["site"] for card in board.cards})
    counts = Counter((card["site"], card["status"]) for card in board.cards)
    rows = [
        (
            label,
            *(str(counts[site, status]) for site in sites),
            str(sum(counts[site, status] for site in sites)),
        )
        for status, label in PHASES.items()
    ]
    return document(
        [table(("Phase", *(f"site {plain(site)}" for site in sites), "All"), rows), refused]
    ).strip()


def adherence(board: Board) -> str:
    """For each visit: how often it was done, how often in its window, and how far from its target; as
    Markdown.
    """
    lines: dict[str, list[VisitLine]] = {}
    for card in board.cards:
        for visit in card["visits"]:
            if visit["on"] or visit["status"] == "missed":
                lines.setdefault(visit["code"], []).append(visit)
    if not lines:
        return ""
    order = {visit["code"]: place for card in board.cards for place, visit in enumerate(card["visits"])}
    rows = [_adhered(code, lines[code]) for code in sorted(lines, key=order.__getitem__)]
    everything = _adhered("**all**", [visit for visits in lines.values() for visit in visits])
    columns = ("Visit", "Done", "In window", "Missed", "Median from target", "Outside by (median)")
    return table(columns, [*rows, everything])


def _adhered(name: str, visits: Sequence[VisitLine]) -> tuple[str, ...]:
    done = [each for each in visits if each["on"]]
    inside = sum(each["deviation"] == 0 for each in done)
    # The distance without its sign: a day early and a day late do not make none.
    outside = [abs(each["deviation"]) for each in done if each["deviation"]]
    return (
        name,
        str(len(done)),
        # Rounded down: 100% are all of them.
        f"{inside} ({100 * inside // len(done)}%)" if done else "",
        str(len(visits) - len(done)),
        _days(median([each["off_target"] or 0 for each in done])) if done else "",
        f"{median(outside):g} d" if outside else "",
    )


def _days(value: float) -> str:
    return f"{value:+g} d" if value else "0 d"


def repairs(board: Board) -> str:
    """The repairs that the service made, the latest first, as Markdown; the same repair of many is one
    line.
    """
    groups: dict[tuple[str, str], list[Mend]] = {}
    for each in board.repairs:
        groups.setdefault((at(board, each.at), each.what.partition(";")[0]), []).append(each)
    rows = [(when, *_repaired(mends)) for (when, _), mends in list(groups.items())[:REPAIRS_SHOWN]]
    return table(("When", "Subject", "What"), rows)


def _repaired(mends: Sequence[Mend]) -> tuple[str, str]:
    first = mends[0]
    if len(mends) == 1:
        return first.subject or "", plain(first.what)
    return f"{first.subject or ''} and {len(mends) - 1} more", plain(first.what.partition(";")[0])
