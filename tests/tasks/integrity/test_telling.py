"""The newest seal goes to each monitor of a site with the digest, so that somebody outside holds it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tasks import digest
from tasks.accounts import changing
from tasks.accounts.account import Account
from tasks.accounts.changing import By
from tasks.integrity.held import held_seals
from tasks.integrity.keeping import keep
from tasks.integrity.sealing import seal
from tasks.integrity.telling import told_to_monitors
from tasks.integrity.verify import verify
from tests.support import Receiver
from tests.support.study import Study
from tests.tasks.desk import Desk

pytestmark = pytest.mark.requirement("LOG-01", "DIG-01")

# Tuesday 3 February 2026 at the site; 08:30 there is 00:30 UTC.
MORNING = datetime(2026, 2, 3, 0, 30, tzinfo=UTC)
MONITORS = (
    Account("cra.chen", "Chen", "monitor", ("01",)),
    Account("cra.wu", "Wu", "monitor", ("02",)),
    Account("cra.old", "Old", "monitor", active=False),
    Account("crc.li", "Li", "recorder"),
)


@pytest.fixture
def watched(desk: Desk, study: Study) -> Desk:
    """A study with people of several roles."""
    desk.take(study.enrol("2026-01-05"))
    with desk.store.writing() as connection:
        for each in MONITORS:
            changing.add(connection, each, By(None, "cli", MORNING))
    return desk


def test_a_monitor_of_the_site_gets_the_newest_seal_once_a_day_and_it_can_be_compared_later(
    watched: Desk, receiver: Receiver, tmp_path: Path
) -> None:
    watched.configure(tmp_path / "apprise.txt", f"cra-chen={receiver.apprise_url('monitor')}")
    assert told_to_monitors(watched.store, "01", watched.channels.reaches) == []
    keep(watched.store, MORNING)
    seal(watched.store, MORNING)
    for later in (0, 1):
        now = MORNING + timedelta(hours=later)
        told = told_to_monitors(watched.store, "01", watched.channels.reaches)
        digest.post(watched.store, watched.protocol, "01", now, told)
        watched.hand_over(now, None)
    [message] = receiver.at("/monitor")
    (tmp_path / "mail.txt").write_text(message.body["message"], encoding="utf-8")
    assert verify(watched.store, held=held_seals(tmp_path / "mail.txt")).findings == ()


def test_a_monitor_whom_no_recipient_reaches_is_told_nothing(watched: Desk) -> None:
    seal(watched.store, MORNING)
    told = told_to_monitors(watched.store, "01", lambda _: False)
    assert told == []
    assert [each["person"] for each in told_to_monitors(watched.store, "01", lambda _: True)] == ["cra.chen"]
