"""The figures of the report, each drawn from the records of the subjects."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import date, datetime, timedelta

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from deployments.simulation.record import Record
from deployments.simulation.report.drawing import canvas, svg
from deployments.simulation.study_run import Run
from deployments.simulation.summary import (
    audiences_of,
    hours,
    retention,
    sent_by_week,
    visits_by_code,
    waits_by_kind,
    weeks_of,
)
from tasks.board.paper import BLUE, GREEN, GREY, ORANGE, PINK, RED, SKY, YELLOW, date_axis, place

_WEEK = timedelta(weeks=1)
_COLOURS = {"coordinator": BLUE, "investigator": ORANGE, "sponsor": GREEN, "cell-lab": PINK}


def enrolment(run: Run) -> str:
    """Subjects under way, completed and withdrawn in each week, above each other."""
    weeks = weeks_of(run)
    figure, [axes] = canvas(2.9)
    labels = ("under way", "completed", "withdrawn")
    axes.stackplot(
        [place(week) for week in weeks],
        *retention(run),
        labels=labels,
        colors=(BLUE, SKY, ORANGE),
        step="post",
    )
    axes.set_ylabel("subjects")
    axes.legend(loc="upper left")
    date_axis(axes)
    return svg(figure, "enrolment", "Subjects enrolled, under way, completed and withdrawn, by week")


def swimmers(run: Run, most: int) -> str:
    """One line per subject in weeks since its enrolment: visits, holds, misses, and how it ended."""
    records = [record for record in run.records if record.enrolled][:most]
    figure, [axes] = canvas(1.0 + 0.17 * len(records))
    for row, record in enumerate(records):
        _swimmer(axes, run, row, record)
    axes.set_yticks(range(len(records)), [record.code for record in records], fontsize=7)
    axes.set_ylim(len(records) - 0.4, -0.6)
    axes.set_xlim(left=-1)
    axes.set_xlabel("weeks since enrolment")
    _key(axes)
    return svg(figure, "swimmers", "Each subject's course in weeks since enrolment")


def _swimmer(axes: Axes, run: Run, row: int, record: Record) -> None:
    site = run.study.protocol.site("01")
    assert record.enrolled is not None
    start = site.date_of(record.enrolled)

    def week(day: date) -> float:
        return (day - start).days / 7

    def at(instant: datetime | None) -> float:
        return week(site.date_of(instant or record.ended or record.last or record.enrolled or instant))  # type: ignore[arg-type]

    last = at(None)
    axes.plot([0, last], [row, row], color="#C8D8E4", linewidth=5, solid_capstyle="butt")
    for since, until in record.on_hold:
        axes.plot([at(since), at(until)], [row, row], color=ORANGE, linewidth=5, solid_capstyle="butt")
    for visit in record.visits:
        if visit.on:
            inside = visit.deviation == 0
            axes.plot(
                week(visit.on), row, "o" if inside else "D", color=BLUE if inside else RED, markersize=3
            )
        elif visit.outcome == "missed":
            axes.plot(week(visit.target), row, "x", color=RED, markersize=4)
    if record.decode:
        axes.plot(
            last,
            row,
            "|" if record.decode == "COMPLETED" else "s",
            color="black",
            markersize=6 if record.decode == "COMPLETED" else 4,
        )


def _key(axes: Axes) -> None:
    for mark, colour, label in (
        ("o", BLUE, "visit in its window"),
        ("D", RED, "visit outside its window"),
        ("x", RED, "missed"),
        ("|", "black", "completed"),
        ("s", "black", "withdrawn"),
    ):
        axes.plot([], [], mark, color=colour, label=label, markersize=4)
    axes.plot([], [], color=ORANGE, linewidth=5, label="on hold")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, 1.0), ncols=6, fontsize=7, borderaxespad=-1.6)


def in_window(run: Run) -> str:
    """The outcome of each visit, as shares of the subjects who had it planned."""
    found = visits_by_code(run.records)
    figure, [axes] = canvas(3.2)
    left = [0.0] * len(found)
    for label, colour, belongs in (
        ("in its window", BLUE, lambda v: v.deviation == 0),
        ("outside its window", YELLOW, lambda v: bool(v.deviation)),
        ("missed", RED, lambda v: v.outcome == "missed"),
        ("cancelled or not reached", "#DDDDDD", lambda v: v.on is None and v.outcome != "missed"),
    ):
        shares = [100 * sum(belongs(visit) for visit in visits) / len(visits) for visits in found.values()]
        axes.barh(list(found), shares, left=left, color=colour, label=label)
        left = [before + share for before, share in zip(left, shares, strict=True)]
    axes.invert_yaxis()
    axes.set_xlabel("% of subjects enrolled")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, 1.14), ncols=4)
    return svg(figure, "window", "Share of each visit done in its window, outside it, missed, cancelled")


def per_week(run: Run) -> str:
    """Messages in each week, one row per audience."""
    weeks = weeks_of(run)
    notices = [notice for record in run.records for notice in record.notices]
    audiences = audiences_of(run)
    figure, rows = canvas(1.35 * len(audiences), len(audiences))
    for axes, audience in zip(rows, audiences, strict=True):
        by_week = sent_by_week(run, [notice for notice in notices if notice.audience == audience])
        # One shape for all weeks: a bar for each would take seconds to draw for a study of twenty years.
        edges = [place(week) for week in weeks] + ([place(weeks[-1] + _WEEK)] if weeks else [0.0])
        axes.stairs([by_week[week] for week in weeks], edges, fill=True, color=_COLOURS.get(audience, GREY))
        axes.set_title(audience, loc="left", fontsize=9)
        axes.set_ylabel("messages")
        axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    date_axis(rows[-1])
    return svg(figure, "weekly", "Messages per week and audience")


def escalations(run: Run) -> str:
    """The overdue visits that reached each rung of the ladder."""
    codes = list(visits_by_code(run.records))
    sent = [notice for record in run.records for notice in record.notices if notice.sent]
    rungs = Counter((notice.visit, notice.step) for notice in sent if notice.kind == "escalation")
    steps = sorted({step for _, step in rungs}) or ["rung-1"]
    figure, [axes] = canvas(2.7)
    width = 0.8 / len(steps)
    for nth, (step, colour) in enumerate(zip(steps, (SKY, ORANGE, RED, GREY, PINK) * 4, strict=False)):
        positions = [index - 0.4 + width * (nth + 0.5) for index in range(len(codes))]
        axes.bar(
            positions,
            [rungs[code, step] for code in codes],
            width=width,
            color=colour,
            label=_rung(run, step),
        )
    axes.set_xticks(range(len(codes)), codes, fontsize=8)
    axes.set_ylabel("messages")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, 1.16), ncols=len(steps))
    return svg(figure, "escalations", "Escalations by visit and rung")


def _rung(run: Run, step: str) -> str:
    rungs = run.study.protocol.ladder.rungs
    return next((f"{step}: {rung.audience}, day +{rung.day}" for rung in rungs if rung.step == step), step)


def answers(run: Run) -> str:
    """The time that answers took: the share answered within so many days."""
    figure, [axes] = canvas(2.7)
    for (about, waits), colour in zip(waits_by_kind(run.records).items(), (BLUE, ORANGE, RED), strict=False):
        days = [each / 24 for each in hours(waits)]
        shares = [100 * (index + 1) / len(waits) for index in range(len(days))]
        axes.plot(
            [0, *days],
            [0, *shares],
            drawstyle="steps-post",
            color=colour,
            label=f"{about} (n = {len(waits)})",
        )
    axes.set_xlim(0, _most(run))
    axes.set_ylim(0, 102)
    axes.set_xlabel("days")
    axes.set_ylabel("% answered")
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="lower right")
    return svg(figure, "answers", "Share of questions answered within so many days")


def _most(run: Run) -> float:
    days: Sequence[float] = [
        each / 24 for waits in waits_by_kind(run.records).values() for each in hours(waits)
    ]
    return min(max(days, default=1.0), 21.0) or 1.0
