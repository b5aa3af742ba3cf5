"""Performance qualification: a site's work with its accidents, and a whole journey to month 12."""

from __future__ import annotations

import sqlite3
import threading
from collections import Counter
from contextlib import closing
from datetime import date, datetime, timedelta
from typing import Any

import httpx

from deployments.qualification.installation import Failed
from deployments.qualification.people import (
    at,
    delivered,
    enrolment,
    event,
    leave,
    log,
    plan,
    record,
    today,
    visit,
)
from deployments.qualification.steps import Scene, Step
from itp_events.events import Enrolled, Event
from tasks.database.queries import NoticeRow, notices_of, subject
from tasks.text.render import unmarked

_CROWD = 40
# So many were answered when the service is killed.
_ANSWERED = 15


def _killed(scene: Scene) -> None:
    stated = [enrolment(scene, f"QUAL-K{number:02d}") for number in range(_CROWD)]
    answered: list[str] = []
    sender = threading.Thread(target=_send, args=(scene, stated, answered))
    sender.start()
    scene.site.until(lambda: len(answered) >= _ANSWERED, f"{_ANSWERED} enrolments to be answered")
    scene.site.kill()
    sender.join()
    scene.note(f"killed while {_CROWD} enrolments were sent, of which {len(answered)} had been answered")
    scene.site.start()
    kept = {row["subject"] for row in scene.site.get("/subjects")}
    scene.expect(set(answered) <= kept, "after the restart each answered one is there", set(answered) - kept)
    for each in stated:
        status, answer = scene.site.post(each)
        if each["subject"] in answered and status != 200:
            raise Failed(f"{each['subject']} was answered before, and is not known: {answer}")
    scene.note("all are sent again: what was answered before is known, and changes nothing")
    _each_once(scene, [each["subject"] for each in stated])
    leave(scene, *(each["subject"] for each in stated))


def _send(scene: Scene, stated: list[dict[str, Any]], answered: list[str]) -> None:
    for each in stated:
        try:
            status, _ = scene.site.post(each)
        except (httpx.HTTPError, ValueError):
            continue
        if status == 201:
            answered.append(each["subject"])


def _each_once(scene: Scene, codes: list[str]) -> None:
    twice = [code for code in codes if sum(isinstance(each.data, Enrolled) for each in log(scene, code)) != 1]
    scene.expect(twice == [], f"the log holds each of {len(codes)} enrolments once", twice)
    scene.site.until(
        lambda: all(scene.site.inbox.about(code, "cell-lab") for code in codes),
        "each order of cells to arrive",
    )
    orders = Counter(message.text for code in codes for message in scene.site.inbox.about(code, "cell-lab"))
    again = [text for text, number in orders.items() if number > 1]
    scene.expect(again == [], f"the orders of cells for all {len(codes)} arrived, none of them twice", again)


def _restored(scene: Scene) -> None:
    archive = scene.site.folder / "backup.zip"
    codes = [row["subject"] for row in scene.site.get("/subjects")]
    scene.site.quiet()
    rows = scene.site.itp_json("backup", str(archive))["rows"]
    scene.note(f"backed up while the service runs: {rows['events']} events, {rows['notices']} notices")
    before = {code: _record_of(scene, code) for code in codes}
    arrived = len(scene.site.inbox.messages)
    scene.site.lose_database()
    scene.note("the service is stopped, and its database deleted")
    ended = scene.site.itp("restore", str(archive))
    scene.expect(ended.returncode == 0, "the backup is restored into an empty database", ended.stderr)
    scene.site.start()
    after = {row["subject"]: _record_of(scene, row["subject"]) for row in scene.site.get("/subjects")}
    scene.expect(after == before, f"log and notices of all {len(codes)} subjects are as they were")
    scene.site.quiet()
    again = scene.site.inbox.messages[arrived:]
    scene.expect(again == [], "nothing was sent again", [each.title for each in again])


def _record_of(scene: Scene, code: str) -> tuple[list[Event], list[NoticeRow]]:
    return log(scene, code), notices_of(scene.site.store, code)


