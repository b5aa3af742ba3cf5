"""Verification: reads the whole record at one instant, and finds every row that is not what was recorded.

It computes every hash anew: of each subject's chain of events, of the register and of the rows that it holds,
of the seals. It changes nothing, and needs no protocol: nothing of what a row says is understood.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from typing import Any

import sqlalchemy as sa
from cryptography.x509 import Certificate

from tasks.archive.contents import LEFT_OUT, columns_of, every_column_of, key_of
from tasks.archive.rows import Row, count_rows, read_rows
from tasks.database import registered_values
from tasks.database.register import BETWEEN, STANDING, TRIGGERS
from tasks.database.register import key_of as name_of
from tasks.database.schema import (
    REVISION,
    cards,
    chains,
    events,
    metadata,
    register,
    seal_stamps,
    seals,
    subjects,
)
from tasks.database.store import Store
from tasks.database.triggers import triggers_in
from tasks.hashing.rows import hash_of, text_hash
from tasks.integrity.chains import CHANGED, Chain
from tasks.integrity.facts import FACTS, Facts
from tasks.integrity.findings import Finding
from tasks.integrity.held import HeldSeal
from tasks.integrity.keeping import hash_of_all, is_whole
from tasks.integrity.sealing import Seal
from tasks.integrity.stamps import Stamp, flaw_in, instant_in
from tasks.integrity.values import values_findings

Progress = Callable[[int, int], object]
"""Takes the number of rows that are checked, and of all rows; it may raise to end the work."""

_GONE = "is missing, though the register has it"
_UNKNOWN = "was not written by the service"
_VERSION = sa.text("SELECT version_num FROM alembic_version")
_TELL_EVERY = 200


@dataclass(frozen=True)
class Report:
    """The findings of a verification; `record` is the hash of the ends of all subjects' logs.

    `seal` is the newest seal, and `stamp` the newest time-stamp of one.
    """

    findings: tuple[Finding, ...]
    rows: int = 0
    subjects: int = 0
    events: int = 0
    record: str = ""
    seal: Seal | None = None
    stamp: Stamp | None = None


def verify(
    store: Store,
    progress: Progress | None = None,
    held: Sequence[HeldSeal] = (),
    roots: Sequence[Certificate] = (),
) -> Report:
    """Check the whole record at one instant, and against seals that somebody holds; the service may run.

    `roots` are the certificates that have to vouch for time-stamps; without any, their signatures are not
    looked at.
    """
    with store.snapshot() as connection:
        return verify_in(connection, progress, held, roots)


def verify_in(
    connection: sa.Connection,
    progress: Progress | None = None,
    held: Sequence[HeldSeal] = (),
    roots: Sequence[Certificate] = (),
) -> Report:
    """`verify` within a transaction, which must see the record at one instant."""
    with _as_bytes_allow(connection):
        if wrong := list(_revision(connection)):
            return Report(tuple(wrong))
        return _Verification(connection, progress, held, roots).report()


@contextmanager
def _as_bytes_allow(connection: sa.Connection) -> Iterator[None]:
    """Let SQLite give a text that is damaged, and not end the reading."""
    if connection.dialect.name != "sqlite":
        yield
        return
    driver: Any = connection.connection.dbapi_connection
    before, driver.text_factory = driver.text_factory, lambda raw: raw.decode("utf-8", "surrogateescape")
    try:
        yield
    finally:
        driver.text_factory = before


def _revision(connection: sa.Connection) -> Iterator[Finding]:
    there = set(sa.inspect(connection).get_table_names())
    if "alembic_version" not in there:
        yield Finding("alembic_version", "", "is missing")
        return
    stands = list(connection.scalars(_VERSION))
    if stands != [REVISION]:
        said = f"says {', '.join(map(str, stands)) or 'nothing'}, and this program's tables are of {REVISION}"
        yield Finding("alembic_version", "", f"{said}: start this version's service once, or it was changed")
        return
    for name in sorted(metadata.tables.keys() - there):
        yield Finding(name, "", "the table is missing")


@dataclass
class _Lines:
    """The register, read: of each row the last line that is about it."""

    last: dict[tuple[str, str], tuple[str, str | None]] = field(default_factory=dict)
    heads: dict[int, str] = field(default_factory=dict)

    def take(self, row: Row) -> Row:
        """Note a line, and hand it on."""
        about, key, what = str(row["about"]), str(row["key"]), str(row["what"])
        self.heads[row["number"]] = str(row["hash"])  # type: ignore[index]
        if what == "restored":
            self.last = {of: line for of, line in self.last.items() if not _stayed(*of)}
        self.last[about, key] = (what, row["row_hash"])  # type: ignore[assignment]
        return row

    def about(self, table: str) -> dict[str, tuple[str, str | None]]:
        """The last line about each row of a table, by the row's key."""
        return {key: line for (about, key), line in self.last.items() if about == table}


