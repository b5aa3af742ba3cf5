"""Seals: one line an hour, while there is something new, that binds the ends of all chains.

A seal's line names the hash of the seal before it. So whoever keeps one line outside can show later that
nothing before it was changed, even by somebody who can compute every hash anew.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from tasks.database import register
from tasks.database.migrate import revision_of
from tasks.database.schema import chains, instant_text, protocol_files, seals, subjects
from tasks.database.store import Store
from tasks.hashing.rows import text_hash


@dataclass(frozen=True, slots=True)
class Seal:
    """A seal: its number from 1, the machine's instant (UTC) at which it was made, and its hash."""

    number: int
    at: datetime
    hash: str

    @property
    def told(self) -> str:
        """The seal as one line to be kept outside; `itp verify --seal` finds it in any text."""
        return f"seal {self.number} of {instant_text(self.at)}: {self.hash}"


Heads = Mapping[str, tuple[int, str]]
"""The ends of subjects' logs: by code the number of the last event, and its hash."""


def seal(store: Store, at: datetime) -> Seal | None:
    """Make a seal, and return it; None when nothing is new since the last one."""
    return store.write(lambda connection: _seal(connection, at))


def _seal(connection: sa.Connection, at: datetime) -> Seal | None:
    number, before = register.lock(connection, seals.name)
    lines, head = register.lock(connection)
    logs = _logs(connection)
    new = _new(logs, _sealed(connection))
    if not new and _register_of(connection, number) == head:
        return None
    heads = json.dumps(new, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    said = {
        "seal": number + 1,
        "at": instant_text(at),
        "previous": before,
        "subjects": len(logs),
        "events": sum(seq for seq, _ in logs.values()),
        "heads": text_hash(heads),
        "register": {"lines": lines, "head": head},
        "protocols": _protocols(connection),
        "revision": revision_of(connection),
    }
    line = json.dumps(said, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    made = Seal(number + 1, at, text_hash(line))
    row = {"number": made.number, "at": at, "line": line, "heads": heads, "hash": made.hash}
    connection.execute(seals.insert(), row)
    end = {"number": made.number, "head": made.hash}
    connection.execute(chains.update().where(chains.c.name == seals.name).values(end))
    return made


def _logs(connection: sa.Connection) -> dict[str, tuple[int, str]]:
    query = sa.select(subjects.c.code, subjects.c.seq, subjects.c.head).order_by(subjects.c.code)
    return {row.code: (row.seq, row.head or "") for row in connection.execute(query)}


def _sealed(connection: sa.Connection) -> dict[str, tuple[int, str]]:
    """The ends of the logs as they were sealed last."""
    found: dict[str, tuple[int, str]] = {}
    for heads in connection.scalars(sa.select(seals.c.heads).order_by(seals.c.number)):
        found |= {code: (seq, head) for code, (seq, head) in json.loads(heads).items()}
    return found


def _new(logs: Heads, sealed: Heads) -> dict[str, tuple[int, str]]:
    return {code: end for code, end in logs.items() if sealed.get(code) != end}


def _register_of(connection: sa.Connection, number: int) -> str | None:
    """The end of the register as a seal has it; None when there is no such seal."""
    line = connection.scalar(sa.select(seals.c.line).where(seals.c.number == number))
    if line is None:
        return None
    head: str = json.loads(line)["register"]["head"]
    return head


def _protocols(connection: sa.Connection) -> dict[str, str]:
    query = sa.select(protocol_files.c.id, protocol_files.c.version, protocol_files.c.sha256)
    return {f"{row.id} {row.version}": row.sha256 for row in connection.execute(query)}


def newest_seal(connection: sa.Connection) -> Seal | None:
    """The newest seal; None before the first."""
    columns = (seals.c.number, seals.c.at, seals.c.hash)
    row = connection.execute(sa.select(*columns).order_by(seals.c.number.desc()).limit(1)).one_or_none()
    return None if row is None else Seal(*row)