def _journey(scene: Scene) -> None:
    code, first = "QUAL-06", today(scene)
    record(scene, enrolment(scene, code, first_infusion_on=(first + timedelta(days=4)).isoformat()))
    visits = [each["code"] for each in plan(scene, code)["visits"]]
    for each in visits:
        day = date.fromisoformat(visit(scene, code, each)["target"])
        _wake_until(scene, code, at(scene, day, 10))
        record(scene, event(scene, "visit.completed", code, visit=each, on=day.isoformat()))
    found = plan(scene, code)
    scene.expect(
        found["status"] == "completed", "with the last visit the study is completed", found["status"]
    )
    decodes = [each["decode"] for each in found["dispositions"]]
    scene.expect(decodes == ["COMPLETED", "COMPLETED"], "both epochs are COMPLETED", decodes)
    off = [each["code"] for each in found["visits"] if each["deviation_days"]]
    scene.expect(off == [], f"none of {len(visits)} visits was outside its window", off)
    scene.site.quiet()
    reminded = {each.visit for each in delivered(scene, code) if each.step == "T"}
    scene.expect(reminded == set(visits), "each visit was reminded of on its day", reminded)
    steps = Counter(each.step for each in delivered(scene, code))
    scene.note(
        "sent on the way: " + ", ".join(f"{number} x {step}" for step, number in sorted(steps.items()))
    )


def _wake_until(scene: Scene, code: str, instant: datetime) -> None:
    """Let the subject be woken at each instant at which something is due, and go on to the given one."""
    while (row := subject(scene.site.store, code)) and row.wake_at and row.wake_at < instant:
        scene.site.go_to(max(row.wake_at, scene.site.clock.now()))
    scene.site.go_to(max(instant, scene.site.clock.now()))


def _reconciled(scene: Scene) -> None:
    scene.site.quiet()
    codes = [row["subject"] for row in scene.site.get("/subjects")]
    messages = list(scene.site.inbox.messages)
    arrived = Counter(each.text for each in messages if any(code in each.title for code in codes))
    rows = [row for code in codes for row in notices_of(scene.site.store, code) if row.handed_at]
    kept = Counter(_text(row) for row in rows if row.status == "delivered")
    # Where the service was killed before it had sent a message, the one that arrived is marked as repeated.
    lost = list((kept - Counter(_bare(each) for each in arrived.elements())).elements())
    scene.expect(
        lost == [], f"each of {kept.total()} notices that the study calls delivered arrived", lost[:3]
    )
    # What lost its use while it was on its way has been sent all the same.
    unknown = arrived - Counter(_text(row) for row in rows)
    more = [text for text in unknown.elements() if _bare(text) == text]
    scene.expect(more == [], "nothing else arrived, but for repetitions that say so", more[:3])


def _bare(text: tuple[str, str, str]) -> tuple[str, str, str]:
    audience, *said = text
    return audience, *unmarked(*said)


def _text(row: NoticeRow) -> tuple[str, str, str]:
    return row.audience, row.title or "", row.body or ""


def _verified(scene: Scene) -> None:
    ended = scene.site.itp("verify")
    scene.expect(ended.returncode == 0, "itp verify finds every row as it was recorded", ended.stdout)
    scene.site.close()
    _change(scene, "DROP TRIGGER events_no_update")
    _change(
        scene,
        "UPDATE events SET body = replace(body, 'crc-01', 'crc-02') WHERE subject = 'QUAL-06' AND seq = 1",
    )
    scene.note("behind the stopped service's back somebody else's name is put into an entry of QUAL-06")
    ended = scene.site.itp("verify")
    found = ended.returncode == 1 and "QUAL-06" in ended.stdout
    scene.expect(found, "itp verify finds the change, and names the subject", ended.stdout)


def _change(scene: Scene, statement: str) -> None:
    with closing(sqlite3.connect(scene.site.database)) as connection, connection:
        connection.execute(statement)


STEPS = (
    Step(
        "PQ-1",
        "Killed in the middle, the service loses nothing and doubles nothing.",
        ("RUN-03", "LOG-02", "INT-04", "DLV-01"),
        _killed,
        vital=True,
    ),
    Step(
        "PQ-2",
        "After the loss of the database a backup is restored whole.",
        ("BAK-01", "BAK-02"),
        _restored,
        vital=True,
    ),
    Step(
        "PQ-3",
        "A subject is carried from enrolment to month 12.",
        ("RUN-02", "WIN-01", "WIN-04", "WIN-06", "WDR-09"),
        _journey,
    ),
    Step(
        "PQ-4",
        "What the study calls delivered has arrived, and nothing else.",
        ("DLV-01", "DLV-02", "DLV-03"),
        _reconciled,
    ),
    Step("PQ-5", "A row that was changed behind the service's back is found.", ("LOG-01",), _verified),
)
