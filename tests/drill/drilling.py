"""The drill: a backup is made while events arrive and messages go out, is restored, and both are compared."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import sqlalchemy as sa

from itp_events.events import Event
from itp_events.outputs.plan import plan
from itp_events.outputs.plan_json import document
from tasks.database.queries import all_subjects, log_lines, stored_lines
from tasks.database.schema import attempts, deliveries
from tasks.database.store import Store
from tasks.integrity.keeping import keep
from tasks.integrity.sealing import seal
from tasks.integrity.verify import verify
from tests.support.receiver import Receiver
from tests.support.study import Study
from tests.support.waiting import wait_until
from tests.tasks.archive.kept import brought_back, kept
from tests.tasks.desk import Desk

NOW = datetime(2026, 1, 20, 3, tzinfo=UTC)
SUBJECTS, SIDE_BY_SIDE = 20, 4
_AUDIENCES = ("coordinator", "investigator", "sponsor", "cell-lab", "ops")


@dataclass(frozen=True)
class Drilled:
    """What a drill compared, and the flaws that it found."""

    events_before: int
    events_in_archive: int
    events_after: int
    plans: int
    sent: int
    sent_later: int
    flaws: Sequence[str]

    def __str__(self) -> str:
        """The drill in one line."""
        arrived = f"{self.events_before} events at its begin, {self.events_after} at the end"
        held = f"{self.events_in_archive} in the archive; {self.plans} plans equal"
        told = f"{self.sent} sends kept, {self.sent_later} further ones, none again"
        return f"{arrived}, {held}; {told}; flaws: {'; '.join(self.flaws) or 'none'}"


def drilled(source_url: str, target_url: str, folder: Path, count: int) -> Drilled:
    """Back a study up while `count` events arrive, restore it into another database, and compare the two."""
    with Receiver() as receiver:
        desk = _studied(source_url, folder, receiver)
        before = _events(desk.store)
        with ThreadPoolExecutor(SIDE_BY_SIDE + 1) as pool:
            over = threading.Event()
            told = pool.submit(_tell, desk, over)
            arriving = [pool.submit(_arrive, desk, part) for part in _parts(count)]
            wait_until(
                lambda: _is_under_way(desk.store, before + count // 4), "a quarter of the events, and a send"
            )
            kept(desk.store, folder / "kept.zip")
            for each in arriving:
                each.result()
            over.set()
            told.result()
        brought_back(folder / "kept.zip", target_url, NOW)
        there = Desk(Store.open(target_url), channels=desk.channels)
        try:
            return _compared(desk, there, before, count)
        finally:
            there.store.close()
            desk.store.close()


def _studied(url: str, folder: Path, receiver: Receiver) -> Desk:
    desk = Desk.open(url)
    desk.configure(folder / "apprise.txt", *(f"{name}={receiver.apprise_url(name)}" for name in _AUDIENCES))
    for number in range(SUBJECTS):
        study = _study(number)
        desk.take(study.enrol("2026-01-05", first_infusion_on="2026-01-06"))
        desk.take(study.done("INF1", "2026-01-06", platelets=20))
    keep(desk.store, NOW)
    seal(desk.store, NOW)
    return desk


def _study(number: int) -> Study:
    study = Study(code=f"ITP-{number + 1:03}")
    study.last_id = 100_000 * (number + 1)
    return study


def _parts(count: int) -> list[list[Event]]:
    """The events, in as many parts as threads bring them; each subject's are in one part."""
    parts: list[list[Event]] = [[] for _ in range(SIDE_BY_SIDE)]
    studies = [_study(number) for number in range(SUBJECTS)]
    for study in studies:
        study.last_id += 1000
    for nth in range(count):
        study, at = studies[nth % SUBJECTS], NOW + timedelta(seconds=nth)
        serious = nth % 7 == 0
        said = (
            {"ae": f"AE-{nth}", "term": "Fever", "grade": 3, "serious": True, "related": False}
            if serious
            else {"reason": "bruises"}
        )
        kind = "itp.adverse-event.reported" if serious else "itp.visit.unscheduled"
        parts[nth % SUBJECTS % SIDE_BY_SIDE].append(study.event(kind, "2026-01-19", at, **said))
    return parts


def _arrive(desk: Desk, part: Sequence[Event]) -> None:
    for event in part:
        (answer,) = desk.take(event, now=event.time)
        assert answer.status == "recorded", answer


def _tell(desk: Desk, over: threading.Event) -> None:
    """Hand over what is due, again and again."""
    while not over.is_set():
        desk.hand_over(NOW + timedelta(hours=1), None)


def _compared(here: Desk, there: Desk, before: int, count: int) -> Drilled:
    flaws = [f"here: {each}" for each in verify(here.store).findings]
    flaws += [f"there: {each}" for each in verify(there.store).findings]
    plans = 0
    for row in all_subjects(there.store):
        mine, theirs = stored_lines(here.store, row.code), stored_lines(there.store, row.code)
        if [line.body for line in mine[: len(theirs)]] != [line.body for line in theirs]:
            flaws.append(f"{row.code}: its log is not the beginning of the log at the source")
        log = [line.event for line in log_lines(here.store, row.code)][: len(theirs)]
        restored = [line.event for line in log_lines(there.store, row.code)]
        if _plan(here, log) != _plan(there, restored):
            flaws.append(f"{row.code}: its plan differs")
        plans += 1
    in_archive, sent = _events(there.store), _sends(there.store, only_sent=True)
    if not before < in_archive < before + count:
        flaws.append("no event arrived before the backup, or none after it")
    all_before = _sends(there.store)
    there.hand_over(NOW + timedelta(days=1), None)
    again = {key for key, number in _sends(there.store).items() if sent.get(key, number) != number}
    flaws += [f"delivery {key} was sent again" for key in sorted(again)]
    later = sum(_sends(there.store).values()) - sum(all_before.values())
    totals = before, in_archive, _events(here.store), plans, len(sent), later
    return Drilled(*totals, flaws)


def _plan(desk: Desk, log: Sequence[Event]) -> object:
    return document(plan(desk.protocol, log, NOW + timedelta(days=1)))


def _events(store: Store) -> int:
    """The number of events that people stated."""
    query = sa.text("SELECT count(*) FROM events WHERE source <> 'itp'")
    with store.reading() as connection:
        return int(connection.scalar(query) or 0)


def _is_under_way(store: Store, events: int) -> bool:
    """Whether more than so many events have arrived, and a message has gone out."""
    return _events(store) > events and bool(_sends(store, only_sent=True))


def _sends(store: Store, *, only_sent: bool = False) -> dict[int, int]:
    """The number of sends of each delivery, of all or of those that got through."""
    query = (
        sa.select(deliveries.c.id, sa.func.count(attempts.c.number))
        .select_from(deliveries.outerjoin(attempts))
        .group_by(deliveries.c.id)
    )
    if only_sent:
        query = query.where(deliveries.c.status == "sent")
    with store.reading(long=True) as connection:
        return {row[0]: row[1] for row in connection.execute(query)}
