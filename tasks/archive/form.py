"""The form of an archive: a ZIP file of JSON Lines, a manifest, the protocol files and a README.

Its last 64 bytes are the SHA-256 of all bytes before them, in the ZIP file's own comment. So any change of
any byte is found, and every program that reads ZIP files reads an archive.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from itp_events.errors import BadInput

FORMAT = "itp-visits archive"
VERSION = 1
MANIFEST = "manifest.json"
README = "README.txt"
TABLES = "tables"
PROTOCOLS = "protocols"
# Before the hash, in the comment of the ZIP file.
SEAL = b"itp-visits archive; SHA-256 of all bytes before this one: "
DIGITS = 64

Kind = Literal["text", "instant", "integer", "boolean", "date", "json"]
MadeBy = Literal["hand", "schedule", "move"]
Cell = str | int | float | bool | None


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Column(_Part):
    """A column of a table; `json` is JSON as text, an instant is UTC text of one width."""

    name: str
    kind: Kind


class Member(_Part):
    """A file in the archive."""

    file: str
    bytes: int
    sha256: str


class Table(Member):
    """A table as JSON Lines: one object for each row, with every column."""

    name: str
    rows: int
    key: tuple[str, ...]
    columns: tuple[Column, ...]


class ProtocolFile(Member):
    """A protocol file as it was installed; `subjects` counts those who are pinned to its version."""

    id: str
    version: str
    subjects: int


class Program(_Part):
    """The program that wrote the archive."""

    name: str
    version: str


class Database(_Part):
    """The database that the archive was made from."""

    kind: str
    revision: str


class Manifest(_Part):
    """All that an archive holds, and where it came from. `made_at` is by the machine's clock."""

    format: str
    format_version: int
    id: str
    made_at: datetime
    made_by: MadeBy
    program: Program
    database: Database
    readme: Member
    tables: tuple[Table, ...]
    protocols: tuple[ProtocolFile, ...]
    # Versions that subjects are pinned to, and that are not installed.
    missing_protocols: tuple[str, ...] = ()
    left_out: Mapping[str, str]

    @property
    def rows(self) -> int:
        """The number of rows in all tables."""
        return sum(table.rows for table in self.tables)

    def count(self, name: str) -> int:
        """The number of rows of a table; 0 when the archive has none of this name."""
        return sum(table.rows for table in self.tables if table.name == name)

    @property
    def members(self) -> Sequence[Member]:
        """The files of the archive, its manifest aside."""
        return (self.readme, *self.tables, *self.protocols)


class BadArchive(BadInput):
    """An archive that is refused; the error names the file, the member and the line."""

    def __init__(self, file: Path, problem: str, member: str = "", line: int | None = None) -> None:
        place = [str(file), member] if member else [str(file)]
        place += [f"line {line}"] if line else []
        super().__init__(_one_line(problem), _one_line(", ".join(place)))


def _one_line(text: str) -> str:
    """The text with a question mark for each letter that cannot be shown: a damaged name may hold any."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


README_TEXT = """\
This is the whole record of a clinical trial's visits, written by the program itp-visits.
It can be read without that program. It is an ordinary ZIP file of UTF-8 text.

manifest.json   Where the archive comes from, and for each file here its length in bytes and its SHA-256.
                For each table: the number of rows, the key, and each column with its kind.
tables/         One file for each table of the database, as JSON Lines: each line is one JSON object,
                one row of the table, with all its columns. null is an empty cell.
protocols/      The protocol files (YAML) that the study was run by. The SHA-256 in the manifest is a
                protocol's fingerprint. tables/subjects.jsonl names each subject's version.

Kinds of columns
  text, integer, boolean   as they are
  instant                  UTC, as 2026-01-12T02:20:00.000000Z
  date                     the date at the site, as 2026-01-12
  json                     JSON as text: what was stored, letter for letter

The tables
  events             What was stated, and what the service decided: the record itself. One row per event in
                     each subject's log, numbered by seq from 1. body is a CloudEvent (cloudevents.io, version
                     1.0) as JSON text. Nothing in it was ever changed; a correction is an event of its own
                     (itp.event.voided). source "itp" marks the service's own decisions. actor is the account
                     that was signed in (os:NAME: a user of the machine; null with a door: nobody was), door
                     the way by which it came in; both are null where an early version did not note them.
  subjects           One row per subject: its code, site, protocol version, and where it stood.
  screening_log      Enrolments that were refused, with the criteria that were not met.
  notices            Each message that was decided, and what became of it; title and body are its text.
  deliveries         One row per notice and recipient; attempts: one row per send, with its outcome.
                     An outcome that is null was not known yet when the archive was written. person is the
                     person on duty whose recipient it was; null: everybody of the audience was told.
  duty_changes       What was stated about who is on duty, and who stands in for whom: nothing in it was ever
                     changed; a void takes the change of that number back.
  accounts           The people and programs who could ask and state: code, name, role, sites.
  account_log        Every change of an account: when, by whom, through which door, about whom.
  signatures         Who signed which event (source, id) or review (statement), in which words, when.
                     digest is the SHA-256 of what was signed, as it is stored: an event's body.
  sign_ins           Every attempt to sign in to the pages.
  tokens             Whose tokens there were. digest is a token's SHA-256: no token can be made from it. In a
                     restored study those that were not revoked by then count again.
  protocol_files     The protocol files by which the service has run, each with its SHA-256.
  register           The hash of each row of the other tables, once that row may change no more.
  seals              One line an hour that binds the ends of all chains.
  service_log        Events that a door refused, exports and backups, with who asked.
  seal_stamps        What a time-stamping authority (RFC 3161) answered for a seal, in base64.
  chains             The ends of the chains of register and seals.
  recipients, outages, repairs, troubles, leftovers, redcap_*
                     What the service kept beside the record. left_out in the manifest says what is not here.

Is it whole?
  The last 64 letters of the ZIP file are the SHA-256 of all bytes before them:
    head -c -64 FILE | sha256sum; tail -c 64 FILE

Was a row changed?
  hash in events is the SHA-256 of three lines: the table's name, the hash of the row before it (empty for a
  subject's first event), and the row as JSON: its columns without hash and without nulls, sorted by name,
  without spaces, letters as they are. So each event holds all before it, and head in subjects is the last
  one's. register and seals are chains in the same way; hash in the other tables is of the columns that a row
  has from its beginning on. itp verify looks at all of it.

Reading it, in Python:
    import json, zipfile
    archive = zipfile.ZipFile(FILE)
    for line in archive.open("tables/events.jsonl"):
        row = json.loads(line)
        event = json.loads(row["body"])
        print(row["subject"], row["seq"], event["type"], event["data"])

Restoring it into an empty database, with the program: itp restore FILE

Not in this archive, because they are secrets: the passwords of accounts and their second factors, secret.key,
.env, the Apprise configuration, the file tokens. Keep copies of the files apart from it.
"""
