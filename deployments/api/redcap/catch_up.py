"""Catches up what was saved in REDCap while nobody answered its triggers: REDCap's own log tells it.

REDCap calls once, and an import calls nobody. Its log names the records that changed, by the minute and in
the server's own time, whose zone nobody tells. So how far the log was read is kept in REDCap's time, and it
is read from two hours before: across a change of the clock, and what came into the log late. A form that says
nothing new is left alone.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar

from deployments.api.http.dependencies import Recorder
from deployments.api.redcap.form import FormOutcome, news, note_trigger, take_form
from deployments.api.redcap.lead import leads, resign
from deployments.api.redcap.project import Project
from deployments.api.redcap.rows import RedcapHasNone, Row, SavedForm, row_of, saved_forms
from deployments.api.redcap.trouble import (
    RedcapRefuses,
    RedcapSilent,
    RedcapTooLong,
    RedcapUnsuited,
    RedcapWaits,
)
from tasks.backoff import Waits
from tasks.database.redcap import Book, read_book, with_book
from tasks.database.store import NO_ANSWER, first_line
from tasks.database.troubles import note_trouble, settle_trouble

Result = TypeVar("Result")
# Whether somebody asks to stop; waits for so many seconds at most.
Pause = Callable[[float], bool]
# A line of the log: its record, and all that it says.
Line = tuple[str, tuple[tuple[str, str], ...]]

EVERY = timedelta(minutes=10)
FAILED = Waits(timedelta(minutes=1), timedelta(minutes=30))
OVERLAP = timedelta(hours=2)
# At its very first look a study reads the log of the last day.
FIRST = timedelta(days=1)
# No server's clock is further behind UTC, or ahead of it.
BEHIND, AHEAD = timedelta(hours=12), timedelta(hours=14)
# A piece of the log that one answer can hold; a busy one is halved, down to an hour.
PIECE = timedelta(days=1)
SMALLEST_PIECE = timedelta(hours=1)
# Records that one answer can hold with all their forms.
RECORDS_AT_ONCE = 10
# A form that the study refuses may come through after the others, as a visit after the one before it.
PASSES = 3
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}(:[0-9]{2})?")
_MINUTE = "%Y-%m-%d %H:%M"

log = logging.getLogger(__name__)


@dataclass
class Caught:
    """The result of catching up: the records that the log names, and their forms that said something new."""

    since: str
    lines: frozenset[Line] = frozenset()
    records: Sequence[str] = ()
    forms: dict[SavedForm, FormOutcome] = field(default_factory=dict)


def catch_up(
    api: Recorder,
    project: Project,
    pause: Pause,
    *,
    since: str | None = None,
    seen: frozenset[Line] = frozenset(),
) -> Caught:
    """Take each form that was saved since `since` (REDCap's time), or since the log was read last.

    It waits with `pause` where REDCap's rate makes it wait. `seen` are lines that were caught up before.

    Raises:
        RedcapSilent: REDCap does not give its log or its records, or `pause` says to stop. The next time
            begins at the same place.
    """
    now = project.wall()
    begin = datetime.fromisoformat(since) if since else _begin(project, now)
    caught = Caught(f"{begin:{_MINUTE}}")
    lines = [line for piece in _pieces(begin, _local(now) + AHEAD) for line in _lines(project, *piece, pause)]
    named = {(line["record"], tuple(line.items())): None for line in reversed(lines) if line.get("record")}
    caught.lines = frozenset(named)
    caught.records = tuple(dict.fromkeys(record for record, line in named if (record, line) not in seen))
    if caught.records:
        _take(api, project, caught, pause)
    _keep_place(project, max((line["timestamp"] for line in lines), default=""), _local(now) - BEHIND)
    return caught


def _local(instant: datetime) -> datetime:
    """An instant as a clock in UTC shows it, without its zone, as all times of the log are."""
    return instant.replace(tzinfo=None)


def _begin(project: Project, now: datetime) -> datetime:
    """The time from which to read the log; a study that looks for the first time keeps it."""
    first = f"{_local(now) - BEHIND - FIRST:{_MINUTE}}"

    def step(book: Book) -> str:
        return str(book.setdefault("read_to", first))

    return datetime.fromisoformat(with_book(project.gate.store, project.gate.address, step)) - OVERLAP


def _keep_place(project: Project, newest: str, surely_read: datetime) -> None:
    """Keep how far the log was read: its newest line, or a time that has passed in every zone."""
    read_to = max(newest[:16], f"{surely_read:{_MINUTE}}")

    def step(book: Book) -> None:
        book["read_to"] = max(str(book.get("read_to", "")), read_to)
        book["read_at"] = project.wall().isoformat()

    with_book(project.gate.store, project.gate.address, step)


def has_read(project: Project) -> bool:
    """Whether the log was ever read."""
    return "read_at" in read_book(project.gate.store, project.gate.address)


def _pieces(begin: datetime, end: datetime) -> Iterator[tuple[datetime, datetime]]:
    while begin <= end:
        yield begin, min(begin + PIECE, end)
        begin += PIECE


def _lines(project: Project, begin: datetime, end: datetime, pause: Pause) -> list[Row]:
    """The lines of a piece of the log, the newest first."""
    try:
        lines = _patiently(
            lambda: project.redcap.log(f"{begin:{_MINUTE}}", f"{end:{_MINUTE}}"), project, pause
        )
    except RedcapTooLong:
        if end - begin <= SMALLEST_PIECE:
            raise
        middle = begin + (end - begin) / 2
        return _lines(project, middle, end, pause) + _lines(project, begin, middle, pause)
    return [line for line in lines if _TIME.fullmatch(line.get("timestamp", ""))]


def _patiently(step: Callable[[], Result], project: Project, pause: Pause) -> Result:
    """Repeat a step for which REDCap's rate has no place yet; a rest after a refusal is not waited for."""
    while True:
        try:
            return step()
        except RedcapWaits as waits:
            seconds = (waits.until - project.wall()).total_seconds()
            if not waits.is_rate or pause(max(0.1, seconds)):
                raise


def _take(api: Recorder, project: Project, caught: Caught, pause: Pause) -> None:
    number = _patiently(project.redcap.project, project, pause).get("project_id", "")
    if not number:
        raise RedcapUnsuited("REDCap's answer does not say which project it is; see ITP_REDCAP_URL")
    waiting: list[SavedForm] = []
    for place in range(0, len(caught.records), RECORDS_AT_ONCE):
        waiting += _with_news(api, project, number, caught.records[place : place + RECORDS_AT_ONCE], pause)
    for _ in range(PASSES):
        before = len(waiting)
        waiting = [form for form in waiting if not _is_taken(api, project, form, caught, pause)]
        if len(waiting) in (0, before):
            break


def _with_news(
    api: Recorder, project: Project, number: str, records: Sequence[str], pause: Pause
) -> list[SavedForm]:
    """The forms of some records that say something new, in the order of the days that they speak of."""
    mapping = project.mapping

    def ask() -> list[Row]:
        return project.redcap.records(records, list(mapping.instruments), mapping, background=True)

    rows = _patiently(ask, project, pause)
    found: list[tuple[str, SavedForm]] = []
    for record in records:
        of_it = [row for row in rows if row.get(mapping.record_id, "").casefold() == record.casefold()]
        for form in saved_forms(number, record, of_it, mapping):
            day = _day_of_news(api, project, form, of_it)
            found += [(day, form)] if day is not None else []
    return [form for _, form in sorted(found, key=lambda each: each[0])]


def _day_of_news(api: Recorder, project: Project, form: SavedForm, rows: list[Row]) -> str | None:
    try:
        return news(api, project, form, row_of(form, rows, project.mapping))
    except RedcapHasNone:
        return None


def _is_taken(api: Recorder, project: Project, form: SavedForm, caught: Caught, pause: Pause) -> bool:
    """Take a form as if its trigger had come; False when the study refuses it, perhaps not for good."""
    note_trigger(api, form)
    taken = take_form(api, project, form, background=True)
    while isinstance(taken.failure, RedcapWaits) and taken.failure.is_rate:
        if pause(max(0.1, (taken.failure.until - project.wall()).total_seconds())):
            break
        taken = take_form(api, project, form, background=True)
    caught.forms[form] = taken
    return not any("detail" in result for result in taken.results)


class CatchUp(threading.Thread):
    """Catches up at the start and every ten minutes, in one of the study's processes, until `stop`."""

    def __init__(self, api: Recorder, project: Project) -> None:
        super().__init__(name="redcap-log", daemon=True)
        self._context, self._project = api, project
        self._asked = threading.Event()
        self._failures = 0
        self._seen: frozenset[Line] = frozenset()

    def run(self) -> None:
        """Catch up until `stop`; called by `start`."""
        while True:
            try:
                wait = self._turn()
            except Exception:
                log.exception("What was saved in REDCap meanwhile could not be caught up; it is tried again.")
                wait = EVERY
            if self._asked.wait(wait.total_seconds()):
                return

    def stop(self) -> None:
        """Begin nothing more, and let another process do it."""
        self._asked.set()
        try:
            resign(self._project)
        except NO_ANSWER as error:
            log.info("Another process looks at REDCap's log in a minute or two: %s", first_line(error))

    def _turn(self) -> timedelta:
        """Catch up once, if this process leads; returns the time until the next turn."""
        if not leads(self._project):
            return FAILED.first
        try:
            caught = catch_up(self._context, self._project, self._pause, seen=self._seen)
        except RedcapSilent as error:
            if self._asked.is_set():
                return EVERY
            self._failures += 1
            self._say(error)
            return FAILED.after(self._failures)
        self._failures, self._seen = 0, caught.lines
        settle_trouble(self._context.study.store, "redcap")
        if caught.forms:
            log.info("Caught up since %s in REDCap's time: %d forms.", caught.since, len(caught.forms))
        return EVERY

    def _pause(self, seconds: float) -> bool:
        leads(self._project)
        return self._asked.wait(seconds)

    def _say(self, error: RedcapSilent) -> None:
        """Say why the log cannot be read; where somebody has to mend it, also on the board."""
        log.warning("What was saved in REDCap meanwhile cannot be caught up yet: %s", error)
        if isinstance(error, RedcapRefuses | RedcapUnsuited):
            what = f"what is saved in REDCap while nobody answers its trigger is not caught up: {error}"
            note_trouble(self._context.study.store, "redcap", what, self._context.study.clock.now())
