"""The API keeps what its OpenAPI document promises, whatever is sent."""

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from typing import Any

import hypothesis
import pytest
import schemathesis
from hypothesis import HealthCheck
from hypothesis import strategies as st
from schemathesis.specs.openapi.schemas import OpenApiSchema

from deployments.api.app import create_app
from deployments.api.http.body import MEDIA_TYPES
from deployments.api.http.examples import EXAMPLES
from itp_events.events import FACT_TYPES, parse_event
from tasks.database.monitoring import ROUND, beat
from tests.support.api import Door, done, served

pytestmark = pytest.mark.requirement("API-01")

CASES = 50

# Years that can occur: otherwise most of what is generated is refused for its year alone.
YEARS = (date(1900, 1, 1), date(2199, 12, 31))
schemathesis.openapi.format("date", st.dates(*YEARS).map(str))
schemathesis.openapi.format(
    "date-time",
    st.datetimes(*(datetime.combine(day, time()) for day in YEARS)).map(lambda at: f"{at.isoformat()}Z"),
)


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    with served(tmp_path_factory.mktemp("openapi")) as door:
        door.enrol("ITP-007")
        door.post(done("INF1", door.now - timedelta(hours=1), "ITP-007"))
        beat(door.study.store, ROUND, door.now + timedelta(minutes=10))
        yield door


@pytest.fixture(scope="module")
def authorized(door: Door) -> dict[str, str]:
    return door.token("investigator")


OPERATIONS = (
    "GET /agenda.ics",
    "GET /amendments/{version}",
    "GET /audit",
    "GET /healthz",
    "GET /leftovers",
    "GET /livez",
    "GET /metrics",
    "GET /readyz",
    "GET /subjects",
    "GET /subjects/{code}",
    "GET /subjects/{code}/calendar.ics",
    "GET /subjects/{code}/plan",
    "POST /events",
    "POST /reviews",
    "POST /signatures",
)


@pytest.fixture(scope="module")
def described(door: Door) -> OpenApiSchema:
    found: OpenApiSchema = schemathesis.openapi.from_dict(create_app(door.api).openapi())
    # The document says in words that text holds no NUL: as a pattern it would make every text a regex.
    found.config.generation.update(allow_x00=False)
    return found


@pytest.mark.parametrize("named", OPERATIONS)
def test_the_api_keeps_its_document(
    named: str, described: OpenApiSchema, door: Door, authorized: dict[str, str]
) -> None:
    method, path = named.split()
    operation = described[path][method]
    address = str(door.client.base_url).rstrip("/")

    @hypothesis.given(case=operation.as_strategy())
    @hypothesis.settings(max_examples=CASES, deadline=None, suppress_health_check=list(HealthCheck))
    def check(case: schemathesis.Case[Any]) -> None:
        case.call_and_validate(base_url=address, headers=authorized)

    check()


def test_the_document_holds_no_other_operations(described: OpenApiSchema) -> None:
    paths = described.raw_schema["paths"]
    found = [f"{method.upper()} {path}" for path, methods in paths.items() for method in methods]
    assert sorted(found) == sorted(OPERATIONS)


def test_the_document_describes_every_type_of_event_and_its_examples_are_events(door: Door) -> None:
    schemas = create_app(door.api).openapi()["components"]["schemas"]
    described = {
        schemas[ref["$ref"].rsplit("/", 1)[1]]["properties"]["type"]["const"]
        for ref in schemas["Event"]["oneOf"]
    }
    assert described == set(FACT_TYPES)
    assert [parse_event(example).type for example in EXAMPLES] == [example["type"] for example in EXAMPLES]
    assert sorted(example["type"] for example in EXAMPLES) == sorted(FACT_TYPES)


def test_the_document_says_which_media_types_and_credentials_are_taken(door: Door) -> None:
    document = create_app(door.api).openapi()
    operation = document["paths"]["/events"]["post"]
    assert list(operation["requestBody"]["content"]) == list(MEDIA_TYPES)
    schemes = {name: scheme["scheme"] for name, scheme in document["components"]["securitySchemes"].items()}
    assert schemes == {"bearer": "bearer", "basic": "basic"}
    assert operation["security"] == [{"bearer": []}, {"basic": []}]
