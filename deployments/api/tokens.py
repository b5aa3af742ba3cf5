"""Bearer tokens with a role. Only their SHA-256 is kept: a token has 256 random bits, so no salt is needed.

One token per line, `role:sha256`; what follows a `#` is a note. ITP_API_TOKENS names such a file, or holds
such entries itself, separated by commas. Without it the file `tokens` in the data directory is read.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from itp_events.errors import BadInput

Role = Literal["reader", "recorder", "investigator"]
# Each role may do what those before it may.
ROLES: tuple[Role, ...] = get_args(Role)
SETTING = "ITP_API_TOKENS"
FILE = "tokens"
_PREFIX = "itp_"
_HEX = frozenset("0123456789abcdef")


@dataclass(frozen=True, slots=True)
class Entry:
    """What is kept of one token."""

    role: Role
    digest: str

    def __str__(self) -> str:
        """The entry as it stands in a file."""
        return f"{self.role}:{self.digest}"


def includes(role: Role, needed: Role) -> bool:
    """Whether who has `role` may do what needs `needed`."""
    return ROLES.index(role) >= ROLES.index(needed)


def new_token(role: Role) -> tuple[str, Entry]:
    """A fresh token, and what is kept of it."""
    token = _PREFIX + secrets.token_urlsafe(32)
    return token, Entry(role, digest(token))


def digest(token: str) -> str:
    """The SHA-256 of a token, in hexadecimal."""
    return hashlib.sha256(token.encode()).hexdigest()


def read_entries(text: str, place: str) -> list[Entry]:
    """The entries of a file or of the setting.

    Raises:
        BadInput: a line that is no entry, by its number; the line itself is not repeated.
    """
    lines = enumerate(text.replace(",", "\n").splitlines(), 1)
    stated = ((number, line.partition("#")[0].strip()) for number, line in lines)
    return [_entry(line, f"{place}, entry {number}") for number, line in stated if line]


def _entry(line: str, place: str) -> Entry:
    role, _, hashed = line.partition(":")
    if role not in ROLES or len(hashed) != 64 or not _HEX.issuperset(hashed):
        raise BadInput(
            f"not an entry role:sha256 with a role of {', '.join(ROLES)}; make one with itp token new", place
        )
    return Entry(role, hashed)


@dataclass
class Tokens:
    """The tokens that count now. A file is read again when it has changed: no restart is needed."""

    inline: str | None = None
    file: Path | None = None
    _stamp: int | None = field(default=None, init=False)
    _entries: list[Entry] = field(default_factory=list, init=False)
    _needed: bool = field(default=False, init=False)

    @classmethod
    def from_setting(cls, value: str | None, data_dir: Path) -> Tokens:
        """The tokens that ITP_API_TOKENS gives, or the data directory's.

        Raises:
            BadInput: an entry that cannot be read, or a file that is not there.
        """
        tokens = cls(file=data_dir / FILE) if value is None else cls._named(value)
        tokens._needed = bool(tokens.entries())
        return tokens

    @classmethod
    def _named(cls, value: str) -> Tokens:
        if value.partition(":")[0] in ROLES:
            return cls(inline=value)
        if not Path(value).expanduser().is_file():
            raise BadInput(f"{value} is neither a file nor a list of role:sha256", SETTING)
        return cls(file=Path(value).expanduser())

    @property
    def configured(self) -> bool:
        """Whether any token counts, or has since the process began; without one only this machine is served.

        Taking the last token away, or losing the file, lets nobody in who needed one before.
        """
        self._needed = self._needed or bool(self.entries())
        return self._needed

    def role_of(self, token: str) -> Role | None:
        """The role of a token; None for one that is not known."""
        hashed = digest(token)
        found = [each.role for each in self.entries() if hmac.compare_digest(each.digest, hashed)]
        return found[0] if found else None

    def entries(self) -> list[Entry]:
        """What counts now."""
        if self.file is None:
            return read_entries(self.inline or "", SETTING)
        stamp = self.file.stat().st_mtime_ns if self.file.exists() else None
        if stamp != self._stamp:
            text = self.file.read_text(encoding="utf-8") if stamp else ""
            self._entries, self._stamp = read_entries(text, str(self.file)), stamp
        return self._entries

    def add(self, entry: Entry, note: str) -> Path:
        """Keep a token's entry in the file; where that is.

        Raises:
            BadInput: the tokens stand in the setting itself, which only its owner can change.
        """
        if self.file is None:
            raise BadInput(f"the tokens stand in the setting itself: add {entry} to it", SETTING)
        self.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(self.file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        with open(handle, "a", encoding="utf-8") as lines:
            lines.write(f"{entry}  # {note}\n")
        return self.file
