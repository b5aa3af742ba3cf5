"""The figures of a simulated study, as JSON types: totals that add up, and messages per week."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from itertools import accumulate
from statistics import median
from typing import Any

from deployments.simulation.record import Notice, Record, VisitRecord, Wait
from deployments.simulation.study_run import Run
from itp_events.notices.steps import Step

_AUDIENCES = ("coordinator", "investigator", "sponsor", "cell-lab")
_KINDS = ("reminder", "escalation", "alert")
_WEEK = timedelta(weeks=1)
_HOUR = timedelta(hours=1)


def summary(run: Run) -> dict[str, Any]:
    """Everything the report and the terminal say in numbers."""
    study, records = run.study, run.records
    enrolled = [record for record in records if record.enrolled]
    notices = [notice for record in records for notice in record.notices]
    weeks = weeks_of(run)
    return {
        "scenario": study.behaviour.name,
        "about": study.behaviour.about,
        "protocol": {"id": study.protocol.id, "version": study.protocol.version},
        "seed": study.seed,
        "subjects": len(records),
        "start": study.start.isoformat(),
        "first_week": weeks[0].isoformat() if weeks else None,
        "last_week": weeks[-1].isoformat() if weeks else None,
        "weeks": len(weeks),
        "messages_per_week": messages_per_week(run, notices),
        "under_way": _under_way(run),
        "subjects_by_state": dict(sorted(Counter(record.state for record in records).items())),
        "enrolled": len(enrolled),
        "refused_at_enrolment": len(records) - len(enrolled),
        "ended": sum(record.ended is not None for record in enrolled),
        "waiting": [_waiting(record) for record in enrolled if record.ended is None],
        "visits": [_visit(code, found) for code, found in visits_by_code(records).items()],
        "notices": _notices(notices),
        "answers": [_answers(about, waits) for about, waits in waits_by_kind(records).items()],
        "refused_events": _refused(records),
        "facts": sum(len(record.facts) for record in records),
        "steps": sum(record.steps for record in records),
    }


def monday(day: date) -> date:
    """The Monday of a date's week."""
    return day - timedelta(days=day.weekday())


