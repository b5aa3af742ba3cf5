"""An archive holds the whole study at one instant, and any program can read it."""

import json
import random
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import pytest
import sqlalchemy as sa

from itp_events.errors import BadInput
from itp_events.protocol.file import BUILT_IN
from tasks.archive.check import open_archive
from tasks.archive.contents import LEFT_OUT, archived_tables
from tasks.archive.form import BadArchive
from tasks.database.queries import all_subjects, stored_lines
from tasks.database.schema import metadata, repairs
from tests.support.study import Study
from tests.tasks.archive.kept import AT, Files, forged, kept
from tests.tasks.desk import Desk

pytestmark = pytest.mark.requirement("BAK-01")

READ = """
import json, sys, zipfile
archive = zipfile.ZipFile(sys.argv[1])
for line in archive.open("tables/events.jsonl"):
    row = json.loads(line)
    print(json.dumps([row["subject"], row["seq"], json.loads(row["body"])]))
"""


def test_each_event_is_found_without_this_program(lived: Desk, archive: Path) -> None:
    said = subprocess.run(
        [sys.executable, "-I", "-c", READ, archive], capture_output=True, text=True, check=True
    )
    found = [json.loads(line) for line in said.stdout.splitlines()]
    assert found == [
        [row.code, line.seq, json.loads(line.body)]
        for row in all_subjects(lived.store)
        for line in stored_lines(lived.store, row.code)
    ]


def test_its_readme_explains_every_table_and_shows_how_to_read_it(archive: Path) -> None:
    with zipfile.ZipFile(archive) as zipped:
        readme = zipped.read("README.txt").decode()
        tables = [name[7:-6] for name in zipped.namelist() if name.startswith("tables/")]
    assert tables == [table.name for table in archived_tables()]
    for name in tables:
        assert name in readme or (name.startswith("redcap_") and "redcap_*" in readme)
    assert READ.splitlines()[-1].strip().startswith("print")
    assert 'json.loads(row["body"])' in readme


def test_the_manifest_names_the_protocol_by_its_fingerprint(lived: Desk, archive: Path) -> None:
    with open_archive(archive) as opened, zipfile.ZipFile(archive) as zipped:
        [protocol] = opened.manifest.protocols
        assert zipped.read(protocol.file) == BUILT_IN.read_bytes()
        assert (protocol.version, protocol.subjects) == ("1", 2)
        assert opened.manifest.missing_protocols == ()


def test_a_table_or_column_that_stays_out_is_one_that_there_is() -> None:
    for name in LEFT_OUT:
        table, _, column = name.partition(".")
        assert not column or column in metadata.tables[table].columns
        assert table in metadata.tables


def test_nothing_secret_goes_in(lived: Desk, archive: Path) -> None:
    with zipfile.ZipFile(archive) as zipped:
        folders = {name.partition("/")[0] for name in zipped.namelist()}
    assert folders == {"README.txt", "manifest.json", "tables", "protocols"}


def test_only_its_owner_may_read_it(archive: Path) -> None:
    assert oct(archive.stat().st_mode & 0o777) == "0o600"


def test_a_file_that_is_there_is_replaced_only_when_it_is_said(lived: Desk, archive: Path) -> None:
    before = archive.read_bytes()
    with pytest.raises(
        BadInput, match=r"kept.zip is there already; name another, or replace it with --force"
    ):
        kept(lived.store, archive, "f" * 16)
    assert archive.read_bytes() == before
    kept(lived.store, archive, "f" * 16, replace=True)
    with open_archive(archive) as opened:
        assert opened.manifest.id == "f" * 16


@pytest.mark.parametrize("replace", [True, False])
def test_it_does_not_go_through_a_symbolic_link(lived: Desk, tmp_path: Path, replace: bool) -> None:
    (tmp_path / "there").write_text("mine")
    (tmp_path / "link.zip").symlink_to(tmp_path / "there")
    with pytest.raises(BadInput, match="is a symbolic link; name the file itself"):
        kept(lived.store, tmp_path / "link.zip", replace=replace)
    assert (tmp_path / "there").read_text() == "mine"


def test_a_write_that_fails_leaves_nothing(lived: Desk, tmp_path: Path) -> None:
    def full(done: int, total: int) -> None:
        raise OSError(28, "No space left on device")

    with lived.store.writing() as connection:
        row = {"what": "put back", "at": AT}
        connection.execute(repairs.insert(), [row] * 600)
    folder = tmp_path / "backups"
    with pytest.raises(OSError, match="No space left"):
        kept(lived.store, folder / "new.zip", progress=full)
    assert list(folder.iterdir()) == []


def test_a_damaged_row_is_kept_as_it_is(lived: Desk, tmp_path: Path) -> None:
    with lived.store.writing() as connection:
        damaged = "UPDATE notices SET due = 'no instant' WHERE subject = 'ITP-001'"
        connection.execute(sa.text(damaged))
    kept(lived.store, tmp_path / "damaged.zip")
    with zipfile.ZipFile(tmp_path / "damaged.zip") as zipped:
        assert b'"due":"no instant"' in zipped.read("tables/notices.jsonl")