def _stayed(table: str, key: str) -> bool:
    """Whether a row, or a value, stayed in the database that was archived."""
    return table in LEFT_OUT or f"{table}.{key.rpartition(BETWEEN)[2]}" in LEFT_OUT


class _Copies:
    """The rows of a table that may repeat others: new ones, and those that the register has."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._registered: set[object] = set()
        self._new: dict[str, object] = {}

    def note(self, key: str, row: Row, *, registered: bool) -> None:
        """Note a row, which the register has or has not."""
        if not self._facts.may_be_copied:
            return
        if registered:
            self._registered.add(row["hash"])
        else:
            self._new[key] = row["hash"]

    def findings(self) -> Iterator[Finding]:
        """The new rows that say the same as one that the register has."""
        for key, digest in self._new.items():
            if digest in self._registered:
                yield Finding(self._facts.name, key, "is a copy of another row")


class _Verification:
    """A verification that is being done."""

    def __init__(
        self,
        connection: sa.Connection,
        progress: Progress | None,
        held: Sequence[HeldSeal],
        roots: Sequence[Certificate],
    ) -> None:
        self._connection = connection
        self._held = {each.number: each.hash for each in held}
        self._roots = roots
        self._progress = progress
        self._done = self._total = 0
        self._found: list[Finding] = []
        self._lines = _Lines()
        self._ends: dict[str, tuple[int, str]] = {}
        # By the code of a subject, the hashes that its events must have: the number of the seal, by seq.
        self._sealed: dict[str, dict[int, tuple[str, int]]] = {}
        self._issued: dict[str, set[str]] = {}
        self._seal: Seal | None = None
        self._seal_hashes: dict[Any, str] = {}
        self._stamp: Stamp | None = None

    def report(self) -> Report:
        """Check everything, each table once."""
        tables = (*registered_values.TABLES, events, subjects, register, seals, cards)
        names = [*(each.name for each in FACTS), *(each.name for each in tables)]
        self._total = sum(count_rows(self._connection, name) for name in names)
        self._take(self._register())
        self._take(self._triggers())
        self._take(self._seals())
        self._take(self._logs())
        for facts in FACTS:
            self._take(self._rows_of(facts))
        self._take(self._stamps())
        for table in registered_values.TABLES:
            self._take(values_findings(table, self._read(table), self._lines.about(table.name)))
        self._take(self._cards())
        self._take(self._hand_overs())
        count = sum(seq for seq, _ in self._ends.values())
        told = "".join(f"{code} {seq} {head}\n" for code, (seq, head) in sorted(self._ends.items()))
        return Report(
            tuple(self._found), self._done, len(self._ends), count, text_hash(told), self._seal, self._stamp
        )

    def _take(self, findings: Iterator[Finding]) -> None:
        self._found.extend(findings)

    def _read(self, table: sa.Table) -> Iterator[Row]:
        """The rows of a table as they are stored, in the order of their key."""
        columns = every_column_of(table) if table in registered_values.TABLES else columns_of(table)
        for row in read_rows(self._connection, table.name, columns, key_of(table)):
            self._count()
            yield row

    def _count(self) -> None:
        self._done += 1
        if self._progress and self._done % _TELL_EVERY == 0:
            self._progress(self._done, max(self._total, self._done))

    # The two chains of the whole study

    def _register(self) -> Iterator[Finding]:
        chain = Chain(register.name, "number")
        for row, said in chain.check(map(self._lines.take, self._read(register))):
            yield Finding(register.name, row, said)
        yield from self._end(chain, self._lines.heads)

    def _end(self, chain: Chain, heads: Mapping[int, str]) -> Iterator[Finding]:
        query = sa.select(chains.c.number, chains.c.head).where(chains.c.name == chain.table)
        end = self._connection.execute(query).one_or_none()
        if end is None:
            yield Finding(chains.name, chain.table, "is missing")
        elif (end.number == chain.last) != (end.head == chain.head) or (
            end.number < chain.last and heads.get(end.number) != end.head
        ):
            yield Finding(chains.name, chain.table, "is not the end of its chain")
        elif isinstance(end.number, int) and end.number > chain.last:
            for nth, said in chain.missing(end.number + 1):
                yield Finding(chain.table, nth, said)
        elif end.number != chain.last:
            yield Finding(chain.table, f"row {chain.last}", _UNKNOWN)

    def _seals(self) -> Iterator[Finding]:
        chain, heads = Chain(seals.name, "number"), self._seal_hashes
        for row in self._read(seals):
            number = row["number"]
            if number != chain.last + 1:
                for nth, said in chain.missing(number):
                    yield Finding(seals.name, nth, said)
            elif not self._is_whole(row, chain.head):
                yield Finding(seals.name, f"row {number}", CHANGED)
            else:
                self._note(row)
            if self._held.pop(number, row["hash"]) != row["hash"]:  # type: ignore[arg-type]
                yield Finding(seals.name, f"row {number}", "is not the seal that was kept elsewhere")
            chain.last = number if isinstance(number, int) else chain.last + 1
            chain.head = heads[number] = str(row["hash"])
        for number in sorted(self._held):
            yield Finding(seals.name, f"row {number}", "is missing: it was kept elsewhere")
        yield from self._end(chain, heads)
        others = sa.select(chains.c.name).where(chains.c.name.not_in((register.name, seals.name)))
        for name in self._connection.scalars(others):
            yield Finding(chains.name, str(name), _UNKNOWN)

    def _stamps(self) -> Iterator[Finding]:
        for row in read_rows(self._connection, seal_stamps.name, columns_of(seal_stamps), ("seal",)):
            number, token = row["seal"], str(row["token"])
            flaw = flaw_in(token, self._seal_hashes.get(number), self._roots)
            if flaw is None:
                self._stamp = Stamp(int(str(number)), instant_in(token))
            else:
                yield Finding(seal_stamps.name, str(number), flaw)

    def _is_whole(self, row: Row, before: str) -> bool:
        """Whether a seal says what its hash is of, and follows the one before."""
        line, heads = str(row["line"]), str(row["heads"])
        if text_hash(line) != row["hash"]:
            return False
        said = json.loads(line)
        return bool(
            (said["seal"], said["at"], said["previous"], said["heads"])
            == (row["number"], row["at"], before, text_hash(heads))
        )

    def _note(self, row: Row) -> None:
        """Remember what a whole seal binds; what the register was is compared at once."""
        number, said = int(str(row["number"])), json.loads(str(row["line"]))
        self._seal = Seal(number, datetime.fromisoformat(str(row["at"])), str(row["hash"]))
        for code, (seq, head) in json.loads(str(row["heads"])).items():
            self._sealed.setdefault(code, {})[seq] = (head, number)
        of = said["register"]
        if of["lines"] and self._lines.heads.get(of["lines"]) != of["head"]:
            about = f"row {of['lines']}"
            self._found.append(Finding(register.name, about, f"is not the one that seal {number} binds"))

    def _triggers(self) -> Iterator[Finding]:
        there = triggers_in(self._connection)
        kind = f"{self._connection.dialect.name}:"
        known = {
            key: row_hash
            for key, (what, row_hash) in self._lines.about(TRIGGERS).items()
            if key.startswith(kind) and what in STANDING
        }
        for key in sorted(known.keys() | there.keys()):
            name = key.removeprefix(kind)
            if key not in there:
                yield Finding(TRIGGERS, name, "is missing")
            elif key not in known:
                yield Finding(TRIGGERS, name, "was not made by the service")
            elif there[key] != known[key]:
                yield Finding(TRIGGERS, name, "is not as the service made it")

    # The subjects and their logs

    def _logs(self) -> Iterator[Finding]:
        rows = {str(row["code"]): row for row in self._read(subjects)}
        for code, logged in groupby(self._read(events), itemgetter("subject")):
            chain = Chain(events.name, "seq")
            for nth, said in chain.check(self._events(str(code), logged)):
                yield Finding(events.name, nth, said, str(code))
            self._ends[str(code)] = (chain.last, chain.head)
            yield from self._subject(str(code), rows.pop(str(code), None), chain)
        for code, row in rows.items():
            yield from self._subject(code, row, Chain(events.name, "seq"))
        for code, sealed in sorted(self._sealed.items()):
            for seq, (_, number) in sorted(sealed.items()):
                said = f"is not the one that seal {number} binds"
                yield Finding(events.name, f"row {seq}", said, code)

    def _events(self, code: str, rows: Iterator[Row]) -> Iterator[Row]:
        """A subject's events, noted for the checks that come later."""
        sealed = self._sealed.get(code, {})
        for row in rows:
            if row["type"] == "itp.notice.issued":
                self._issued.setdefault(code, set()).add(_notice_in(row))
            if row["seq"] in sealed and sealed[row["seq"]][0] == row["hash"]:  # type: ignore[index]
                del sealed[row["seq"]]  # type: ignore[arg-type]
            yield row

    def _subject(self, code: str, row: Row | None, chain: Chain) -> Iterator[Finding]:
        if row is None:
            yield Finding(subjects.name, code, "is missing, though its events are there", code)
            return
        said = {name: value for name, value in row.items() if name != "hash"}
        whole = row["hash"] == hash_of(subjects.name, said)
        if not whole:
            yield Finding(subjects.name, code, CHANGED, code)
        seq = row["seq"]
        if isinstance(seq, int) and seq > chain.last:
            for nth, missing in chain.missing(seq + 1):
                yield Finding(events.name, nth, missing, code)
        elif whole and isinstance(seq, int) and seq < chain.last:
            yield Finding(events.name, f"row {chain.last}", _UNKNOWN, code)
        elif whole and row["head"] != chain.head:
            yield Finding(events.name, f"row {chain.last}", "is not the end of this log", code)

    def _cards(self) -> Iterator[Finding]:
        """Look at what the board shows; a card that is not there is made anew by the service."""
        for row in self._read(cards):
            if row["hash"] != hash_of(cards.name, {name: row[name] for name in cards.c.hash.info["made"]}):
                yield Finding(cards.name, str(row["subject"]), CHANGED, str(row["subject"]))

    # The rows that the register holds

    def _rows_of(self, facts: Facts) -> Iterator[Finding]:
        known, copies = self._lines.about(facts.name), _Copies(facts)
        notices: dict[str, set[str]] = {}
        for row in read_rows(self._connection, facts.name, facts.columns, facts.key):
            self._count()
            key, subject = name_of(*(row[name] for name in facts.key)), _subject_of(facts, row)
            if subject is not None:
                notices.setdefault(subject, set()).add(key)
            line = known.pop(key, None)
            copies.note(key, row, registered=line is not None)
            for said in _flaws(facts, row, line):
                yield Finding(facts.name, key, said, subject)
        yield from copies.findings()
        gone = (key for key, (what, _) in sorted(known.items()) if what != "gone")
        yield from (Finding(facts.name, key, _GONE) for key in gone)
        if facts.name == "notices":
            yield from self._decided(notices)

    def _decided(self, there: dict[str, set[str]]) -> Iterator[Finding]:
        """Compare the notices of subjects with the decisions in the log: each was decided there."""
        for code in sorted(there.keys() | self._issued.keys()):
            decided, stands = self._issued.get(code, set()), there.get(code, set())
            for key in sorted(decided - stands):
                if ("notices", key) not in self._lines.last:
                    yield Finding("notices", key, "is missing, though the log decided it", code)
            for key in sorted(stands - decided):
                yield Finding("notices", key, "was never decided in the log", code)

    def _hand_overs(self) -> Iterator[Finding]:
        """Compare deliveries with notices and attempts, which refer to each other."""
        for row in self._connection.execute(_ORPHANS):
            yield Finding(row.table, row.key, "refers to a row that is missing")
        for row in self._connection.execute(_COUNTS):
            said = f"counts {row.said} sends, and attempts has {row.there}"
            yield Finding("deliveries", str(row.id), said)


