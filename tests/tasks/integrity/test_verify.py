"""A change behind the service's back is found, and the row named; an untouched record is whole."""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from itp_events.errors import BadInput, BadProtocol
from tasks.accounts import changing, passwords, sessions, tokens
from tasks.accounts.account import Account
from tasks.accounts.changing import By
from tasks.archive.protocols import Installed, installed_protocols
from tasks.database.protocol_files import note_files
from tasks.database.redcap import Origin, remember_origin
from tasks.database.schema import metadata
from tasks.database.store import Store
from tasks.database.triggers import lifted
from tasks.integrity.facts import CHAINED, FACTS, NO_FACTS, PASSING
from tasks.integrity.held import HeldSeal, held_seals
from tasks.integrity.keeping import keep
from tasks.integrity.sealing import Seal, seal
from tasks.integrity.verify import verify
from tests.support.study import Study
from tests.tampering.changes import columns_with_facts
from tests.tampering.study import SealedStudy, sealed_study
from tests.tampering.trial import tried, tried_on
from tests.tasks.archive.kept import brought_back, kept
from tests.tasks.conftest import NOW
from tests.tasks.desk import Desk

pytestmark = pytest.mark.requirement("LOG-01")

AT = datetime(2026, 6, 1, tzinfo=UTC)


def found(store: Store, *held: HeldSeal) -> list[str]:
    """The findings of a verification, as lines."""
    return [str(each) for each in verify(store, held=held).findings]


def sealed(store: Store, at: datetime = AT) -> Seal:
    """The seal of a study whose rows are registered."""
    keep(store, at)
    made = seal(store, at)
    assert made is not None
    return made


def test_every_table_holds_facts_or_says_why_it_holds_none() -> None:
    listed = [*(each.name for each in FACTS), *CHAINED, *NO_FACTS]
    assert sorted(listed) == sorted(metadata.tables)
    assert all(reason for reason in (*CHAINED.values(), *NO_FACTS.values(), *PASSING.values()))
    for name in PASSING:
        table, _, column = name.partition(".")
        assert column in metadata.tables[table].c
    assert {f"{each.name}.{column}" for each in FACTS for column in each.passing} <= PASSING.keys()


def test_a_study_that_nobody_touched_is_whole(lived: Desk) -> None:
    assert found(lived.store) == []
    sealed(lived.store)
    assert found(lived.store) == []
    lived.wake("ITP-001", NOW + timedelta(days=9))
    lived.hand_over(NOW + timedelta(days=9))
    assert found(lived.store) == []
    sealed(lived.store, AT + timedelta(hours=1))
    assert found(lived.store) == []


def test_nothing_is_registered_or_sealed_twice(lived: Desk) -> None:
    assert keep(lived.store, AT) > 0
    assert keep(lived.store, AT) == 0
    assert seal(lived.store, AT) is not None
    assert seal(lived.store, AT) is None


@pytest.fixture(scope="module", params=["sqlite", "pg"])
def tampered(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SealedStudy]:
    """A sealed study, in whose transactions tamperings are made and taken back."""
    with sealed_study(request.param, tmp_path_factory.mktemp("tampering"), subjects=2) as study:
        yield study


@pytest.mark.xdist_group("tampering")
def test_a_change_of_any_column_of_any_table_of_facts_is_found_and_the_row_named(
    tampered: SealedStudy,
) -> None:
    columns = [
        column
        for column in columns_with_facts()
        if shutil.which("openssl") or column.table is not metadata.tables["seal_stamps"]
    ]
    assert {column.table.name for column in columns} >= metadata.tables.keys() - NO_FACTS.keys() - {
        "seal_stamps"
    }
    missed = [trial for trial in (tried_on(tampered, column) for column in columns) if not trial.found]
    assert missed == []


@pytest.mark.xdist_group("tampering")
def test_random_tamperings_are_found_and_the_row_named(tampered: SealedStudy) -> None:
    assert tampered.untouched == 0
    missed = [trial for trial in (tried(tampered, seed) for seed in range(20)) if not trial.found]
    assert missed == []


def test_the_newest_rows_cut_off_after_the_last_seal_are_found(desk: Desk, study: Study) -> None:
    desk.take(study.enrol())
    sealed(desk.store)
    desk.take(study.done("INF1", "2026-01-05", platelets=41))
    with desk.store.writing() as connection, lifted(connection, "events"):
        last = connection.scalar(sa.text("SELECT max(seq) FROM events"))
        connection.execute(sa.text("DELETE FROM events WHERE seq = :last"), {"last": last})
    assert f"events, ITP-001, row {last}: is missing" in found(desk.store)


def test_a_record_that_was_written_anew_with_hashes_that_fit_is_found_by_a_seal_held_elsewhere(
    desk: Desk, study: Study, tmp_path: Path
) -> None:
    desk.take(study.enrol())
    told = sealed(desk.store).told.replace(": ", ":\n")
    (tmp_path / "mail.txt").write_text(f"Dear monitor,\n{told}\nyours", encoding="utf-8")
    held = held_seals(tmp_path / "mail.txt")
    assert found(desk.store, *held) == []
    other = HeldSeal(held[0].number, "1:" + "0" * 64)
    assert found(desk.store, other) == ["seals, row 1: is not the seal that was kept elsewhere"]
    assert found(desk.store, HeldSeal(2, other.hash)) == ["seals, row 2: is missing: it was kept elsewhere"]
    (tmp_path / "mail.txt").write_text("nothing", encoding="utf-8")
    with pytest.raises(BadInput, match="holds no seal"):
        held_seals(tmp_path / "mail.txt")


