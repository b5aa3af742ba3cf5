"""A signature is shown with its record, in `itp show` and in the export."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from tasks.accounts.account import Account
from tasks.accounts.changing import By, add
from tasks.database.queries import log_lines
from tasks.database.store import Store
from tasks.signatures.signing import Signer, sign
from tests.deployments.cli.conftest import At, Itp, Write
from tests.deployments.cli.test_export import rows
from tests.support.study import Study

pytestmark = pytest.mark.requirement("WHO-10")

NOW = "2026-01-08T10:00:00+08:00"
SIGNED = datetime(2026, 1, 8, 1, 0, tzinfo=UTC)


@pytest.fixture
def signed(tmp_path: Path, enrolled: Study) -> Study:
    """The completion of INF1, signed by an investigator."""
    store = Store.open(f"sqlite:///{tmp_path / 'data' / 'study.db'}")
    [done] = [line.event for line in log_lines(store, "ITP-001") if line.event.type == "itp.visit.completed"]
    with store.writing() as connection:
        add(connection, Account("inv.one", "Investigator One", "investigator"), By(None, "cli", SIGNED))
        sign(Signer("inv.one", "Investigator One"), connection, [done], SIGNED)
    store.close()
    return enrolled


def test_a_signature_is_shown_with_who_signed_when_and_what_it_means(itp: Itp, at: At, signed: Study) -> None:
    text = " ".join(itp("show", "ITP-001", **at(NOW)).out.split())
    assert "Investigator One" in text
    assert "answer for it" in text
    [shown] = itp("show", "ITP-001", "--json", **at(NOW)).json["signatures"]
    assert shown["account"] == "inv.one"
    assert shown["at"] == "2026-01-08T01:00:00Z"
    assert shown["broken"] is None


def test_a_signature_on_what_was_taken_back_is_shown_as_broken(
    itp: Itp, at: At, lines: Write, signed: Study
) -> None:
    [done] = [event for event in signed.log if event.type == "itp.visit.completed"]
    said = itp("record", lines(signed.void(done, "2026-01-08 09:30").to_json()), **at(NOW))
    assert said.code == 0, said.err
    assert "BROKEN" in itp("show", "ITP-001", **at(NOW)).out
    [shown] = itp("show", "ITP-001", "--json", **at(NOW)).json["signatures"]
    assert shown["broken"] == "the event was taken back after it was signed"


def test_signatures_are_exported_with_what_they_are_on(
    itp: Itp, at: At, signed: Study, tmp_path: Path
) -> None:
    assert itp("export", "out", **at(NOW)).code == 0
    [row] = rows(tmp_path / "out" / "signatures.csv")
    assert (row["subject"], row["account"], row["name"]) == ("ITP-001", "inv.one", "Investigator One")
    assert (row["at"], row["broken"]) == ("2026-01-08T01:00:00Z", "")
