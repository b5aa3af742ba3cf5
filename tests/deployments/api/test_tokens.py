"""The file of tokens: what counts in it, whatever people and programs do to it."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.api.http.tokens import Entry, Tokens, new_token, one_line, read_entries
from itp_events.errors import BadInput
from tasks.accounts.tokens import digest

pytestmark = pytest.mark.requirement("SEC-01")

# The same in each of pytest's processes: they stand in the names of tests.
READER, INVESTIGATOR = "itp_a-reader", "itp_an-investigator"
READERS, SMUGGLED = Entry("reader", digest(READER)), Entry("investigator", digest(INVESTIGATOR))


@pytest.fixture
def tokens(tmp_path: Path) -> Tokens:
    return Tokens.from_setting("", tmp_path)


def file_of(tokens: Tokens) -> Path:
    assert tokens.file is not None
    return tokens.file


@pytest.mark.parametrize(
    "note",
    [
        "Dr. Li, site 01",
        f"x,{SMUGGLED}",
        f"x\n{SMUGGLED}",
        f"x\r\n{SMUGGLED}",
        f"x\r{SMUGGLED}",
        f"x\u2028{SMUGGLED}\x85{SMUGGLED}\x0b{SMUGGLED}",
        "# a # b",
        "研究者，成都",
    ],
)
def test_a_note_changes_nothing_but_the_note(tokens: Tokens, note: str) -> None:
    tokens.add(READERS, note)
    assert tokens.entries() == [READERS]
    assert tokens.role_of(INVESTIGATOR) is None
    assert len(file_of(tokens).read_bytes().splitlines()) == 1


@given(st.lists(st.text(), min_size=1, max_size=4))
def test_whatever_notes_say_there_are_as_many_entries_as_tokens(notes: list[str]) -> None:
    lines = [f"{READERS}  # {one_line(note)}" for note in notes]
    assert read_entries("\n".join(lines).split("\n"), "tokens") == [READERS] * len(notes)


def test_a_token_is_added_behind_a_last_line_without_its_end(tokens: Tokens) -> None:
    file_of(tokens).write_text(str(SMUGGLED))
    tokens.add(READERS, "")
    assert tokens.entries() == [SMUGGLED, READERS]


def test_tokens_that_are_added_at_once_are_all_kept(tokens: Tokens) -> None:
    file_of(tokens).write_text("# no end")
    made = [new_token("reader")[1] for _ in range(20)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda entry: tokens.add(entry, "at once"), made))
    assert sorted(map(str, tokens.entries())) == sorted(map(str, made))


def test_a_token_that_is_taken_away_counts_no_more_though_the_file_keeps_its_time(tokens: Tokens) -> None:
    file, both = file_of(tokens), f"{READERS}\n{SMUGGLED}\n"
    file.write_text(both)
    assert tokens.role_of(READER) == "reader"
    before = file.stat()
    file.write_text(both.replace(f"{READERS}\n", f"#{str(READERS)[1:]}\n"))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (file.stat().st_mtime_ns, file.stat().st_size) == (before.st_mtime_ns, before.st_size)
    assert tokens.role_of(READER) is None
    assert tokens.role_of(INVESTIGATOR) == "investigator"


def test_a_file_that_anybody_may_write_to_lets_nobody_in(tokens: Tokens) -> None:
    tokens.add(READERS, "")
    assert tokens.role_of(READER) == "reader"
    file_of(tokens).chmod(0o666)
    with pytest.raises(BadInput, match="chmod 600"):
        tokens.role_of(READER)
    file_of(tokens).chmod(0o600)
    assert tokens.role_of(READER) == "reader"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "gb18030"])
def test_a_note_may_be_in_whatever_an_editor_writes(tokens: Tokens, encoding: str) -> None:
    file_of(tokens).write_bytes(f"{READERS}  # 研究者\r\n{SMUGGLED}\r\n".encode(encoding))
    assert tokens.entries() == [READERS, SMUGGLED]
