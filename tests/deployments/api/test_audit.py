"""GET /audit takes a time as `itp audit` does."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.api import Door
from tests.support.pages import person

pytestmark = pytest.mark.requirement("AUD-01")


def kinds(door: Door, **asked: str) -> set[str]:
    """The kinds of the entries that are listed."""
    answer = door.client.get("/audit", params=asked, headers=door.token("reader"))
    assert answer.status_code == 200, answer.text
    return {each["kind"] for each in answer.json()}


def test_a_time_begins_at_a_date_at_the_site_or_at_an_instant(door: Door) -> None:
    door.enrol("ITP-001")
    person(door, "reader").client.get("/s/ITP-001/correct/1")
    refused = kinds(door)
    assert "refusal" in refused
    assert kinds(door, since="2000-01-01", until="2050-01-01T00:00:00Z") == refused
    assert "refusal" not in kinds(door, since="2050-01-01")
    assert "refusal" not in kinds(door, until="2000-01-01T00:00:00+08:00")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(["since", "until"]), st.one_of(st.integers(0, 10**11), st.floats(0, 1e11)))
def test_a_number_is_no_time(door: Door, name: str, number: float) -> None:
    """A year alone would be taken for so many seconds since 1970."""
    listed = door.get("/audit", params={name: str(number)})
    assert (listed.status_code, listed.json()["field"]) == (422, name)
    assert "a date, or an instant with its offset" in listed.json()["detail"]
