"""Services that share a study on PostgreSQL: each subject is woken by one of them, each job done by one."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

import pytest
from prefect.settings import (
    PREFECT_API_URL,
    PREFECT_CLIENT_SERVER_VERSION_CHECK_ENABLED,
    temporary_settings,
)

from deployments.service import sharing
from deployments.service.loop import ServiceLoop
from deployments.service.sharing import PREFECT, STUDY, Sharing
from flows.study.runtime import Runtime
from itp_events.protocol.file import load_protocol
from tasks.advance import Advanced
from tasks.database import instance as signs
from tasks.database import leases
from tasks.database.instance import Instance
from tasks.database.queries import due_subjects
from tasks.database.store import Store
from tasks.delivery.channels import Channels
from tasks.delivery.claiming import ClaimAtOnce
from tests.deployments.api.test_standalone import NOBODY, MondayClock, enrol, told
from tests.support.receiver import Receiver
from tests.support.waiting import wait_until

pytestmark = pytest.mark.requirement("RUN-11")

CODES = [f"ITP-{number:03}" for number in range(1, 41)]


@dataclass(frozen=True)
class Counted(Runtime):
    """A service's study that counts the times at which it advanced each subject."""

    advanced: Counter[str] = field(default_factory=Counter)

    def advance(self, code: str, now: datetime, at_once: ClaimAtOnce | None = None) -> Advanced:
        """Advance, and count."""
        self.advanced[code] += 1
        return super().advance(code, now, at_once)


@pytest.fixture
def studies(postgresql_url: str, tmp_path: Path, receiver: Receiver) -> Iterator[list[Counted]]:
    """One study as two services open it."""
    config = tmp_path / "apprise.txt"
    config.write_text(f"coordinator={receiver.apprise_url('coordinator')}\n", encoding="utf-8")
    clock, protocol, channels = MondayClock(), load_protocol(), Channels.from_config(config)
    with ExitStack() as stack:
        found = []
        for place in ("one", "two"):
            store = Store.open(postgresql_url)
            stack.callback(store.close)
            found.append(Counted(store, protocol, channels, clock, NOBODY, place=place))
        yield found


def test_two_services_wake_each_due_subject_once_between_them(
    studies: list[Counted], receiver: Receiver
) -> None:
    enrol(studies[0], *CODES)

    async def work() -> None:
        loops = [ServiceLoop(study, repair_seconds=180) for study in studies]
        going = [asyncio.create_task(each.go()) for each in loops]
        await asyncio.to_thread(wait_until, lambda: told(receiver) >= set(CODES), "a notice about everybody")
        for each in loops:
            each.stop()
        assert await asyncio.gather(*going) == [True, True]

    with temporary_settings({PREFECT_API_URL: NOBODY, PREFECT_CLIENT_SERVER_VERSION_CHECK_ENABLED: False}):
        asyncio.run(work())
    woken = studies[0].advanced + studies[1].advanced
    assert woken == dict.fromkeys(CODES, 1)
    titles = Counter((request.path, request.body["title"]) for request in receiver.requests)
    assert {title: count for title, count in titles.items() if count > 1} == {}


def shared(study: Runtime) -> Sharing:
    return Sharing.of(replace(study, instance=Instance()))


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a service give a sign whenever it is asked to."""
    monkeypatch.setattr(signs, "SIGN_SECONDS", 0.0)


@pytest.mark.usefixtures("at_once")
def test_a_job_is_one_services_until_it_resigns_or_cannot_do_it(studies: list[Counted]) -> None:
    one, two = (shared(study) for study in studies)
    one.take_turn([STUDY, PREFECT])
    two.take_turn([STUDY, PREFECT])
    assert [each.holds(job) for each in (one, two) for job in (STUDY, PREFECT)] == [True, True, False, False]
    one.take_turn([STUDY])
    two.take_turn([STUDY, PREFECT])
    assert [each.holds(job) for each in (one, two) for job in (STUDY, PREFECT)] == [True, False, False, True]
    one.resign()
    two.take_turn([STUDY, PREFECT])
    assert (one.holds(STUDY), two.holds(STUDY)) == (False, True)


@pytest.mark.usefixtures("at_once")
def test_a_service_that_cannot_confirm_a_job_does_it_no_more(
    studies: list[Counted], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stops before another may take the job."""
    assert leases.LIFE.total_seconds() > sharing.SURE_SECONDS
    one = shared(studies[0])
    one.take_turn([STUDY])
    assert one.holds(STUDY)
    monkeypatch.setattr(sharing, "SURE_SECONDS", 0.0)
    assert not one.holds(STUDY)


@pytest.mark.usefixtures("at_once")
def test_a_subject_is_left_when_nothing_uses_it_any_more(studies: list[Counted]) -> None:
    one, two = (shared(study) for study in studies)
    enrol(studies[0], "ITP-001", "ITP-002")
    assert one.take(["ITP-001"]) == {"ITP-001"}
    one.stay("ITP-001")
    one.leave("ITP-001")
    one.take_turn([STUDY])
    due = two.due_subjects(studies[1].clock.now(), 10)
    assert [row.code for row in due] == ["ITP-002"]
    assert two.take(["ITP-001", "ITP-002"]) == {"ITP-002"}
    one.leave("ITP-001")
    one.take_turn([STUDY])
    assert two.take(["ITP-001"]) == {"ITP-001"}
    assert len(due_subjects(studies[0].store, studies[0].clock.now(), 10)) == 2


def test_a_service_on_a_sqlite_file_has_everything_and_asks_nobody(sqlite_url: str) -> None:
    store = Store.open(sqlite_url)
    alone = Sharing(store, Instance(), MondayClock().now)
    store.close()
    alone.take_turn([STUDY])
    assert alone.holds(PREFECT)
    assert alone.take(["ITP-001"]) == {"ITP-001"}
