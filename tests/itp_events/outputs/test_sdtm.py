"""The SDTM records of a subject's visits (SV), dispositions (DS) and deviations (DV, SUPPDV)."""

import pytest

from itp_events.events import EventKey
from itp_events.outputs import sdtm
from itp_events.rules.state import SubjectState, subject_state
from tests.support.study import FOLLOW_UP, INFUSIONS, Study

pytestmark = pytest.mark.requirement("OUT-03")


def state(study: Study, at: str) -> SubjectState:
    return subject_state(study.folded(), study.instant(at))


def sv(study: Study, at: str) -> dict[str, sdtm.Record]:
    return {record["VISIT"]: record for record in sdtm.visits(state(study, at))}


def ds(study: Study, at: str) -> list[tuple[str, str, str]]:
    records = sdtm.dispositions(state(study, at))
    return [(record["EPOCH"], record["DSSTDTC"], record["DSDECOD"]) for record in records]


def test_a_visit_done_is_a_planned_visit_that_occurred() -> None:
    study = Study()
    study.enrol("2026-01-05")
    study.done("INF1", "2026-01-06")
    assert sv(study, "2026-01-07") == {
        "INF1": {
            "STUDYID": "NCT06813157",
            "DOMAIN": "SV",
            "USUBJID": "ITP-001",
            "VISITNUM": "1",
            "VISIT": "INF1",
            "SVPRESP": "Y",
            "SVOCCUR": "Y",
            "SVREASOC": "",
            "EPOCH": "TREATMENT",
            "SVSTDTC": "2026-01-06",
            "SVENDTC": "2026-01-06",
            "SVUPDES": "",
        }
    }


def test_a_missed_visit_did_not_occur_for_the_reason_that_was_stated() -> None:
    study = Study()
    study.enrol("2026-01-05")
    study.done("INF1", "2026-01-06")
    study.missed("INF2", "2026-01-14", reason="fever")
    record = sv(study, "2026-01-15")["INF2"]
    assert (record["SVPRESP"], record["SVOCCUR"], record["SVREASOC"]) == ("Y", "N", "fever")
    assert record["SVSTDTC"] == ""


def test_a_visit_that_the_service_counts_as_missed_says_since_when_its_window_is_closed() -> None:
    study = Study()
    study.enrol("2026-01-05")
    assert sv(study, "2026-02-02")["INF1"]["SVREASOC"] == "not recorded; window closed on 12 Jan 2026"


def test_an_unscheduled_visit_is_numbered_after_the_visit_before_it_and_says_what_it_was_for() -> None:
    study = Study()
    study.enrol("2026-01-05")
    study.done("INF1", "2026-01-06")
    study.unscheduled("2026-01-08", reason="nosebleed")
    study.unscheduled("2026-01-09", reason="nosebleed again")
    study.done("INF2", "2026-01-13")
    records = sdtm.visits(state(study, "2026-01-14"))
    assert [record["VISITNUM"] for record in records] == ["1", "1.01", "1.02", "2"]
    unplanned = records[1]
    assert (unplanned["SVPRESP"], unplanned["SVOCCUR"], unplanned["SVUPDES"]) == ("", "", "nosebleed")
    assert (unplanned["SVSTDTC"], unplanned["EPOCH"]) == ("2026-01-08", "TREATMENT")


def test_an_unscheduled_visit_after_the_treatment_s_end_belongs_to_follow_up() -> None:
    study = Study()
    study.enrol("2026-01-05")
    study.on_target(*INFUSIONS)
    study.unscheduled("2026-02-27")
    assert sv(study, "2026-02-28")["UNSCHEDULED"]["EPOCH"] == "FOLLOW-UP"


def test_a_cancelled_visit_has_no_record_and_nothing_is_planned_after_the_final_disposition() -> None:
    study = Study()
    study.enrol("2026-01-05")
    study.done("INF1", "2026-01-06")
    study.withdrew("2026-01-08")
    assert list(sv(study, "2027-06-01")) == ["INF1"]


