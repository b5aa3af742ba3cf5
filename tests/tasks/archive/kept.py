"""Archives for tests: made, compared, and forged as somebody might who knows their form."""

import json
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from tasks.archive.backup import Making, back_up
from tasks.archive.check import open_archive
from tasks.archive.contents import archived_tables, columns_of, key_of
from tasks.archive.form import DIGITS, MANIFEST, SEAL, Manifest, Program
from tasks.archive.protocols import installed_protocols
from tasks.archive.restore import restore
from tasks.archive.rows import Row, read_rows
from tasks.database.store import Store

AT = datetime(2026, 3, 1, 9, tzinfo=UTC)
PROGRAM = Program(name="itp-visits", version="test")
Files = dict[str, bytes]


def kept(store: Store, path: Path, identity: str = "0123456789abcdef", **options: Any) -> Manifest:
    """Write the study into an archive."""
    return back_up(store, installed_protocols(None), path, Making(identity, AT, "hand", PROGRAM), **options)


def brought_back(path: Path, url: str, at: datetime = AT) -> Manifest:
    """Check an archive, and restore it into a database."""
    with open_archive(path) as archive:
        archive.check()
        return restore(archive, url, at)


def stored(store: Store) -> dict[str, list[Row]]:
    """Every row that an archive holds, by table, in an order that is the same for both kinds of database."""
    with store.snapshot() as connection:
        found = {
            table.name: list(read_rows(connection, table.name, columns_of(table), key_of(table)))
            for table in archived_tables()
        }
    return {name: sorted(rows, key=lambda row: json.dumps(row)) for name, rows in found.items()}


def forged(path: Path, change: Callable[[Files, dict[str, Any]], object], *, honest: bool = True) -> Path:
    """A copy of an archive that `change` altered; an `honest` one has hashes and a seal that fit."""
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    manifest = json.loads(files.pop(MANIFEST))
    change(files, manifest)
    if honest:
        _count_again(files, manifest)
    copy = path.with_name(f"forged-{path.name}")
    with zipfile.ZipFile(copy, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
        archive.writestr(MANIFEST, json.dumps(manifest))
        archive.comment = SEAL + b"0" * DIGITS
    content = copy.read_bytes()[:-DIGITS]
    copy.write_bytes(content + sha256(content).hexdigest().encode())
    return copy


def _count_again(files: Files, manifest: dict[str, Any]) -> None:
    for member in (manifest["readme"], *manifest["tables"], *manifest["protocols"]):
        content = files[member["file"]]
        member |= {"bytes": len(content), "sha256": sha256(content).hexdigest()}
        if "rows" in member:
            member["rows"] = content.count(b"\n")


def drop_columns(files: Files, manifest: dict[str, Any], name: str, *columns: str) -> None:
    """Leave columns of a table out of an archive."""
    [table] = [each for each in manifest["tables"] if each["name"] == name]
    table["columns"] = [each for each in table["columns"] if each["name"] not in columns]
    rows = [json.loads(line) for line in files[table["file"]].splitlines()]
    kept_rows = ({part: row[part] for part in row if part not in columns} for row in rows)
    files[table["file"]] = b"".join(_line(row) for row in kept_rows)


def _line(row: dict[str, Any]) -> bytes:
    return json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def drop_tables(files: Files, manifest: dict[str, Any], *names: str) -> None:
    """Leave tables out of an archive."""
    manifest["tables"] = [table for table in manifest["tables"] if table["name"] not in names]
    for name in names:
        del files[f"tables/{name}.jsonl"]
