"""The safety chain: serious adverse events, pregnancies, deaths, and the clocks of their reports."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from tests.oracle.course import Course
from tests.oracle.history import History
from tests.oracle.illness import before, codes, fatal, gravity, latest, line, stands, tellings
from tests.oracle.notices.row import Row
from tests.oracle.said import DIED, PREGNANCY, SUBMITTED, Said


@dataclass(frozen=True)
class Clock:
    """A report that is owed: since when, and when it was submitted."""

    since: datetime
    submitted: datetime | None
    on: date | None = None


def safety(course: Course) -> Iterator[Row]:
    """The alerts of the safety chain: each at once, and as its limit approaches and passes."""
    for at in _at_once(course.history):
        yield from _told(course, "sae", at)
    for clock in clocks(course.history):
        if clock.submitted:
            continue
        for hours in course.trial.rules["alerts"]["sae"]["clock_hours"]:
            yield from _told(course, f"sae-{hours}h", clock.since + timedelta(hours=hours))


def _told(course: Course, step: str, due: datetime) -> Iterator[Row]:
    for audience in course.trial.audiences("sae"):
        yield Row("alert", None, step, audience, due)


def _at_once(history: History) -> Iterator[datetime]:
    for ae in codes(history):
        # Of one fact the unchanged reports are one telling.
        yield from sorted({told.at for told in tellings(history, ae, gravity) if told.report.data["serious"]})
    for said in history.standing(PREGNANCY):
        yield history.known(said)
    for death in _unexplained(history):
        yield history.known(death, _any)


def _any(_said: Said) -> object:
    return None


def _unexplained(history: History) -> list[Said]:
    """The deaths for which no adverse event stands that led to one."""
    deadly = any(fatal(latest(history, ae)) for ae in codes(history))
    return [] if deadly else history.standing(DIED)


def clocks(history: History) -> Iterator[Clock]:
    """Every clock that was started, whether its report was submitted or not."""
    for ae in codes(history):
        yield from _of_event(history, ae)
    for said in [*history.standing(PREGNANCY), *_unexplained(history)]:
        first = history.versions(said)[0]
        names = {version.id for version in history.versions(said)}
        told = history.known(said) if said.type == PREGNANCY else first.time
        yield _clock(history, said.aware_at or told, names, first.time)


def _of_event(history: History, ae: str) -> Iterator[Clock]:
    """One clock from the first serious report, and one for each that is worse after its submission."""
    running: Clock | None = None
    worse = _made_worse(history, ae)
    reports = _with_other_numbers(history, ae)
    names = {report.data["ae"] for report in reports}
    for report in reports:
        if not _counts(history, report, ae):
            continue
        if running is None:
            running = _clock(history, _first_aware(history, report), names, report.time)
        elif report in worse and _owed_anew(running, report):
            yield running
            running = _clock(history, _aware(history, report), names, report.time, report.day)
    if running:
        yield running


def _with_other_numbers(history: History, ae: str) -> list[Said]:
    """The reports of an event, and those of it that had another number before they were corrected."""
    found = {version for report in line(history, ae) for version in history.versions(report)}
    return sorted(found, key=history.turn)


def _owed_anew(clock: Clock, report: Said) -> bool:
    """Whether a report came after what was owed had been submitted."""
    if clock.submitted is None or clock.on is None:
        return False
    return not (clock.submitted >= report.time and clock.on >= report.day)


def _made_worse(history: History, ae: str) -> set[Said]:
    """The reports with which an event became worse, and is still, whatever corrected them since."""
    standing = [said for said in line(history, ae) if stands(history, said)]
    return {worse for said in standing if (worse := _worsening(history, said, said))}


def _worsening(history: History, said: Said, now: Said) -> Said | None:
    """The version of a report that made the event worse than it was, as it does in its words of now."""
    first, earlier = said, before(history, said)
    while earlier and gravity(earlier) == gravity(said):
        first, earlier = earlier, before(history, earlier)
    if earlier is None:
        return None
    if _worse(earlier, first):
        return first if _worse(earlier, now) else None
    corrected = history.corrects.get(first) is earlier
    return _worsening(history, earlier, now) if corrected else None


def _counts(history: History, report: Said, ae: str) -> bool:
    """Whether a report is serious and of this event, as its corrections have it too."""
    read = [report]
    while (later := _corrected_once(history, read[-1])) is not None:
        read.append(later)
    now = _now(history, report)
    return now is not None and now.data["ae"] == ae and all(each.data["serious"] for each in [*read, now])


def _now(history: History, report: Said) -> Said | None:
    """What a report reads since its corrections, or since the next report when it was taken back."""
    report = _corrected(history, report)
    if stands(history, report):
        return report
    ahead = line(history, report.data["ae"])
    return next((said for said in ahead[ahead.index(report) :] if stands(history, said)), None)


def _corrected(history: History, report: Said) -> Said:
    """What a report reads since its corrections."""
    while (later := _corrected_once(history, report)) is not None:
        report = later
    return report


def _corrected_once(history: History, report: Said) -> Said | None:
    """What corrects a report directly."""
    return next((said for said, gone in history.corrects.items() if gone is report), None)


def _first_aware(history: History, first: Said) -> datetime:
    """When the site learned of a serious event; of one that led to death, no later than of the death."""
    report, read = first, _corrected_once(history, first)
    while read is not None and gravity(read) == gravity(report):
        report, read = read, _corrected_once(history, read)
    return report.aware_at or _heard(history, first)


def _heard(history: History, report: Said) -> datetime:
    deaths = [said.aware_at or history.known(said, _any) for said in history.standing(DIED)]
    return min([report.time, *deaths]) if fatal(report) else report.time


def _aware(history: History, report: Said) -> datetime:
    """When the site learned that an event had become worse."""
    aware, earlier = report.aware_at, before(history, report)
    return aware if aware and not (earlier and earlier.aware_at == aware) else _heard(history, report)


def _clock(history: History, since: datetime, names: set[str], told: datetime, day: date = date.min) -> Clock:
    """A clock with the first submission made from a day on, once the event had been reported."""
    found = [said for said in history.standing(SUBMITTED) if said.data["ae"] in names and said.on >= day]
    later = sorted((said for said in found if history.known(said) >= told), key=history.known)
    return Clock(since, history.known(later[0]), later[0].on) if later else Clock(since, None)


def _worse(earlier: Said | None, report: Said) -> bool:
    if earlier is None:
        return False
    now, then = report.data, earlier.data
    return bool(
        now["grade"] > then["grade"]
        or (now["serious"] and not then["serious"])
        or (now["related"] and not then["related"])
        or (fatal(report) and not fatal(earlier))
    )
