"""The forms in Prefect's UI: typed fields with choices and descriptions, for everything but decisions."""

from uuid import uuid4

import pytest
from prefect import Flow
from prefect.exceptions import ParameterTypeError
from prefect.utilities.callables import parameter_schema

from deployments import entry
from deployments.prefect.deployments import FLOWS, wanted
from deployments.prefect.trigger import automation
from flows.forms import FORMS, complete
from flows.prefect_api.flow_runs import Deployment
from itp_events.events import FACT_TYPES
from itp_events.protocol.file import load_protocol
from itp_events.protocol.model import Protocol
from tests.support.study import altered

pytestmark = pytest.mark.requirement("RUN-09")


@pytest.mark.parametrize("protocol", [load_protocol(), altered(lambda data: data["visits"].pop())])
def test_a_form_offers_the_visits_of_the_study_s_own_protocol(protocol: Protocol) -> None:
    offered = wanted(tuple(protocol.by_code))
    asking = [form.name for form in FORMS if "visit" in parameter_schema(form).properties]
    assert asking == ["book", "complete", "missed", "acknowledge"]
    for name in asking:
        field = offered[name]["parameter_openapi_schema"]["properties"]["visit"]
        assert field["enum"] == list(protocol.by_code)


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
def test_every_field_of_a_form_says_what_is_meant(form: Flow[..., object]) -> None:
    fields = parameter_schema(form).properties
    assert {"subject", "by"} <= set(fields)
    assert [name for name, field in fields.items() if not field.get("description")] == []
    assert form.description


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
def test_a_form_is_a_deployment_that_a_worker_finds_too(form: Flow[..., object]) -> None:
    assert FLOWS[form.name] is form
    assert getattr(entry, form.fn.__name__) is form


@pytest.mark.requirement("SEC-01")
def test_no_form_decides() -> None:
    assert not {"decide", "withdraw"} & {form.name for form in FORMS}
    assert not any("decision" in parameter_schema(form).properties for form in FORMS)


def test_every_type_enters_as_an_event_posted_to_prefect_and_a_decision_to_be_refused_visibly() -> None:
    trigger = automation(Deployment(uuid4(), uuid4()))["trigger"]
    assert set(trigger["expect"]) == set(FACT_TYPES)


VISITED = {"subject": "ITP-001", "by": "crc-01", "visit": "INF2", "on": "2026-01-12"}


@pytest.mark.parametrize("bleeding", [True, False, 0, 1, 4])
def test_a_form_takes_bleeding_as_a_who_grade_or_whether_there_was_any(bleeding: bool | int) -> None:
    found = complete.validate_parameters(VISITED | {"bleeding": bleeding})["bleeding"]
    assert (found, type(found)) == (bleeding, type(bleeding))


def test_a_form_refuses_a_grade_of_bleeding_that_the_scale_does_not_have() -> None:
    with pytest.raises(ParameterTypeError):
        complete.validate_parameters(VISITED | {"bleeding": 5})
