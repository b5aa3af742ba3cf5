"""A subject's own reminders go to their own recipient and to nobody else, and say nothing of the study."""

from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from tasks.database.schema import deliveries
from tasks.delivery.channels import Channels
from tasks.delivery.links import Links
from tasks.delivery.trying_out import recipients_of
from tests.support import Receiver
from tests.support.participants import reminding
from tests.support.study import Study
from tests.tasks.desk import Desk

pytestmark = pytest.mark.requirement("SUB-02")

STAFF = ("coordinator", "investigator", "sponsor", "cell-lab", "ops")


@pytest.fixture
def study() -> Study:
    """ITP-007, who agreed to reminders in Chinese; the second infusion is booked for 13 January."""
    return Study(protocol=reminding(), code="ITP-007")


def begin(desk: Desk, study: Study, **data: object) -> None:
    desk.protocol = study.protocol
    events = [study.enrol(), study.state("itp.contact.agreed", "2026-01-05", agreed=True, **data)]
    events += [study.done("INF1", "2026-01-05"), study.booked("INF2", "2026-01-13", at="2026-01-06")]
    desk.take(*events)


def configure(desk: Desk, receiver: Receiver, folder: Path, *subjects: str) -> None:
    lines = [f"{each}={receiver.apprise_url(each)}" for each in (*STAFF, "always")]
    lines += [f"participant-{each}={receiver.apprise_url(f'own-{each}')}" for each in subjects]
    desk.configure(folder / "apprise.conf", *lines)
    desk.channels = replace(desk.channels, links=Links("https://visits.example.org", b"k" * 32))


def hand_over(desk: Desk, study: Study, at: str) -> None:
    now = study.instant(at)
    desk.hand_over(now, "ITP-007")


def ended(desk: Desk) -> tuple[str, str | None]:
    notice = desk.notice("in-3-days", "ITP-007")
    return notice.status, notice.reason


def test_a_reminder_reaches_the_recipient_that_is_tagged_with_the_subject_and_nobody_else(
    desk: Desk, study: Study, receiver: Receiver, tmp_path: Path
) -> None:
    configure(desk, receiver, tmp_path, "itp-007", "itp-008")
    begin(desk, study)
    hand_over(desk, study, "2026-01-10 10:00")
    hand_over(desk, study, "2026-01-10 10:05")
    (message,) = receiver.at("/own-itp-007")
    assert "13 Jan 2026" in message.body["message"]
    mine = [each for each in receiver.requests if each.body["title"] == message.body["title"]]
    assert mine == [message]


def test_a_message_names_neither_the_subject_nor_the_visit_nor_the_study(
    desk: Desk, study: Study, receiver: Receiver, tmp_path: Path
) -> None:
    configure(desk, receiver, tmp_path, "itp-007")
    begin(desk, study, language="zh-CN")
    hand_over(desk, study, "2026-01-10 10:00")
    (message,) = receiver.at("/own-itp-007")
    said = f"{message.body['title']} {message.body['message']}"
    assert "2026年1月13日" in said
    for word in ("ITP", "007", "INF", "输注", "研究", "受试者", "NCT", "infusion", "trial", "subject"):
        assert word.lower() not in said.replace("visits.example.org", "").lower().partition("https://")[0]
    sealed = said.partition("/p/")[2].split()[0]
    assert desk.channels.links is not None
    about = desk.channels.links.read_appointment(sealed, study.instant("2026-01-10"))
    assert (about.subject, about.visit, about.language) == ("ITP-007", "INF2", "zh-CN")


def test_without_a_recipient_of_their_own_nobody_is_told_and_the_reminder_says_why(
    desk: Desk, study: Study, receiver: Receiver, tmp_path: Path
) -> None:
    configure(desk, receiver, tmp_path, "itp-008")
    begin(desk, study)
    hand_over(desk, study, "2026-01-10 10:00")
    assert ended(desk) == ("withdrawn", "no recipient is tagged participant-itp-007")
    assert [each for each in receiver.requests if "appointment" in each.body["title"]] == []


def test_a_provider_that_fails_until_the_evening_is_not_tried_at_night(
    desk: Desk, study: Study, receiver: Receiver, tmp_path: Path
) -> None:
    configure(desk, receiver, tmp_path, "itp-007")
    begin(desk, study)
    receiver.fail()
    hand_over(desk, study, "2026-01-10 10:00")
    sent = len(receiver.at("/own-itp-007"))
    receiver.succeed()
    hand_over(desk, study, "2026-01-10 20:00")
    assert len(receiver.at("/own-itp-007")) == sent == 1
    assert ended(desk)[0] == "withdrawn"


def test_no_number_is_kept_of_a_subjects_recipient(
    desk: Desk, study: Study, receiver: Receiver, tmp_path: Path
) -> None:
    configure(desk, receiver, tmp_path, "itp-007")
    begin(desk, study)
    receiver.fail()
    hand_over(desk, study, "2026-01-10 10:00")
    with desk.store.reading() as connection:
        labels = connection.scalars(sa.select(deliveries.c.label)).all()
    assert "participant-itp-007" in labels
    assert not [label for label in labels if "own-itp" in label]
    (attempt,) = [each for each in desk.attempts("ITP-007") if "in-3-days" in each.notice]
    assert attempt.error == "the provider's words are not kept, since they may hold a number"


def test_a_subjects_recipient_gets_nothing_that_is_for_the_site(receiver: Receiver, tmp_path: Path) -> None:
    config = tmp_path / "apprise.conf"
    url = receiver.apprise_url("phone")
    config.write_text(f"coordinator, always, participant-itp-007={url}\n")
    channels = Channels.from_config(config)
    assert [each.is_console for each in channels.of("coordinator")] == [True]
    assert channels.always == []
    assert [each.label for each in channels.of_participant("ITP-007")] == ["participant-itp-007"]
    assert recipients_of(channels, reminding(), None) == []


def test_codes_that_differ_by_a_sign_alone_share_no_recipient(receiver: Receiver, tmp_path: Path) -> None:
    config = tmp_path / "apprise.conf"
    config.write_text(f"participant-itp-007={receiver.apprise_url('phone')}\n")
    assert Channels.from_config(config).of_participant("ITP.007") == []
