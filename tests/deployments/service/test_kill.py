"""A service that is killed: nothing is lost, and nothing doubled but one hand-over, marked."""

from collections.abc import Sequence
from functools import partial

import pytest

from tasks.database.queries import attempts_of, log_lines
from tests.support.asking import prefect_at
from tests.support.service import SITE, Service
from tests.support.waiting import wait_until

pytestmark = pytest.mark.requirement("LOG-02", "RUN-03")


def notices(service: Service, code: str) -> list[tuple[str, str]]:
    """What was sent about a subject, by where to and title."""
    return [(request.path, request.body["title"]) for request in service.told(code)]


def outcomes(service: Service, code: str) -> list[str | None]:
    """What became of every send about a subject."""
    return [each.outcome for each in attempts_of(service.study.store, code)]


def test_killed_whenever_it_goes_on_where_it_was(service: Service) -> None:
    """While subjects wait, in a wake, and while it records a form: each kill meets a subject of its own."""
    _killed_while_a_subject_waits(service, "ITP-001")
    _killed_in_a_wake_the_repetition_is_marked(service, ("ITP-002", "ITP-012", "ITP-022", "ITP-032"))
    _killed_while_it_records_a_form_it_takes_the_form_up_again_and_records_it_once(service, "ITP-003")


def _killed_while_a_subject_waits(service: Service, code: str) -> None:
    service.enrol(code)
    run = service.wait_for_run(code, service.is_shown(code), "to wait")
    before = notices(service, code)
    service.kill()
    due = service.bring_forward(code, 20.0)
    service.start()
    service.wait_for_wake(code, due)
    after = service.wait_for_run(code, service.is_shown(code), "to wait again")
    assert after.id == run.id
    sent = notices(service, code)
    assert len(sent) == len(set(sent)) == len(before) + 1


def _killed_in_a_wake_the_repetition_is_marked(service: Service, codes: Sequence[str]) -> None:
    code, told = _in_a_wake_that_hangs(service, codes)
    service.kill()
    service.receiver.succeed()
    service.start()
    wait_until(lambda: len(service.told(code)) == told + 2, "the notice to be sent again")
    first, second = service.told(code)[told:]
    assert first.body["title"] in second.body["title"]
    assert second.body != first.body, "the second says that it is possibly repeated"
    wait_until(lambda: outcomes(service, code)[-2:] == ["unknown", "sent"], "both sends to be kept")
    service.wait_for_wake(code, service.bring_forward(code))


def _in_a_wake_that_hangs(service: Service, codes: Sequence[str]) -> tuple[str, int]:
    """A subject whose flow run hands over a notice that hangs, and how many the subject had before.

    Now and then the service's own look at the outbox is quicker than the flow run: another subject has to do.
    """
    for code in codes:
        service.enrol(code)
        service.wait_for_run(code, service.is_shown(code), "to wait")
        told = len(service.told(code))
        service.receiver.hang()
        due = service.bring_forward(code, 2.0)
        wait_until(partial(_more_is_told, service, code, told), "the notice to reach the provider")
        run = service.flow_run(code)
        if run is not None and run.state_type == "RUNNING":
            return code, told
        service.receiver.succeed()
        service.wait_for_wake(code, due)
    raise AssertionError(f"no flow run of {', '.join(codes)} was in its wake while its notice hung")


def _more_is_told(service: Service, code: str, before: int) -> bool:
    return len(service.told(code)) > before


def _killed_while_it_records_a_form_it_takes_the_form_up_again_and_records_it_once(
    service: Service, code: str
) -> None:
    service.enrol(code)
    run = fill_in_contact_attempt(service, code)
    with service.study.store.writing():
        # The form's run waits for the database's lock, and so does the killed one's successor.
        wait_until(lambda: state_of(service, run)[0] == "RUNNING", "the form to be in execution", every=0.2)
        service.kill()
    service.start()
    wait_until(lambda: state_of(service, run) == ("COMPLETED", "Recorded"), "the form's end", every=0.5)
    recorded = [line.event for line in log_lines(service.study.store, code)]
    assert [each.id for each in recorded if each.type == "itp.contact.attempted"] == [run]


def fill_in_contact_attempt(service: Service, code: str) -> str:
    """Fill in a form as somebody does in Prefect's UI; its run's id."""
    today = service.study.clock.now().astimezone(SITE).date()
    stated = {"subject": code, "by": "crc-01", "on": f"{today}", "reached": True}
    with prefect_at(service.settings.prefect_api) as prefect:
        form = prefect.get("/deployments/name/contact-attempt/contact-attempt").raise_for_status().json()
        path = f"/deployments/{form['id']}/create_flow_run"
        # With this key a repetition finds the run that the first attempt may have made all the same.
        given = {"parameters": stated, "idempotency_key": f"{code}-contact"}
        return str(prefect.post(path, json=given).raise_for_status().json()["id"])


def state_of(service: Service, run: str) -> tuple[str, str]:
    """The type and name of the state that Prefect shows of a run."""
    with prefect_at(service.settings.prefect_api) as prefect:
        state = prefect.get(f"/flow_runs/{run}").raise_for_status().json()["state"]
    return state["type"], state["name"]