@pytest.mark.requirement("WDR-09")
def test_each_epoch_that_ended_has_one_disposition() -> None:
    study = Study()
    study.enrol("2026-01-05")
    study.done("INF1", "2026-01-06")
    study.decided("stop-treatment", "2026-01-08")
    assert ds(study, "2026-01-09") == [("TREATMENT", "2026-01-08", "PHYSICIAN DECISION")]
    study.on_target(*FOLLOW_UP)
    assert ds(study, "2027-02-01")[1] == ("FOLLOW-UP", "2027-01-06", "COMPLETED")


@pytest.mark.requirement("WDR-09")
def test_a_disposition_keeps_the_investigator_s_own_words() -> None:
    study = Study()
    study.enrol("2026-01-05")
    study.done("INF1", "2026-01-06")
    study.decided("withdraw", "2026-01-08", reason="moves abroad")
    [record] = sdtm.dispositions(state(study, "2026-01-09"))
    assert (record["DSCAT"], record["DSSEQ"]) == ("DISPOSITION EVENT", "1")
    assert "moves abroad" in record["DSTERM"]


def test_a_deviation_has_a_record_with_its_id_its_visit_and_its_epoch() -> None:
    study = Study()
    study.enrol("2026-01-05")
    study.done("INF1", "2026-01-15")
    [record] = sdtm.deviation_records(state(study, "2026-01-16"))
    assert record == {
        "STUDYID": "NCT06813157",
        "DOMAIN": "DV",
        "USUBJID": "ITP-001",
        "DVSEQ": "1",
        "DVSPID": "ITP-001/INF1/window/2026-01-15/+3d",
        "DVTERM": "INF1 done on 15 Jan 2026, 3 days after the window of 5 to 12 Jan 2026",
        "DVDECOD": "VISIT OUT OF WINDOW",
        "DVCAT": "VISIT SCHEDULE",
        "VISITNUM": "1",
        "VISIT": "INF1",
        "EPOCH": "TREATMENT",
        "DVSTDTC": "2026-01-15",
    }
    assert tuple(record) == sdtm.DV


def test_a_criterion_found_unmet_later_belongs_to_screening() -> None:
    study = Study()
    enrolment = study.enrol("2026-01-05")
    data = enrolment.to_json()["data"] | {"consent_on": "2026-01-06"}
    data["screening"]["itp_months"] = 2
    on = data.pop("on")
    again = study.event(enrolment.type, on, "2026-01-06", **data)
    study.record(study.void(enrolment, "2026-01-06"), again)
    records = sdtm.deviation_records(state(study, "2026-01-07"))
    assert [(row["DVDECOD"], row["EPOCH"], row["VISIT"]) for row in records] == [
        ("PROCEDURE WITHOUT CONSENT", "SCREENING", ""),
        ("SELECTION CRITERIA NOT MET", "SCREENING", ""),
    ]


def test_how_important_a_deviation_is_stands_in_the_supplemental_qualifiers() -> None:
    study = Study()
    study.enrol("2026-01-05")
    study.missed("INF1", "2026-01-14")
    signed_in: dict[EventKey, tuple[str | None, str | None]] = {}

    def qualifiers(at: str) -> list[tuple[str, ...]]:
        found = sdtm.deviation_qualifiers(state(study, at), signed_in)
        assert all(tuple(each) == sdtm.SUPPDV for each in found)
        return [tuple(each[name] for name in ("IDVARVAL", "QNAM", "QVAL", "QEVAL")) for each in found]

    assert qualifiers("2026-01-15") == [("1", "DVIMP", "Y", "SPONSOR")]
    assessed = study.assessed("ITP-001/INF1/missed", at="2026-01-15", cause="fever", action="none")
    signed_in[assessed.key] = ("castor", "api")
    assert qualifiers("2026-01-16") == [
        ("1", "DVIMP", "N", "INVESTIGATOR"),
        ("1", "DVCAUSE", "fever", "INVESTIGATOR"),
        ("1", "DVACTION", "none", "INVESTIGATOR"),
        ("1", "DVASSBY", "inv-01", ""),
        ("1", "DVACTOR", "castor", ""),
        ("1", "DVDOOR", "api", ""),
    ]