def _flaws(facts: Facts, row: Row, line: tuple[str, str | None] | None) -> Iterator[str]:
    """The flaws of a row, given the last line of the register about it."""
    if not is_whole(facts, row):
        yield CHANGED
    elif line is not None and line[0] in STANDING and hash_of_all(facts, row) != line[1]:
        yield "was changed after it was settled"
    elif line is not None and line[0] == "made" and row["hash"] != line[1]:
        yield CHANGED
    elif line is not None and line[0] == "gone":
        yield "is there again, though the service removed it"


def _subject_of(facts: Facts, row: Row) -> str | None:
    code = row.get("subject") if "subject" in facts.table.c else None
    return None if code is None else str(code)


def _notice_in(row: Row) -> str:
    """The key of the notice that an event issues; of a damaged event nothing."""
    try:
        key: str = json.loads(str(row["body"]))["data"]["notice"]
    except (ValueError, KeyError, TypeError):
        return ""
    return key


_ORPHANS = sa.text(
    "SELECT 'attempts' AS \"table\", CAST(a.delivery AS TEXT) || ' ' || CAST(a.number AS TEXT) AS key "
    "FROM attempts a WHERE NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.id = a.delivery) "
    "UNION ALL SELECT 'deliveries', CAST(d.id AS TEXT) FROM deliveries d "
    "WHERE NOT EXISTS (SELECT 1 FROM notices n WHERE n.key = d.notice) "
    "UNION ALL SELECT 'notices', n.key FROM notices n WHERE n.handed_at IS NOT NULL "
    "AND NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.notice = n.key)"
)
_COUNTS = sa.text(
    "SELECT d.id, d.attempts AS said, count(a.number) AS there FROM deliveries d "
    "LEFT JOIN attempts a ON a.delivery = d.id GROUP BY d.id, d.attempts HAVING d.attempts <> count(a.number)"
)
