"""Writes the whole record of a study as files: events, decisions, notices, and SDTM tables.

Each subject is written as it stood when it was read; the service may run meanwhile. A subject that cannot be
read is named in `unreadable.csv`; the lines of its log are there as they are stored.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import fields
from datetime import datetime
from hashlib import file_digest
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, TextIO

from deployments.tables import ENCODING, TableWriter
from itp_events.errors import BadInput
from itp_events.outputs import sdtm
from itp_events.outputs.plan_json import instant
from itp_events.protocol.model import Protocol
from itp_events.rules.response import response_course, responses
from itp_events.rules.state import SubjectState, subject_state
from itp_events.rules.subject import fold
from tasks.database import queries
from tasks.database.event_log import read_line
from tasks.database.queries import AttemptRow, NoticeRow, ScreeningRow, StoredLine
from tasks.database.store import Store
from tasks.database.unreadable import Unreadable, passing_over
from tasks.integrity.verify import Report
from tasks.signatures.signing import Signature, reviews_in, signatures_of

Progress = Callable[[int], None]

RESPONSE = ("subject", "visit", "on", "platelets", "bleeding", "grade", "confirmed", "why")
COURSE = ("subject", "what", "visit", "since", "days_from_first_infusion", "until", "held", "why")
LINES = ("events.jsonl", "log.jsonl")
MANIFEST, SEAL = "manifest.json", "seal.txt"
TABLES: Mapping[str, Sequence[str]] = {
    "sv.csv": sdtm.SV,
    "ds.csv": sdtm.DS,
    "dv.csv": sdtm.DV,
    "suppdv.csv": sdtm.SUPPDV,
    "response.csv": RESPONSE,
    "response_course.csv": COURSE,
    "notices.csv": [field.name for field in fields(NoticeRow)],
    "attempts.csv": [field.name for field in fields(AttemptRow)],
    "signatures.csv": [field.name for field in fields(Signature)],
    "screening.csv": [field.name for field in fields(ScreeningRow)],
    "unreadable.csv": ["subject", "why"],
}


def export(
    store: Store,
    protocol: Protocol,
    now: datetime,
    folder: Path,
    report: Report,
    progress: Progress | None = None,
) -> dict[str, int]:
    """Write the study's files into a new or empty folder.

    The manifest says what a verification of the record has found just before, as `report`, and binds each
    file by its SHA-256; the newest seal goes with it.

    Returns the number of lines in each file, heads aside. The folder appears once it is complete, and only
    its owner may read it. `progress` is called with the number of subjects that are written.

    Raises:
        BadInput: the folder holds something already, or cannot be made.
    """
    if folder.is_symlink():
        raise BadInput(f"{folder} is a symbolic link; name the folder itself, new or empty", "DIR")
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise BadInput(f"{folder} is there already; name a new or empty folder", "DIR")
    try:
        folder.absolute().parent.mkdir(parents=True, exist_ok=True)
        unfinished = Path(mkdtemp(prefix=f".{folder.name}-", dir=folder.absolute().parent))
    except OSError as problem:
        raise BadInput(f"{folder} cannot be made: {problem.strerror}", "DIR") from problem
    try:
        written = _write(store, protocol, now, unfinished, progress)
        _describe(unfinished, written, report, now)
        unfinished.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return written


def _describe(folder: Path, written: Mapping[str, int], report: Report, now: datetime) -> None:
    """Write the newest seal, and the manifest that binds the other files."""
    if report.seal:
        (folder / SEAL).write_text(f"{report.seal.told}\n", encoding="utf-8")
    manifest = {
        "exported_at": instant(now),
        "verification": {
            "ok": not report.findings,
            "findings": [str(each) for each in report.findings],
            "rows": report.rows,
            "record": report.record,
        },
        "seal": report.seal.told if report.seal else None,
        "files": [
            {"file": path.name, "lines": written.get(path.name), "sha256": _sha256(path)}
            for path in sorted(folder.iterdir())
        ],
    }
    text = json.dumps(manifest, ensure_ascii=False, indent=1)
    (folder / MANIFEST).write_text(f"{text}\n", encoding="utf-8")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


class _Files:
    """The open files of one export, with the number of lines written to each."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.written = dict.fromkeys((*LINES, *TABLES), 0)
        self._open: dict[str, TextIO] = {
            name: stack.enter_context(
                (folder / name).open("w", encoding=ENCODING if name in TABLES else "utf-8", newline="")
            )
            for name in self.written
        }
        self._tables = {name: TableWriter(self._open[name], columns) for name, columns in TABLES.items()}

    def lines(self, name: str, documents: Iterable[Mapping[str, Any]]) -> None:
        """Append JSON documents, one a line."""
        for document in documents:
            self._open[name].write(json.dumps(document, ensure_ascii=False) + "\n")
            self.written[name] += 1

    def rows(self, name: str, records: Iterable[Mapping[str, Any]]) -> None:
        """Append records to a table."""
        for record in records:
            self._tables[name].row(record[column] for column in TABLES[name])
            self.written[name] += 1


