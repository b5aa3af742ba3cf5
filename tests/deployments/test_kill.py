"""A service that is killed: nothing is lost, and nothing doubled but one hand-over, marked."""

from tasks.queries import attempts_of
from tests.support.service import Service
from tests.support.waiting import wait_until


def notices(service: Service, code: str) -> list[tuple[str, str]]:
    """What was sent about a subject, by where to and title."""
    return [(request.path, request.body["title"]) for request in service.told(code)]


def outcomes(service: Service, code: str) -> list[str | None]:
    """What became of every send about a subject."""
    return [each.outcome for each in attempts_of(service.study.store, code)]


def test_killed_while_subjects_wait_it_goes_on_where_it_was(service: Service) -> None:
    service.enrol("ITP-001")
    run = service.wait_for_run("ITP-001", service.is_shown("ITP-001"), "to wait")
    before = notices(service, "ITP-001")
    service.kill()
    due = service.bring_forward("ITP-001", 20.0)
    service.start()
    service.wait_for_wake("ITP-001", due)
    after = service.wait_for_run("ITP-001", service.is_shown("ITP-001"), "to wait again")
    assert after.id == run.id
    sent = notices(service, "ITP-001")
    assert len(sent) == len(set(sent)) == len(before) + 1


def test_killed_in_a_wake_the_journey_goes_on_and_the_repetition_is_marked(service: Service) -> None:
    service.enrol("ITP-001")
    service.wait_for_run("ITP-001", service.is_shown("ITP-001"), "to wait")
    told = len(service.told("ITP-001"))
    service.receiver.hang()
    service.bring_forward("ITP-001", 2.0)
    wait_until(lambda: len(service.told("ITP-001")) > told, "the notice to reach the provider")
    service.wait_for_run("ITP-001", lambda run: run.state_type == "RUNNING", "to be in the wake")
    service.kill()
    service.receiver.succeed()
    service.start()
    wait_until(lambda: len(service.told("ITP-001")) == told + 2, "the notice to be sent again", timeout=90)
    first, second = service.told("ITP-001")[told:]
    assert first.body["title"] in second.body["title"]
    assert second.body != first.body, "the second says that it is possibly repeated"
    wait_until(lambda: outcomes(service, "ITP-001")[-2:] == ["unknown", "sent"], "both sends to be kept")
    service.wait_for_wake("ITP-001", service.bring_forward("ITP-001"))