def test_what_the_service_changes_once_more_is_no_finding(desk: Desk, study: Study) -> None:
    remember_origin(desk.store, ("redcap", "a#1"), Origin("7", "42/e/visit/1"))
    keep(desk.store, AT)
    remember_origin(desk.store, ("redcap", "a#1"), Origin("007", "42/e/visit/1"))
    assert found(desk.store) == []
    keep(desk.store, AT)
    assert found(desk.store) == []


def test_a_restored_study_is_verified_as_before(lived: Desk, tmp_path: Path, other_database: str) -> None:
    sealed(lived.store)
    before = verify(lived.store)
    kept(lived.store, tmp_path / "kept.zip")
    brought_back(tmp_path / "kept.zip", other_database)
    there = Store.open(other_database)
    after = verify(there)
    assert (after.findings, before.findings) == ((), ())
    assert (after.record, after.seal) == (before.record, before.seal)
    keep(there, AT)
    assert seal(there, AT + timedelta(hours=2)) is not None
    assert found(there) == []
    there.close()


@pytest.fixture
def other_database(desk: Desk, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of the other kind than the study's."""
    if desk.store.engine.name == "sqlite":
        return str(request.getfixturevalue("postgresql_url"))
    return f"sqlite:///{tmp_path / 'other.db'}"


def test_a_protocol_version_is_its_file(desk: Desk) -> None:
    [built_in] = installed_protocols(None)
    note_files(desk.store, [built_in], AT)
    note_files(desk.store, [built_in], AT)
    other = Installed(built_in.id, built_in.version, "other.yaml", built_in.content + b"\n")
    with pytest.raises(BadProtocol) as refused:
        note_files(desk.store, [other], AT)
    for each in (built_in.fingerprint, other.fingerprint, built_in.name, other.name):
        assert each in str(refused.value)


BY = By("os:root", "cli", AT)
LI = Account("crc.li", "Li", "recorder")


@pytest.mark.requirement("WHO-01")
@pytest.mark.parametrize(
    ("column", "value"),
    [("role", "'investigator'"), ("password", "'another hash'"), ("active", "NOT active"), ("name", "'Wu'")],
)
def test_an_account_that_was_changed_behind_the_service_is_found_also_after_its_next_change(
    desk: Desk, column: str, value: str
) -> None:
    with desk.store.writing() as connection:
        changing.add(connection, LI, BY)
    assert found(desk.store) == []
    with desk.store.writing() as connection:
        connection.execute(sa.text(f"UPDATE accounts SET {column} = {value}"))
    said = [f"accounts, crc.li: is not what was recorded: {column}"]
    assert found(desk.store) == said
    with desk.store.writing() as connection:
        changing.change(connection, "crc.li", BY, language="zh-CN")
    assert found(desk.store) == said


def test_an_account_whose_changed_value_is_set_by_the_service_is_whole_again(desk: Desk) -> None:
    with desk.store.writing() as connection:
        changing.add(connection, LI, BY)
        connection.execute(sa.text("UPDATE accounts SET role = 'admin'"))
        changing.change(connection, "crc.li", BY, role="recorder")
    assert found(desk.store) == []


def test_an_account_and_a_token_that_the_service_did_not_make_are_found(desk: Desk) -> None:
    with desk.store.writing() as connection:
        changing.add(connection, LI, BY)
        tokens.add(connection, LI, tokens.digest("one"), "laptop", BY)
        forged = "SELECT 'forged', account, note, in_file, created_at, expires_at, revoked_at FROM tokens"
        connection.execute(sa.text(f"INSERT INTO tokens {forged}"))
        connection.execute(sa.text("DELETE FROM tokens WHERE digest <> 'forged'"))
    assert found(desk.store) == [
        "tokens, forged: was not written by the service",
        f"tokens, {tokens.digest('one')}: is missing, though the register has it",
    ]


def test_secrets_that_no_archive_holds_are_no_finding_where_it_is_restored(
    desk: Desk, tmp_path: Path, other_database: str
) -> None:
    with desk.store.writing() as connection:
        changing.add(connection, LI, BY)
        passwords.set_password(connection, LI, "the hash of a password", BY)
        tokens.add(connection, LI, tokens.digest("one"), "laptop", BY)
    session = sessions.open_session(desk.store, LI, "10.0.0.7", AT, "signed-in")
    sealed(desk.store)
    kept(desk.store, tmp_path / "kept.zip")
    brought_back(tmp_path / "kept.zip", other_database)
    there = Store.open(other_database)
    assert session
    assert found(there) == []
    with there.writing() as connection:
        connection.execute(sa.text("UPDATE accounts SET password = 'one of my own'"))
    assert found(there) == ["accounts, crc.li: is not what was recorded: password"]
    there.close()