def test_a_backup_is_of_one_instant_and_no_door_waits_for_it(lived: Desk, tmp_path: Path) -> None:
    stop, answered, problems = threading.Event(), [0], []

    def door(code: str) -> None:
        study, number = Study(code=code), 0
        while not stop.is_set():
            number += 1
            stated = study.event(
                "itp.contact.attempted", "2026-01-08", reached=True, event_id=f"{code}-{number}"
            )
            try:
                [answer] = lived.take(stated)
                assert answer.status == "recorded", answer.error
                answered[0] += 1
            except Exception as problem:  # noqa: BLE001 - whatever it is, the test shows it
                problems.append(problem)
                return

    doors = [threading.Thread(target=door, args=(code,)) for code in ("ITP-001", "ITP-002")]
    for each in doors:
        each.start()
    grown = []
    try:
        for number in range(6):
            before = answered[0]
            manifest = kept(lived.store, tmp_path / f"{number}.zip")
            grown.append(manifest.count("events"))
            assert answered[0] > before or problems
            _assert_whole(tmp_path / f"{number}.zip")
    finally:
        stop.set()
        for each in doors:
            each.join()
    assert problems == []
    assert grown == sorted(grown)
    assert grown[-1] > grown[0]


def _assert_whole(path: Path) -> None:
    """Hold every subject's log against the number of its last line, and every notice against its event."""
    with zipfile.ZipFile(path) as zipped:
        rows = {
            name: [json.loads(line) for line in zipped.open(f"tables/{name}.jsonl")]
            for name in ("subjects", "events", "notices")
        }
    for subject in rows["subjects"]:
        log = [row["seq"] for row in rows["events"] if row["subject"] == subject["code"]]
        assert log == list(range(1, subject["seq"] + 1))
    issued = {row["id"] for row in rows["events"] if row["type"] == "itp.notice.issued"}
    assert {row["key"] for row in rows["notices"] if row["subject"]} <= issued


# A changed archive is found


def test_a_change_of_any_byte_is_found(archive: Path, tmp_path: Path) -> None:
    whole, chance = archive.read_bytes(), random.Random(1)
    places = {*range(40), *range(len(whole) - 400, len(whole)), *chance.sample(range(len(whole)), 300)}
    for place in sorted(places):
        changed = bytearray(whole)
        changed[place] ^= chance.randrange(1, 256)
        _assert_refused(tmp_path / "changed.zip", bytes(changed))


def test_an_archive_that_is_cut_off_or_goes_on_is_found(archive: Path, tmp_path: Path) -> None:
    whole, chance = archive.read_bytes(), random.Random(2)
    for length in [0, 1, len(whole) - 1, *chance.sample(range(len(whole)), 30)]:
        _assert_refused(tmp_path / "cut.zip", whole[:length])
    _assert_refused(tmp_path / "longer.zip", whole + b"\n")


def _assert_refused(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(BadArchive) as found, open_archive(path) as archive:
        archive.check()
    assert str(found.value).startswith(str(path))
    assert "\n" not in str(found.value)


def test_the_damaged_member_is_named(archive: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(archive) as zipped:
        member = zipped.getinfo("tables/events.jsonl")
    whole = bytearray(archive.read_bytes())
    whole[member.header_offset + 80 + member.compress_size // 2] ^= 0xFF
    (tmp_path / "damaged.zip").write_bytes(whole)
    said = r"damaged.zip, tables/events.jsonl: .*; take another backup"
    with pytest.raises(BadArchive, match=said), open_archive(tmp_path / "damaged.zip"):
        pass


def _second_line(files: Files, _: object) -> None:
    lines = files["tables/events.jsonl"].splitlines(keepends=True)
    lines[1] = b'{"subject": 1, "seq"\n'
    files["tables/events.jsonl"] = b"".join(lines)


def _other_column(files: Files, _: object) -> None:
    files["tables/subjects.jsonl"] = files["tables/subjects.jsonl"].replace(b'"code":', b'"kode":', 1)


def test_a_line_that_is_no_row_is_named_though_every_hash_fits(archive: Path) -> None:
    for change, said in (
        (_second_line, r"tables/events.jsonl, line 2: is no JSON: "),
        (_other_column, r"tables/subjects.jsonl, line 1: is no row of subjects, whose columns are "),
    ):
        with pytest.raises(BadArchive, match=said), open_archive(forged(archive, change)) as opened:
            opened.check()


def test_a_row_less_or_a_file_more_than_the_manifest_says_is_found(archive: Path) -> None:
    def less(files: Files, _: object) -> None:
        files["tables/notices.jsonl"] = b"".join(files["tables/notices.jsonl"].splitlines(True)[1:])

    def more(files: Files, _: object) -> None:
        files["tables/extra.jsonl"] = b""

    for change, said in ((less, "tables/notices.jsonl: "), (more, "tables/extra.jsonl: its manifest")):
        with (
            pytest.raises(BadArchive, match=said),
            open_archive(forged(archive, change, honest=False)) as opened,
        ):
            opened.check()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"SQLite format 3\x00" + bytes(1000)])
def test_a_foreign_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "foreign.zip").write_bytes(content)
    with (
        pytest.raises(BadArchive, match=r"foreign.zip: is no archive"),
        open_archive(tmp_path / "foreign.zip"),
    ):
        pass


def test_the_instant_of_an_archive_is_the_one_that_was_given(archive: Path) -> None:
    with open_archive(archive) as opened:
        assert (opened.manifest.made_at, opened.manifest.made_by) == (AT, "hand")
