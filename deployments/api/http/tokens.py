"""Tokens that are known by a role alone, in a file or a setting, as earlier versions kept all of them.

The service takes each over as a token of an account (`tasks.accounts.tokens`); from then on the entry says no
more than that the token still counts: its account has the role. Only the SHA-256 of a token is kept.

A file of tokens has one entry a line, `role:sha256`; a note may follow a `#`. ITP_API_TOKENS names such a
file, or holds such entries itself, separated by commas. Without it the file `tokens` in the data directory is
read.
"""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Literal, get_args

from deployments.bootstrap.data_dir import writable
from itp_events.errors import BadInput
from tasks.accounts.tokens import digest, make

Role = Literal["reader", "recorder", "investigator"]
# Each role includes the roles before it.
ROLES: tuple[Role, ...] = get_args(Role)
SETTING = "ITP_API_TOKENS"
FILE = "tokens"
_HEX = frozenset("0123456789abcdef")


@dataclass(frozen=True, slots=True)
class Entry:
    """One token as it is kept: its role, its SHA-256 in hexadecimal, and the note that says whose it is."""

    role: Role
    digest: str
    note: str = field(default="", compare=False)

    def __str__(self) -> str:
        """The entry as it stands in a file."""
        return f"{self.role}:{self.digest}"


def new_token(role: Role) -> tuple[str, Entry]:
    """A fresh token, and the entry that is kept of it."""
    token = make()
    return token, Entry(role, digest(token))


def read_entries(lines: Iterable[str], place: str) -> list[Entry]:
    """The entries of a file's lines or of the setting's parts.

    Raises:
        BadInput: a line that is no entry, by its number; the line itself is not repeated.
    """
    stated = ((number, *line.partition("#")[::2]) for number, line in enumerate(lines, 1))
    return [
        _entry(line.strip(), note, f"{place}, entry {number}")
        for number, line, note in stated
        if line.strip()
    ]


def one_line(note: str) -> str:
    """A note that cannot be taken for another entry: on one line, without control characters."""
    return "".join(letter if letter.isprintable() else " " for letter in " ".join(note.split()))


def _entry(line: str, note: str, place: str) -> Entry:
    role, _, hashed = line.partition(":")
    if role not in ROLES or len(hashed) != 64 or not _HEX.issuperset(hashed):
        raise BadInput(
            f"not an entry role:sha256 with a role of {', '.join(ROLES)}; make one with itp token new", place
        )
    return Entry(role, hashed, one_line(note))


@dataclass
class Tokens:
    """The tokens that count now. A file is read again when it has changed: no restart is needed."""

    inline: str | None = None
    file: Path | None = None
    _stamp: tuple[int, ...] | None = field(default=None, init=False)
    _entries: list[Entry] = field(default_factory=list, init=False)

    @classmethod
    def from_setting(cls, value: str, data_dir: Path) -> Tokens:
        """The tokens that ITP_API_TOKENS gives, or the data directory's when it is empty.

        Raises:
            BadInput: an entry that cannot be read, or a file that is not there.
        """
        tokens = cls(file=data_dir / FILE) if not value else cls._named(value)
        tokens.entries()
        return tokens

    @classmethod
    def _named(cls, value: str) -> Tokens:
        if value.partition(":")[0] in ROLES:
            return cls(inline=value)
        if not os.path.isfile(Path(value).expanduser()):
            # The value is not repeated: it may be a token itself.
            raise BadInput("it names no file and is no list of role:sha256", SETTING)
        return cls(file=Path(value).expanduser())

    def holds(self, hashed: str) -> bool:
        """Whether the token of this SHA-256 still has an entry; raises what `entries` raises."""
        return any(each.digest == hashed for each in self.entries())

    def role_of(self, token: str) -> Role | None:
        """The role in a token's entry; None for a token without one."""
        hashed = digest(token)
        return next((each.role for each in self.entries() if each.digest == hashed), None)

    def entries(self) -> list[Entry]:
        """The entries that count now.

        Raises:
            BadInput: an entry that cannot be read, or a file that anybody may write to.
        """
        if self.file is None:
            return read_entries((self.inline or "").replace(",", "\n").splitlines(), SETTING)
        stamp = _stamp(self.file)
        if stamp != self._stamp:
            self._entries, self._stamp = (_read(self.file) if stamp else []), stamp
        return self._entries

    def add(self, entry: Entry, note: str) -> Path:
        """Keep a token's entry in the file; where that is.

        Raises:
            BadInput: the tokens stand in the setting itself, which only its owner can change.
        """
        if self.file is None:
            raise BadInput(f"the tokens stand in the setting itself: add {entry} to it", SETTING)
        writable(self.file.parent)
        handle = os.open(self.file, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        with open(handle, "r+b", buffering=0) as lines:
            # Two programs that add a token at once write one after the other.
            fcntl.flock(lines, fcntl.LOCK_EX)
            lines.write(f"{_line_break(lines)}{entry}  # {one_line(note)}\n".encode())
        return self.file


def _line_break(lines: BinaryIO) -> str:
    """The line break that a last line lacks; empty when it has one."""
    size = lines.seek(0, os.SEEK_END)
    if not size:
        return ""
    lines.seek(size - 1)
    return "" if lines.read(1) == b"\n" else "\n"


def _stamp(file: Path) -> tuple[int, ...] | None:
    """Values that change whenever the file does, also when a copy keeps its time; None without a file."""
    try:
        state = file.stat()
    except FileNotFoundError:
        return None
    return state.st_mtime_ns, state.st_ctime_ns, state.st_size, state.st_ino, state.st_mode


def _read(file: Path) -> list[Entry]:
    if file.stat().st_mode & stat.S_IWOTH:
        raise BadInput(f"anybody on this machine may write to it: chmod 600 {file}", str(file))
    # An entry is ASCII; a note may be in any encoding.
    return read_entries(file.read_text(encoding="utf-8-sig", errors="replace").split("\n"), str(file))
