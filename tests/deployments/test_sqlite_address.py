"""A database in a file lies where its folder is, whatever letters the folder's name has."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import example, given
from hypothesis import strategies as st

from deployments.sqlite_address import sqlite_address
from tasks.database.store import Store

pytestmark = pytest.mark.requirement("RUN-06")

LETTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\0/")


@given(st.text(LETTERS, min_size=1).filter(lambda name: name not in (".", "..")))
@example("100%25")
@example("a?mode=memory&cache=shared#7")
@example("研究 'data' \"new\"")
def test_an_address_names_the_file_whatever_its_path(name: str) -> None:
    path = Path("/data") / name / "study.db"
    read = sa.make_url(sqlite_address(path))
    assert (read.database, dict(read.query), read.host) == (str(path), {}, None)
    # An address that is read and written, as a demonstration keeps it, is the same.
    assert read.render_as_string(hide_password=False) == sqlite_address(path)


@pytest.mark.parametrize(
    "name", ["50%", "100%25", "a%20b", "what?", "trial #7", "%(here)s", "研究 '1' \"2\""]
)
def test_a_study_lies_in_its_folder(tmp_path: Path, name: str) -> None:
    Store.open(sqlite_address(tmp_path / name / "study.db")).close()
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name / "study.db").stat().st_size > 0


def test_a_program_in_a_folder_with_a_percent_sign_migrates(tmp_path: Path) -> None:
    checkout = tmp_path / "50% (%s) #7"
    checkout.symlink_to(Path(__file__).parents[3])
    opens = "import sys; from tasks.database.store import Store; Store.open(sys.argv[1]).close()"
    subprocess.run(
        [sys.executable, "-c", opens, sqlite_address(tmp_path / "study.db")],
        env=os.environ | {"PYTHONPATH": str(checkout)},
        cwd=checkout,
        check=True,
    )
    assert (tmp_path / "study.db").stat().st_size > 0
