"""Writes a study into an archive while others work on it, and reads the archive back before it counts.

Everything is read in one transaction: the archive is the study at one instant. Nobody waits for it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import IO, BinaryIO
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import sqlalchemy as sa

from tasks.archive.check import open_archive
from tasks.archive.contents import LEFT_OUT, archived_tables, columns_of, key_of
from tasks.archive.files import Draft, whole_file
from tasks.archive.form import (
    DIGITS,
    FORMAT,
    MANIFEST,
    PROTOCOLS,
    README,
    README_TEXT,
    SEAL,
    TABLES,
    VERSION,
    Database,
    MadeBy,
    Manifest,
    Member,
    Program,
    ProtocolFile,
    Table,
)
from tasks.archive.protocols import Installed
from tasks.archive.rows import Row, count_rows, read_rows
from tasks.database.migrate import revision_of
from tasks.database.schema import subjects
from tasks.database.store import Store

Progress = Callable[[int, int], None]
"""Takes the number of finished steps, and of all steps; it may raise to end the work."""

_BLOCK = 1 << 20


@dataclass(frozen=True)
class Making:
    """The circumstances of an archive: its id, the machine's time (UTC), and the program that writes it."""

    id: str
    at: datetime
    by: MadeBy
    program: Program


def back_up(
    store: Store,
    protocols: Sequence[Installed],
    path: Path,
    making: Making,
    *,
    replace: bool = False,
    progress: Progress | None = None,
) -> Manifest:
    """Write the study into an archive at `path`, for its owner alone, and return the archive's manifest.

    The file is there once it is complete and was read back. `progress` counts rows, each twice: written, and
    read back.

    Raises:
        BadInput: the file is there already, or cannot be made.
        ItpError: the archive read back is not what was written.
    """
    with whole_file(path, replace=replace) as draft:
        with (
            store.snapshot() as connection,
            ZipFile(draft.file, "w", ZIP_DEFLATED, compresslevel=6) as zipped,
        ):
            _Writer(zipped, connection, making, progress).write(protocols)
            zipped.comment = SEAL + b"0" * DIGITS
        _seal(draft)
        with open_archive(draft.path) as archive:
            total = archive.manifest.rows
            return archive.check(lambda done, _: progress and progress(total + done, 2 * total))


class _Writer:
    """The archive that is being written."""

    def __init__(
        self, zipped: ZipFile, connection: sa.Connection, making: Making, progress: Progress | None
    ) -> None:
        self._zip = zipped
        self._connection = connection
        self._making = making
        self._progress = progress
        self._done = self._total = 0

    def write(self, protocols: Sequence[Installed]) -> None:
        """Write every member, the manifest last."""
        tables = archived_tables()
        revision = revision_of(self._connection)
        self._total = 2 * sum(count_rows(self._connection, table.name) for table in tables)
        readme = self._member(README, README_TEXT.encode())
        written = tuple(self._table(table) for table in tables)
        kept, missing = self._protocols(protocols)
        manifest = Manifest(
            format=FORMAT,
            format_version=VERSION,
            id=self._making.id,
            made_at=self._making.at,
            made_by=self._making.by,
            program=self._making.program,
            database=Database(kind=self._connection.dialect.name, revision=str(revision)),
            readme=readme,
            tables=written,
            protocols=kept,
            missing_protocols=missing,
            left_out=LEFT_OUT,
        )
        self._member(MANIFEST, manifest.model_dump_json(indent=1).encode())

    def _table(self, table: sa.Table) -> Table:
        columns, key = columns_of(table), key_of(table)
        file = f"{TABLES}/{table.name}.jsonl"
        with self._open(file) as target:
            count = _Counting(target)
            for row in self._told(read_rows(self._connection, table.name, columns, key)):
                count.line(row)
        return Table(
            file=file,
            name=table.name,
            rows=count.lines,
            bytes=count.bytes,
            sha256=count.digest.hexdigest(),
            key=key,
            columns=columns,
        )

    def _told(self, rows: Iterable[Row]) -> Iterator[Row]:
        for row in rows:
            yield row
            self._done += 1
            if self._progress and self._done % 500 == 0:
                self._progress(self._done, max(self._total, self._done))

    def _protocols(self, installed: Sequence[Installed]) -> tuple[tuple[ProtocolFile, ...], tuple[str, ...]]:
        pinned = self._pinned()
        kept = tuple(self._protocol(each, pinned.pop(each.version, 0)) for each in installed)
        return kept, tuple(sorted(pinned))

    def _pinned(self) -> dict[str, int]:
        version = subjects.c.protocol_version
        query = sa.select(version, sa.func.count()).group_by(version)
        return {row[0]: row[1] for row in self._connection.execute(query)}

    def _protocol(self, each: Installed, subjects: int) -> ProtocolFile:
        member = self._member(f"{PROTOCOLS}/{each.name}", each.content)
        return ProtocolFile(**member.model_dump(), id=each.id, version=each.version, subjects=subjects)

    def _member(self, name: str, content: bytes) -> Member:
        with self._open(name) as target:
            target.write(content)
        return Member(file=name, bytes=len(content), sha256=sha256(content).hexdigest())

    def _open(self, name: str) -> IO[bytes]:
        info = ZipInfo(name, self._making.at.timetuple()[:6])
        info.compress_type, info.external_attr = ZIP_DEFLATED, 0o100600 << 16
        return self._zip.open(info, "w", force_zip64=True)


class _Counting:
    """A member that is being written, with its lines, bytes and hash so far."""

    def __init__(self, target: IO[bytes]) -> None:
        self._target = target
        self.digest, self.lines, self.bytes = sha256(), 0, 0

    def line(self, row: Row) -> None:
        """Append a row as a line."""
        text = json.dumps(row, ensure_ascii=False, separators=(",", ":"))
        line = text.encode() + b"\n"
        self._target.write(line)
        self.digest.update(line)
        self.lines += 1
        self.bytes += len(line)


def _seal(draft: Draft) -> None:
    """Put the hash of everything before it into the last bytes of the file."""
    file: BinaryIO = draft.file
    file.flush()
    end = file.seek(0, 2) - DIGITS
    file.seek(0)
    digest = sha256()
    while part := file.read(min(_BLOCK, end - file.tell())):
        digest.update(part)
    file.seek(end)
    file.write(digest.hexdigest().encode())
    draft.to_disk()
