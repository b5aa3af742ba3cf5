"""One configuration tells the study's notices: who has another hands over nothing, and says so."""

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import pytest

from tasks.delivery import recipients
from tasks.delivery.channels import Channels
from tasks.delivery.claims import Clocks
from tasks.delivery.recipients import Keeper, differs
from tests.support import Receiver
from tests.support.study import Study
from tests.tasks.desk import ENROLLED_AT, Desk, ReportedLate, later

pytestmark = pytest.mark.requirement("DLV-05")

TODAY = "INF1/T/coordinator"


@pytest.fixture
def study() -> Study:
    """What happens to ITP-001, of whom one notice is due at the enrolment."""
    return ReportedLate()


@dataclass
class Service:
    """A service at a place, which looks once a second by a clock that the test moves."""

    desk: Desk
    place: str
    channels: Channels
    seconds: float = 0.0
    keeper: Keeper = field(init=False)

    def __post_init__(self) -> None:
        self.holder = self.place + str(id(self))
        self.keeper = Keeper(self.channels, self.place, self.holder)

    def looks(self, times: int = 1, wall: datetime = ENROLLED_AT) -> bool:
        """Look so many times; whether it may hand over at last."""
        may = False
        for _ in range(times):
            self.seconds += 1
            clocks = Clocks(ENROLLED_AT, later(wall, seconds=self.seconds), self.seconds)
            may = self.keeper.keep(self.desk.store, clocks)
        return may

    def ends(self) -> None:
        """Stop in order."""
        recipients.let_go(self.desk.store, self.holder)


@pytest.fixture
def ours(desk: Desk, told: Receiver) -> Channels:
    """The recipients of the study."""
    return desk.channels


@pytest.fixture
def changed(receiver: Receiver, tmp_path: Path) -> Channels:
    """The recipients of a configuration that was changed."""
    path = tmp_path / "changed.txt"
    path.write_text(f"coordinator={receiver.apprise_url('changed')}\n")
    return Channels.from_config(path)


def test_a_process_without_the_study_s_recipients_hands_over_nothing_and_says_how_to_mend_it(
    desk: Desk, ours: Channels, study: Study, told: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    assert Service(desk, "ward:/data", ours).looks()
    other = Desk(desk.store, out=desk.out, channels=Channels(out=desk.out))
    [answer] = other.take(study.enrol(), at_once=True)
    assert answer.advanced
    assert (other.claimed, answer.advanced.due_notices) == ((), True)
    for _ in range(3):
        other.hand_over(ENROLLED_AT)
    assert (told.requests, desk.out.getvalue()) == ([], "")
    [said] = [record.message for record in caplog.records if record.name == "tasks.database.instance"]
    assert said == (
        "nothing is handed over from here: the study's notices go to 5 recipients, as set at ward:/data, "
        "and ITP_APPRISE_CONFIG names nobody here; set ITP_APPRISE_CONFIG as it is there, "
        "or print all notices from now on: itp recipients --take"
    )
    desk.hand_over(ENROLLED_AT)
    assert [request.path for request in told.requests] == ["/coordinator"]


def test_what_waits_for_a_recipient_is_not_given_up_by_a_process_that_does_not_know_it(
    desk: Desk, ours: Channels, changed: Channels, study: Study, told: Receiver
) -> None:
    assert Service(desk, "ward:/data", ours).looks()
    desk.take(study.enrol())
    told.fail()
    desk.hand_over(ENROLLED_AT)
    told.succeed()
    other = Desk(desk.store, channels=changed)
    other.hand_over(later(ENROLLED_AT, minutes=5), subject=None)
    desk.hand_over(later(ENROLLED_AT, minutes=6))
    assert [request.path for request in told.requests] == ["/coordinator", "/coordinator"]
    assert desk.notice(TODAY).status == "delivered"


def test_before_the_first_service_anybody_hands_over(desk: Desk, study: Study) -> None:
    desk.take(study.enrol())
    desk.hand_over(ENROLLED_AT)
    assert desk.notice(TODAY).status == "delivered"


def test_the_same_recipients_in_another_order_and_file_are_the_same(
    desk: Desk, ours: Channels, told: Receiver, tmp_path: Path
) -> None:
    lines = (tmp_path / "apprise.txt").read_text().splitlines()
    other = tmp_path / "other.txt"
    other.write_text("\n".join(reversed(lines)))
    assert Channels.from_config(other).fingerprint == ours.fingerprint
    other.write_text("\n".join([*lines, f"sponsor={told.apprise_url('ops')}"]))
    assert Channels.from_config(other).fingerprint != ours.fingerprint, "an address has a tag more"


def test_a_restart_takes_over_a_changed_configuration_at_once_even_after_a_kill(
    desk: Desk, ours: Channels, changed: Channels
) -> None:
    assert Service(desk, "ward:/data", ours).looks()
    assert Service(desk, "ward:/data", changed).looks()
    assert differs(desk.store, changed) is None
    assert differs(desk.store, ours)


def test_a_service_elsewhere_takes_over_once_the_other_has_ended(
    desk: Desk, ours: Channels, changed: Channels
) -> None:
    first, second = Service(desk, "ward:/data", ours), Service(desk, "cloud:/data", changed)
    assert first.looks()
    assert not second.looks()
    first.ends()
    assert second.looks()


def test_a_service_elsewhere_takes_over_once_the_other_has_been_silent_for_half_a_minute(
    desk: Desk, ours: Channels, changed: Channels
) -> None:
    first, second = Service(desk, "ward:/data", ours), Service(desk, "cloud:/data", changed)
    assert first.looks()
    for _ in range(9):
        assert first.looks(11), "it gives a sign every ten seconds"
        assert not second.looks(11)
    assert not second.looks(19)
    assert second.looks(2)


def test_a_service_leaves_what_was_set_after_its_start(desk: Desk, ours: Channels, changed: Channels) -> None:
    running = Service(desk, "ward:/data", ours)
    assert running.looks()
    recipients.take(desk.store, changed, "desk:/data", later(ENROLLED_AT, hours=1))
    assert not running.looks(40)
    assert Service(desk, "ward:/data", ours).looks(), "a restart takes over"


def test_recipients_are_not_replaced_by_none_because_a_setting_was_lost(desk: Desk, ours: Channels) -> None:
    assert Service(desk, "ward:/data", ours).looks()
    nobody = Channels()
    assert not Service(desk, "ward:/data", nobody).looks(40)
    recipients.take(desk.store, nobody, "ward:/data", later(ENROLLED_AT, hours=1))
    assert Service(desk, "ward:/data", nobody).looks()


def test_of_two_services_with_the_same_recipients_either_may_end(
    desk: Desk, ours: Channels, changed: Channels
) -> None:
    first, second = Service(desk, "ward:/data", ours), Service(desk, "cloud:/data", ours)
    assert first.looks()
    assert second.looks()
    first.ends()
    assert second.looks()
    assert not Service(desk, "ward:/data", changed).looks(), "the second holds them now"
