"""`python -m bench.at_nine`: many notices due at the same instant, to a receiver that takes its time.

Ten thousand subjects have had their first infusion; the reminder to book the second one is due for all of
them on Monday at 09:00. Their histories are stated through the study's own functions, in arrays, and `itp
verify` says that they are a study. Then the service runs, tells the digests of 08:30, its clock is moved to
ten seconds before nine, and a receiver that answers each message in 50 ms notes what comes.

A short run: `--subjects 300`. With `--shown` Prefect holds a flow run of each subject before nine, which
takes minutes; without it most are advanced without one. Receiver and service share this machine's processors.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import URL

from bench.kinds import ByKind, between, cpu_by_kind, in_words
from bench.parts import ITP, Parts, surroundings
from bench.stage import SCREENING
from bench.waiting import wait_until
from deployments.bootstrap.clock import MARK, FastClock
from deployments.bootstrap.settings import load_settings
from deployments.bootstrap.study import open_study
from flows.study.runtime import Runtime
from itp_events.events import parse_event
from tasks.digest import AUDIENCES as DIGESTS
from tests.support.receiver import Receiver, Request

# 08:00, 08:30 and 09:00 at the site, on a Monday without a holiday.
EIGHT, NINE = datetime(2026, 1, 5, 0, 0, tzinfo=UTC), datetime(2026, 1, 5, 1, 0, tzinfo=UTC)
HALF_PAST_EIGHT = EIGHT + timedelta(minutes=30)
AHEAD = timedelta(seconds=10)
ARRAY = 100
ANSWER_SECONDS = 0.05
SHOWN_SECONDS_EACH, TOLD_SECONDS_EACH = 1.0, 0.5
# A digest that has nothing to say is withdrawn.
DIGESTS_SETTLED = "SELECT count(*) FROM notices WHERE subject IS NULL AND status <> 'queued'"
SHOWN = "SELECT count(*) FROM subjects WHERE flow_run_id IS NOT NULL"
MARKED = "repeated"


class SlowReceiver(Receiver):
    """Answers each message after 50 ms."""

    def _take(self, request: Request) -> int | None:
        threading.Event().wait(ANSWER_SECONDS)
        return super()._take(request)


@dataclass(frozen=True)
class Handed:
    """When the messages came, in seconds after nine, and how many came again."""

    seconds: list[float]
    marked: int
    unmarked: int

    @property
    def last(self) -> float:
        """When the last subject's came."""
        return self.seconds[-1]


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.at_nine",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--subjects", type=int, default=10_000)
    parser.add_argument("--machines", type=int, default=1, choices=(1, 2))
    parser.add_argument("--shown", action="store_true", help="Prefect holds every flow run before nine")
    asked = parser.parse_args()
    with _study(asked.machines) as (parts, receiver):
        began = time.monotonic()
        codes = _fill(parts, asked.subjects)
        _say(f"{len(codes):,} subjects stated in {time.monotonic() - began:.0f} s; itp verify accepts them")
        parts.start()
        _tell_digests(parts, len(codes))
        if asked.shown:
            _wait_until_shown(parts, len(codes))
        _report(_measure(parts, receiver, codes), len(codes))


@contextmanager
def _study(machines: int) -> Iterator[tuple[Parts, SlowReceiver]]:
    with SlowReceiver() as receiver, surroundings(receiver.apprise_url()) as (database, home, recipients):
        more = {"ITP_CLOCK_SPEED": "1", "ITP_CLOCK_START": EIGHT.isoformat()}
        parts = Parts(machines, home, database, recipients, more=more)
        try:
            yield parts, receiver
        finally:
            parts.stop()


def _environment(parts: Parts, data_dir: Path) -> dict[str, str]:
    return {
        "ITP_DATA_DIR": f"{data_dir}",
        "ITP_DATABASE_URL": _text(parts.database),
        "ITP_APPRISE_CONFIG": f"{parts.recipients}",
        **parts.more,
    }


def _text(database: URL) -> str:
    return database.render_as_string(hide_password=False)


def _fill(parts: Parts, count: int) -> list[str]:
    """State the subjects' histories; every part's clock shows some moments after eight then."""
    first, *others = parts.data_dirs()
    environment = _environment(parts, first)
    study = open_study(load_settings(environment, Path("/nonexistent")))
    codes = [f"ITP-{number:05}" for number in range(count)]
    try:
        for start in range(0, count, ARRAY):
            _state(study, codes[start : start + ARRAY])
    finally:
        study.store.close()
    mark = _mark(first)
    for other in others:
        other.mkdir(parents=True)
        (other / mark.name).write_text(mark.read_text())
    subprocess.run([*ITP, "verify"], env=os.environ | environment, check=True, stdout=subprocess.DEVNULL)
    return codes


