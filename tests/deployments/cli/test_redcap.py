"""REDCap on the command line: `itp redcap catch-up`, and what `itp doctor` finds of the rights there."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.deployments.api.redcap.coordinator import ENROLMENT
from tests.deployments.cli.conftest import Itp, Said
from tests.support.redcap import EXAMPLE, TOKEN, Field, Raw, RedcapStandIn

pytestmark = pytest.mark.requirement("API-03")


@pytest.fixture
def redcap() -> Iterator[RedcapStandIn]:
    with RedcapStandIn() as redcap:
        yield redcap


@pytest.fixture
def connected(itp: Itp, redcap: RedcapStandIn, monkeypatch: pytest.MonkeyPatch) -> Itp:
    """Runs a command line of a study that is connected to REDCap."""
    monkeypatch.setenv("ITP_REDCAP_URL", redcap.url)
    monkeypatch.setenv("ITP_REDCAP_TOKEN", TOKEN)
    monkeypatch.setenv("ITP_REDCAP_MAPPING", str(EXAMPLE))
    return itp


def save(redcap: RedcapStandIn, **changes: str) -> None:
    """Save the enrolment and the first infusion of one subject."""
    on = f"{redcap.now - timedelta(days=9):%Y-%m-%d}"
    redcap.save("7", "screening_arm_1", "enrolment", **(ENROLMENT | {"enrol_date": on, "consent_date": on}))
    visit = {"visit_by": "crc-01", "visit_date": on, "plt": "41"} | changes
    redcap.save("7", "inf_1_arm_1", "visit", **visit)


def test_what_was_saved_is_caught_up_and_told(connected: Itp, redcap: RedcapStandIn) -> None:
    save(redcap)
    said = connected("redcap", "catch-up", "--json")
    assert said.code == 0, said.err
    assert said.json["records"] == ["7"]
    forms = [form["form"] for form in said.json["forms"]]
    assert forms == ["42/7/screening_arm_1/enrolment", "42/7/inf_1_arm_1/visit"]
    assert connected("subjects", "--json").json[0]["state"] == "INF2 overdue"
    again = connected("redcap", "catch-up")
    assert (again.code, again.err) == (0, "")
    assert again.out.splitlines()[-1].endswith("1 record changed, 0 forms with something new.")


def test_an_earlier_time_of_redcap_s_server_may_be_named(connected: Itp, redcap: RedcapStandIn) -> None:
    redcap.at = datetime.now(UTC) - timedelta(days=9)  # noqa: TID251
    save(redcap)
    redcap.at = None
    assert connected("redcap", "catch-up", "--json").json["records"] == []
    since = f"{redcap.now - timedelta(days=10):%Y-%m-%d}"
    assert len(connected("redcap", "catch-up", "--since", since, "--json").json["forms"]) == 2


@pytest.mark.parametrize("since", ["yesterday", "2026-02-30", "2026-01-05T09:00:00+08:00", "05.01.2026"])
def test_another_way_to_write_it_is_refused(connected: Itp, redcap: RedcapStandIn, since: str) -> None:
    said = connected("redcap", "catch-up", "--since", since)
    assert said.code == 2
    assert said.err.startswith("--since: write a date, or a date and a time of REDCap's server")
    assert redcap.asked == []


def test_what_is_left_is_named_and_ends_with_1(connected: Itp, redcap: RedcapStandIn) -> None:
    save(redcap, plt="4_1")
    said = connected("redcap", "catch-up")
    assert said.code == 1
    assert said.problems == ["42/7/inf_1_arm_1/visit: plt: '4_1' cannot be mapped as number"]
    assert "recorded  42/7/screening_arm_1/enrolment" in said.out


def test_without_a_redcap_or_its_answer_one_line_says_so(connected: Itp, redcap: RedcapStandIn) -> None:
    none = connected("redcap", "catch-up", ITP_REDCAP_URL="")
    assert (none.code, none.problems) == (2, ["ITP_REDCAP_URL: no REDCap is configured"])
    redcap.rights.logging = False
    refused = connected("redcap", "catch-up")
    assert refused.code == 1
    assert refused.problems[0].startswith("REDCap answers 403")


def found(said: Said) -> list[tuple[str, str]]:
    """What the doctor finds of REDCap: the level, and what it says."""
    return [(each["level"], each["said"]) for each in said.json["findings"] if each["name"] == "REDCap"]


def test_the_doctor_says_nothing_of_a_redcap_that_is_not_named(itp: Itp) -> None:
    assert found(itp("doctor", "--json")) == []


def test_with_full_rights_the_doctor_finds_all_in_place(
    connected: Itp, redcap: RedcapStandIn, tmp_path: Path
) -> None:
    save(redcap)
    assert [level for level, _ in found(connected("doctor", "--json"))] == ["ok", "ok"]
    assert not (tmp_path / "data").exists()


def hash_names(redcap: RedcapStandIn) -> None:
    """Tag the record's name as an identifier, which lesser rights than the whole data set hash."""
    redcap.dictionary["record_id"] = Field("enrolment", "text", identifier=True)
    redcap.rights.access = "no-identifiers"


