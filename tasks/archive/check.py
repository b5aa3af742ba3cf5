"""Opens an archive and finds every flaw in it before anything is done with it.

The file stays open from the check to the restore: what was checked is what is restored, under whatever name.
"""

from __future__ import annotations

import json
import stat
import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO
from zipfile import BadZipFile, ZipFile

from pydantic import ValidationError

from tasks.archive.form import DIGITS, FORMAT, MANIFEST, SEAL, VERSION, BadArchive, Manifest, Member, Table
from tasks.archive.rows import Row

Progress = Callable[[int, int], object]

_BLOCK = 1 << 20
# A manifest names tables and protocol files; a larger one is none.
_LONGEST_MANIFEST = 16 << 20
_LONGEST_LINE = 64 << 20
# All that reading a damaged ZIP file may raise.
_UNREADABLE = (
    BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    KeyError,
    NotImplementedError,
    OSError,
    OverflowError,
    RuntimeError,
    ValueError,
)
_ANOTHER = "nothing was written; take another backup"


@contextmanager
def open_archive(path: Path) -> Iterator[Archive]:
    """The archive at `path`, whose bytes are those that were sealed.

    Raises:
        BadArchive: the file cannot be read, is no archive, or was changed or cut off.
    """
    with _opened(path) as file:
        sealed = _is_sealed(file)
        if sealed is None:
            raise BadArchive(path, _unsealed(file))
        try:
            zipped = ZipFile(file)
        except _UNREADABLE as problem:
            raise BadArchive(path, f"is damaged: {problem}; {_ANOTHER}") from problem
        with zipped:
            if not sealed:
                raise _damage(path, zipped)
            yield Archive(path, zipped)


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise BadArchive(path, "is no file; name an archive that itp backup wrote")
        file = path.open("rb")
    except OSError as problem:
        raise BadArchive(path, f"cannot be read: {problem.strerror}") from problem
    with file:
        yield file


def _is_sealed(file: BinaryIO) -> bool | None:
    """Whether the seal at the end is of the bytes before it; None when there is no seal."""
    length = file.seek(0, 2)
    end = length - DIGITS
    if end < len(SEAL):
        return None
    file.seek(end - len(SEAL))
    if file.read(len(SEAL)) != SEAL:
        return None
    said = file.read()
    return said == _digest(file, end).encode()


def _digest(file: BinaryIO, end: int) -> str:
    digest = sha256()
    file.seek(0)
    while part := file.read(min(_BLOCK, end - file.tell())):
        digest.update(part)
    return digest.hexdigest()


def _unsealed(file: BinaryIO) -> str:
    file.seek(0)
    if file.read(2) == b"PK":
        return f"is no archive of this program, or its end is missing or changed; {_ANOTHER}"
    return "is no archive; name a file that itp backup wrote"


def _damage(path: Path, zipped: ZipFile) -> BadArchive:
    """The error for an archive whose seal is broken: it names the damaged member where one can be found."""
    try:
        Archive(path, zipped).check()
    except BadArchive as problem:
        return problem
    return BadArchive(path, f"was changed after it was written: its seal is broken; {_ANOTHER}")