def _state(study: Runtime, codes: list[str]) -> None:
    now = study.clock.now()
    stated = [event for code in codes for event in _history(code, now)]
    for answer in study.record([parse_event(each) for each in stated], now):
        assert answer.error is None, answer.error


def _history(code: str, now: datetime) -> list[dict[str, Any]]:
    today = f"{EIGHT.date()}"
    enrolled = {"on": today, "site": "01", "consent_on": today, "weight_kg": 60.0, "screening": SCREENING}
    done = {"visit": "INF1", "on": today}
    return [
        {
            "specversion": "1.0",
            "id": f"{kind}-{code}",
            "source": "bench",
            "type": f"itp.{kind}",
            "subject": code,
            "time": now.isoformat(),
            "data": {"by": "bench"} | data,
        }
        for kind, data in (("subject.enrolled", enrolled), ("visit.completed", done))
    ]


def _mark(data_dir: Path) -> Path:
    return data_dir / MARK


def _tell_digests(parts: Parts, count: int) -> None:
    """Let the digests go out at their own time: they look at everybody, and would do so at nine."""
    _move_to(parts, HALF_PAST_EIGHT)
    limit = 120 + count * TOLD_SECONDS_EACH
    wait_until(lambda: parts.number(DIGESTS_SETTLED) >= len(DIGESTS), "the digests of 08:30", limit)


def _move_to(parts: Parts, instant: datetime) -> None:
    for data_dir in parts.data_dirs():
        FastClock(_mark(data_dir)).move_to(instant)


def _wait_until_shown(parts: Parts, count: int) -> None:
    began = time.monotonic()
    limit = 120 + count * SHOWN_SECONDS_EACH
    wait_until(lambda: parts.number(SHOWN) >= count, "Prefect to hold every flow run", limit)
    _say(f"Prefect held all flow runs after {time.monotonic() - began:.0f} s")


def _measure(parts: Parts, receiver: SlowReceiver, codes: list[str]) -> Handed:
    _move_to(parts, NINE - AHEAD)
    nine = FastClock(_mark(parts.data_dirs()[0])).wall(NINE)
    before, began = cpu_by_kind(parts, receiver=os.getpid()), time.monotonic()
    wanted = set(codes)
    limit = 120 + len(codes) * TOLD_SECONDS_EACH
    # Looking at thousands of messages takes time from what is measured: once a second will do.
    wait_until(
        lambda: len(_told(receiver, nine)) >= len(wanted), "a reminder about everybody", limit, every=1.0
    )
    _say_cpu(between(before, cpu_by_kind(parts, receiver=os.getpid())), time.monotonic() - began)
    # What comes again comes seconds later.
    threading.Event().wait(10)
    told = _told(receiver, nine)
    assert wanted == set(told), "a reminder about somebody else"
    again = [title for titles in told.values() for _, title in titles[1:]]
    return Handed(
        sorted((titles[0][0] - nine).total_seconds() for titles in told.values()),
        sum(MARKED in title for title in again),
        sum(MARKED not in title for title in again),
    )


def _told(receiver: SlowReceiver, since: datetime) -> dict[str, list[tuple[datetime, str]]]:
    """The messages about each subject since an instant."""
    found: dict[str, list[tuple[datetime, str]]] = {}
    for request in list(receiver.requests):
        title = request.body["title"]
        if request.at >= since and "ITP-" in title:
            code = title[title.index("ITP-") :][:9]
            found.setdefault(code, []).append((request.at, title))
    return found


def _say_cpu(spent: ByKind, seconds: float) -> None:
    _say(f"CPU seconds from ten seconds before nine on ({seconds:.0f} s): {in_words(spent, 's', 1)}")


def _report(handed: Handed, count: int) -> None:
    at = handed.seconds
    _say(f"{count:,} due at nine, answered in {ANSWER_SECONDS * 1000:.0f} ms each:")
    _say(f"  half of them   {at[len(at) // 2]:8.1f} s after nine")
    _say(f"  95%            {at[int(len(at) * 0.95)]:8.1f} s")
    _say(f"  all of them    {handed.last:8.1f} s, {count / max(handed.last, 0.001):.0f} a second")
    _say(f"  told again     {handed.marked} marked, {handed.unmarked} not marked")


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - the measurements are this program's output


if __name__ == "__main__":
    main()