FAULTS: dict[str, tuple[Any, str, str]] = {
    "de-identified": (
        lambda redcap: setattr(redcap.rights, "access", "de-identified"),
        "fail",
        "subject_code",
    ),
    "a form without rights": (
        lambda redcap: redcap.rights.of_forms.update(visit="none"),
        "fail",
        "visit_date",
    ),
    "hashed names": (hash_names, "fail", "record names are exported hashed"),
    "no data export": (lambda redcap: setattr(redcap.rights, "access", "none"), "fail", "REDCap answers 403"),
    "no API": (lambda redcap: setattr(redcap.rights, "api", False), "fail", "REDCap answers 403"),
    "no log": (lambda redcap: setattr(redcap.rights, "logging", False), "warn", "its log is not given"),
    "a field that there is not": (lambda redcap: redcap.dictionary.pop("plt"), "fail", "'plt'"),
    "codes that the mapping does not know": (
        lambda redcap: setattr(redcap, "missing_data_codes", "UNK, Unknown | -99, Not done"),
        "warn",
        "missing data codes -99",
    ),
    "a page": (lambda redcap: setattr(redcap, "raw", Raw(b"<html>")), "fail", "with a page and no JSON"),
    "down": (lambda redcap: setattr(redcap, "down", True), "fail", "REDCap answers 503"),
    "no record": (lambda redcap: redcap.forms.clear(), "warn", "has no record yet"),
}


@pytest.mark.parametrize(("spoil", "level", "said"), FAULTS.values(), ids=FAULTS)
def test_the_doctor_tries_each_right(
    connected: Itp, redcap: RedcapStandIn, spoil: Any, level: str, said: str
) -> None:
    redcap.forms["7"] = {}
    save(redcap)
    if said == "'plt'":
        redcap.forms["7"] = {form: {} for form in redcap.forms["7"]}
    spoil(redcap)
    wrong = [each for each in found(connected("doctor", "--json")) if each[0] != "ok"]
    assert [each[0] for each in wrong] == [level]
    assert said in wrong[0][1]


def test_the_doctor_names_a_wrong_mapping_and_a_missing_setting(
    connected: Itp, redcap: RedcapStandIn, tmp_path: Path
) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("source: a\nsource: b\n")
    [(level, said)] = found(connected("doctor", "--json", ITP_REDCAP_MAPPING=str(wrong)))
    assert (level, f"{wrong}:2: 'source' is given twice" in said) == ("fail", True)
    [(level, said)] = found(connected("doctor", "--json", ITP_REDCAP_TOKEN=""))
    assert (level, said) == ("fail", "ITP_REDCAP_URL is set alone")
    assert redcap.asked == []