def _write(
    store: Store, protocol: Protocol, now: datetime, folder: Path, progress: Progress | None
) -> dict[str, int]:
    with ExitStack() as stack:
        files = _Files(folder, stack)
        unreadable: dict[str, str] = {}
        for number, subject in enumerate(queries.all_subjects(store), 1):
            stored = queries.stored_lines(store, subject.code)
            files.lines("log.jsonl", (_line(subject.code, line) for line in stored))
            with passing_over(subject.code, unreadable):
                _facts(store, protocol, subject.code, stored, now, files)
            _notices(store, subject.code, files)
            if progress:
                progress(number)
        _notices(store, None, files)
        with store.reading() as connection:
            files.rows("signatures.csv", map(_record, reviews_in(connection)))
        files.rows("screening.csv", map(_record, queries.screening_refusals(store)))
        files.rows("unreadable.csv", ({"subject": code, "why": why} for code, why in unreadable.items()))
    return files.written


def _facts(
    store: Store, protocol: Protocol, code: str, stored: Sequence[StoredLine], now: datetime, files: _Files
) -> None:
    """Write the events of a subject and the tables that follow from them; raises Unreadable."""
    events = [read_line(code, line.seq, line.body) for line in stored]
    files.rows("signatures.csv", map(_record, signatures_of(store, code, events)))
    files.lines("events.jsonl", (event.to_json() for event in events if not event.own))
    signed_in = {event.key: (line.actor, line.door) for event, line in zip(events, stored, strict=True)}
    subject = fold(protocol, events)
    state = subject_state(subject, now)
    files.rows("sv.csv", sdtm.visits(state))
    files.rows("ds.csv", sdtm.dispositions(state))
    files.rows("dv.csv", sdtm.deviation_records(state))
    files.rows("suppdv.csv", sdtm.deviation_qualifiers(state, signed_in))
    files.rows("response.csv", _responses(state))
    files.rows("response_course.csv", _course(state))


def _responses(state: SubjectState) -> Iterator[dict[str, Any]]:
    """The response at each completed visit. It is derived; SDTM holds observations alone."""
    for each in responses(state):
        if each.on:
            yield {"subject": state.subject.code} | {name: getattr(each, name) for name in RESPONSE[1:]}


def _course(state: SubjectState) -> Iterator[dict[str, Any]]:
    """Each confirmed response with its time, and each visit at which a sustained one is asked for."""
    responded = response_course(state)
    empty = dict.fromkeys(COURSE) | {"subject": state.subject.code}
    for spell in responded.spells:
        yield empty | {
            "what": spell.grade,
            "visit": spell.visit,
            "since": spell.since,
            "days_from_first_infusion": spell.days,
            "until": spell.until,
            "why": spell.ended,
        }
    for each in responded.sustained:
        yield empty | {"what": "sustained", "visit": each.visit, "held": each.held, "why": each.why}


def _notices(store: Store, code: str | None, files: _Files) -> None:
    files.rows("notices.csv", map(_record, queries.notices_of(store, code)))
    files.rows("attempts.csv", map(_record, queries.attempts_of(store, code)))


def _line(code: str, line: StoredLine) -> dict[str, Any]:
    """A line of the log as JSON types; a damaged one as its text."""
    at = line.recorded_at and instant(line.recorded_at)
    where = {"subject": code, "seq": line.seq, "recorded_at": at, "actor": line.actor, "door": line.door}
    try:
        return where | {"event": read_line(code, line.seq, line.body).to_json()}
    except Unreadable as problem:
        return where | {"damaged": line.body, "why": problem.why}


def _record(row: NoticeRow | AttemptRow | ScreeningRow | Signature) -> dict[str, Any]:
    return {field.name: getattr(row, field.name) for field in fields(row)}