class Archive:
    """An open archive. Its members are read in pieces, and each is held against the manifest."""

    def __init__(self, path: Path, zipped: ZipFile) -> None:
        """Reads the manifest; raises BadArchive when there is none."""
        self.path = path
        self._zip = zipped
        self.manifest = self._manifest()

    def check(self, progress: Progress | None = None) -> Manifest:
        """Read every member and hold it against the manifest, which is returned.

        Raises:
            BadArchive: the first flaw, by its member and line.
        """
        self._check_names()
        for member in (self.manifest.readme, *self.manifest.protocols):
            for _ in self._pieces(member):
                pass
        done = 0
        for table in self.manifest.tables:
            for _ in self.rows(table):
                done += 1
                if progress and done % 500 == 0:
                    progress(done, self.manifest.rows)
        return self.manifest

    def rows(self, table: Table) -> Iterator[Row]:
        """The rows of a table, one after the other.

        Raises:
            BadArchive: a line is no row of this table; at the end, when the hash or the count is another.
        """
        names = {column.name for column in table.columns}
        number = 0
        for number, line in enumerate(self._lines(table), 1):
            yield self._row(table, names, line, number)
        if number != table.rows:
            said = f"holds {number} rows, and the manifest says {table.rows}; {_ANOTHER}"
            raise BadArchive(self.path, said, table.file)

    def _row(self, table: Table, names: set[str], line: bytes, number: int) -> Row:
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as problem:
            raise BadArchive(self.path, f"is no JSON: {problem}; {_ANOTHER}", table.file, number) from problem
        if not isinstance(row, dict) or row.keys() != names:
            said = f"is no row of {table.name}, whose columns are {', '.join(sorted(names))}; {_ANOTHER}"
            raise BadArchive(self.path, said, table.file, number)
        if any(isinstance(value, dict | list) for value in row.values()):
            raise BadArchive(
                self.path, f"holds a value that is none of a cell; {_ANOTHER}", table.file, number
            )
        return row

    def _lines(self, member: Member) -> Iterator[bytes]:
        rest = b""
        for piece in self._pieces(member):
            *lines, rest = (rest + piece).split(b"\n")
            if len(rest) > _LONGEST_LINE:
                raise BadArchive(self.path, f"holds a line without an end; {_ANOTHER}", member.file)
            yield from lines
        if rest:
            raise BadArchive(self.path, f"its last line is cut off; {_ANOTHER}", member.file)

    def _pieces(self, member: Member) -> Iterator[bytes]:
        """The bytes of a member in pieces; raises BadArchive at the end when they are not those written."""
        digest, length = sha256(), 0
        try:
            with self._zip.open(member.file) as source:
                while piece := source.read(_BLOCK):
                    length += len(piece)
                    if length > member.bytes:
                        break
                    digest.update(piece)
                    yield piece
        except _UNREADABLE as problem:
            raise BadArchive(
                self.path, f"is missing or damaged: {problem}; {_ANOTHER}", member.file
            ) from problem
        if (length, digest.hexdigest()) != (member.bytes, member.sha256):
            raise BadArchive(
                self.path, f"is not what was written: its hash is another; {_ANOTHER}", member.file
            )

    def _check_names(self) -> None:
        named = sorted([MANIFEST, *(member.file for member in self.manifest.members)])
        there = sorted(self._zip.namelist())
        if there != named:
            odd = next(
                (name for name in [*there, *named] if there.count(name) != named.count(name)), MANIFEST
            )
            raise BadArchive(self.path, f"its manifest does not say so; {_ANOTHER}", odd)

    def _manifest(self) -> Manifest:
        try:
            if self._zip.getinfo(MANIFEST).file_size > _LONGEST_MANIFEST:
                raise BadArchive(self.path, f"is too long for a manifest; {_ANOTHER}", MANIFEST)
            text = self._zip.read(MANIFEST)
        except _UNREADABLE as problem:
            raise BadArchive(
                self.path, f"is missing or damaged: {problem}; {_ANOTHER}", MANIFEST
            ) from problem
        self._refuse_newer(text)
        try:
            return Manifest.model_validate_json(text)
        except ValidationError as problem:
            first = problem.errors(include_url=False)[0]
            place = ".".join(map(str, first["loc"]))
            said = f"is no manifest of an archive: {place}: {first['msg']}; {_ANOTHER}"
            raise BadArchive(self.path, said, MANIFEST) from problem

    def _refuse_newer(self, text: bytes) -> None:
        try:
            said = json.loads(text)
        except (ValueError, RecursionError) as problem:
            raise BadArchive(self.path, f"is no JSON: {problem}; {_ANOTHER}", MANIFEST) from problem
        if not isinstance(said, dict) or said.get("format") != FORMAT:
            raise BadArchive(self.path, f"is not of an archive of this program; {_ANOTHER}", MANIFEST)
        version = said.get("format_version")
        if isinstance(version, int) and version > VERSION:
            mend = "install a version of the program that reads it"
            raise BadArchive(
                self.path, f"is of form {version}, newer than this program's {VERSION}; {mend}", MANIFEST
            )