def weeks_of(run: Run) -> list[date]:
    """The Mondays of the weeks from the first enrolment to the last notice or end, at the site."""
    site = run.study.protocol.site("01")
    instants = [record.enrolled for record in run.records if record.enrolled]
    instants += [record.ended for record in run.records if record.ended]
    instants += [notice.sent for record in run.records for notice in record.notices if notice.sent]
    if not instants:
        return []
    first, last = monday(site.date_of(min(instants))), monday(site.date_of(max(instants)))
    return [first + _WEEK * number for number in range((last - first).days // 7 + 1)]


def sent_by_week(run: Run, notices: Iterable[Notice]) -> Counter[date]:
    """The notices that left in each week."""
    site = run.study.protocol.site("01")
    return Counter(monday(site.date_of(notice.sent)) for notice in notices if notice.sent)


def audiences_of(run: Run) -> tuple[str, ...]:
    """The audiences of notices: the usual ones, and any other that the protocol names."""
    told = {notice.audience for record in run.records for notice in record.notices}
    return (*_AUDIENCES, *sorted(told - set(_AUDIENCES)))


def retention(run: Run) -> tuple[list[int], list[int], list[int]]:
    """The subjects under way, completed and withdrawn at the end of each week."""
    enrolled = [record for record in run.records if record.enrolled]
    done = [record for record in enrolled if record.decode == "COMPLETED"]
    gone = [record for record in enrolled if record.ended and record.decode != "COMPLETED"]
    started = _so_far(run, [record.enrolled for record in enrolled])
    completed, withdrawn = (_so_far(run, [each.ended for each in found]) for found in (done, gone))
    under_way = [all_ - out - off for all_, out, off in zip(started, completed, withdrawn, strict=True)]
    return under_way, completed, withdrawn


def about(value: float) -> str:
    """An average as people say it: no tenths where they do not matter."""
    return f"{value:.0f}" if value >= 10 else f"{value:g}"


def _so_far(run: Run, instants: Iterable[datetime | None]) -> list[int]:
    site = run.study.protocol.site("01")
    by_week = Counter(monday(site.date_of(instant)) for instant in instants if instant)
    return list(accumulate(by_week[week] for week in weeks_of(run)))


def _under_way(run: Run) -> dict[str, float]:
    counts = retention(run)[0] or [0]
    return {"mean": round(sum(counts) / len(counts), 1), "most": max(counts)}


def messages_per_week(run: Run, notices: Sequence[Notice]) -> dict[str, Any]:
    """Per audience: median, mean and busiest week over all weeks of the study, quiet ones included.

    `per_subject` is how many messages a week each subject under way brings.
    """
    weeks = weeks_of(run)
    subject_weeks = sum(retention(run)[0])
    found = {}
    for audience in audiences_of(run):
        by_week = sent_by_week(run, [notice for notice in notices if notice.audience == audience])
        counts = [by_week[week] for week in weeks] or [0]
        busiest = max(weeks, key=lambda week: (by_week[week], -week.toordinal()), default=None)
        found[audience] = {
            "median": median(counts),
            "mean": round(sum(counts) / len(counts), 1),
            "busiest": max(counts),
            "busiest_week": busiest.isoformat() if busiest else None,
            "total": sum(counts),
            "per_subject": round(sum(counts) / subject_weeks, 2) if subject_weeks else 0.0,
        }
    return found


def visits_by_code(records: Iterable[Record]) -> dict[str, list[VisitRecord]]:
    """The visits of all subjects, by code, in the protocol's order."""
    found: dict[str, list[VisitRecord]] = {}
    for record in records:
        for visit in record.visits:
            found.setdefault(visit.code, []).append(visit)
    return found


def waits_by_kind(records: Iterable[Record]) -> dict[str, list[Wait]]:
    """The waits for an answer, by their matter."""
    found: dict[str, list[Wait]] = {}
    for wait in (wait for record in records for wait in record.waits):
        found.setdefault(wait.about, []).append(wait)
    return dict(sorted(found.items()))


def hours(waits: Iterable[Wait]) -> list[float]:
    """The hours until each answer, in rising order; open questions are left out."""
    return sorted((wait.until - wait.since) / _HOUR for wait in waits if wait.until)


def _waiting(record: Record) -> dict[str, Any]:
    last = max(
        (notice for notice in record.notices if notice.sent), key=lambda notice: notice.due, default=None
    )
    return {
        "subject": record.code,
        "state": record.state,
        "last_notice": last.row if last else None,
        "audience": last.audience if last else None,
    }


def _visit(code: str, found: Sequence[VisitRecord]) -> dict[str, Any]:
    done = [visit for visit in found if visit.outcome == "completed"]
    inside = sum(visit.deviation == 0 for visit in done)
    counts = Counter(visit.outcome for visit in found)
    return {
        "visit": code,
        "planned": len(found),
        "in_window": inside,
        "out_of_window": len(done) - inside,
        "missed": counts["missed"],
        "cancelled": counts["cancelled"],
        "not_reached": len(found) - len(done) - counts["missed"] - counts["cancelled"],
        "in_window_share": round(inside / len(done), 3) if done else None,
    }


def _notices(notices: Sequence[Notice]) -> dict[str, Any]:
    sent = [notice for notice in notices if notice.sent]
    return {
        "issued": len(notices),
        "sent": len(sent),
        "never_sent": len(notices) - len(sent),
        "by_kind": dict(sorted(Counter(notice.kind for notice in sent).items())),
        "by_audience": dict(sorted(Counter(notice.audience for notice in sent).items())),
        "by_step": dict(sorted(Counter(_family(notice.step) for notice in sent).items())),
        "steps": _steps(sent),
        "about_a_visit": sum(notice.visit is not None for notice in notices),
        "about_an_event": sum(notice.visit is None for notice in notices),
    }


def _steps(sent: Sequence[Notice]) -> list[dict[str, Any]]:
    """The messages of each step to each audience: reminders first, then escalations, then alerts."""
    found: dict[tuple[int, str], Counter[str]] = {}
    for notice in sent:
        place = _KINDS.index(notice.kind), _family(notice.step)
        found.setdefault(place, Counter())[notice.audience] += 1
    return [
        {"kind": _KINDS[kind], "step": step, "audiences": dict(counts), "all": sum(counts.values())}
        for (kind, step), counts in sorted(found.items())
    ]


def _family(step: str) -> str:
    """The name under which a step is counted: all requests for a decision count together."""
    found = Step.read(step)
    return found.family if found.family == "decision" else step


def _answers(about: str, waits: Sequence[Wait]) -> dict[str, Any]:
    took = hours(waits)
    return {
        "about": about,
        "asked": len(waits),
        "answered": len(took),
        "median_hours": round(median(took), 1) if took else None,
        "slowest_tenth_hours": round(took[int(len(took) * 0.9)], 1) if took else None,
    }


def _refused(records: Iterable[Record]) -> dict[str, int]:
    found = Counter(f"{kind} ({rule})" for record in records for kind, rule, _ in record.refused)
    return dict(sorted(found.items()))
