"""A subject's visits, dispositions and deviations as SDTM records: SV, DS and DV, by SDTMIG 3.4.

A planned visit that took place or was missed has a record (SVPRESP = Y, SVOCCUR = Y or N with SVREASOC); a
visit that was cancelled or still lies ahead has none. An unscheduled visit has neither SVPRESP nor SVOCCUR,
and SVUPDES says what it was for. DS holds one disposition event for each epoch that ended. DV holds one
record for each deviation; DVSPID is the id that the service gives it. How important it is, and what the
investigator stated of it, has no variable in DV and stands in SUPPDV. Dates are local dates of the site;
every value is text, and what is not known is empty.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from itp_events.events import Event, Unscheduled
from itp_events.protocol.model import DeviationCategory
from itp_events.rules.deviations import Deviation, deviations
from itp_events.rules.explain import missed
from itp_events.rules.state import View
from itp_events.rules.subject import as_data
from itp_events.rules.windows import PlannedVisit

SV = (
    "STUDYID",
    "DOMAIN",
    "USUBJID",
    "VISITNUM",
    "VISIT",
    "SVPRESP",
    "SVOCCUR",
    "SVREASOC",
    "EPOCH",
    "SVSTDTC",
    "SVENDTC",
    "SVUPDES",
)
DS = ("STUDYID", "DOMAIN", "USUBJID", "DSSEQ", "DSTERM", "DSDECOD", "DSCAT", "EPOCH", "DSSTDTC")
DV = (
    "STUDYID",
    "DOMAIN",
    "USUBJID",
    "DVSEQ",
    "DVSPID",
    "DVTERM",
    "DVDECOD",
    "DVCAT",
    "VISITNUM",
    "VISIT",
    "EPOCH",
    "DVSTDTC",
)
SUPPDV = (
    "STUDYID",
    "RDOMAIN",
    "USUBJID",
    "IDVAR",
    "IDVARVAL",
    "QNAM",
    "QLABEL",
    "QVAL",
    "QORIG",
    "QEVAL",
)
# DVDECOD and DVCAT have no codelist of their own in the controlled terminology: these are the sponsor's.
_DECODED: dict[DeviationCategory, tuple[str, str]] = {
    "window": ("VISIT OUT OF WINDOW", "VISIT SCHEDULE"),
    "missed": ("VISIT NOT DONE", "VISIT SCHEDULE"),
    "dose": ("TREATMENT DEVIATION: DOSE", "STUDY TREATMENT"),
    "on-hold": ("TREATMENT DEVIATION: GIVEN ON HOLD OR AFTER STOP", "STUDY TREATMENT"),
    "eligibility": ("SELECTION CRITERIA NOT MET", "ELIGIBILITY"),
    "safety-report": ("SAFETY REPORT LATE OR MISSING", "SAFETY REPORTING"),
    "consent": ("PROCEDURE WITHOUT CONSENT", "INFORMED CONSENT"),
}

Record = dict[str, str]


def visits(seen: View) -> list[Record]:
    """The subject's SV records, in order of VISITNUM."""
    found = [*_planned(seen), *_unplanned(seen)]
    return sorted(found, key=lambda record: float(record["VISITNUM"]))


def dispositions(seen: View) -> list[Record]:
    """The subject's DS records: DSDECOD from the codelist NCOMPLT, DSTERM as it was stated."""
    return [
        {
            **_identity(seen, "DS"),
            "DSSEQ": str(number),
            "DSTERM": each.term,
            "DSDECOD": each.decode,
            "DSCAT": "DISPOSITION EVENT",
            "EPOCH": each.epoch.upper(),
            "DSSTDTC": each.on.isoformat(),
        }
        for number, each in enumerate(seen.dispositions, 1)
    ]


def deviation_records(seen: View) -> list[Record]:
    """The subject's DV records, the oldest first."""
    numbers = {planned.code: str(number) for number, planned in enumerate(seen.visits, 1)}
    return [
        {
            **_identity(seen, "DV"),
            "DVSEQ": str(number),
            "DVSPID": each.id,
            "DVTERM": each.term,
            "DVDECOD": _DECODED[each.category][0],
            "DVCAT": _DECODED[each.category][1],
            "VISITNUM": numbers.get(each.visit or "", ""),
            "VISIT": each.visit or "",
            "EPOCH": _epoch_of(seen, each).upper(),
            "DVSTDTC": each.on.isoformat(),
        }
        for number, each in enumerate(deviations(seen), 1)
    ]


def deviation_qualifiers(seen: View) -> list[Record]:
    """The SUPPDV records that belong to the DV records: importance, cause and action of each deviation."""
    return [
        {
            "STUDYID": seen.protocol.id,
            "RDOMAIN": "DV",
            "USUBJID": seen.subject.code,
            "IDVAR": "DVSEQ",
            "IDVARVAL": str(number),
            "QNAM": name,
            "QLABEL": label,
            "QVAL": value,
            # By the rule of the protocol file, or as the investigator stated it.
            "QORIG": "CRF" if each.assessed else "DERIVED",
            "QEVAL": "INVESTIGATOR" if each.assessed else "SPONSOR",
        }
        for number, each in enumerate(deviations(seen), 1)
        for name, label, value in _qualifiers(each)
    ]


def _qualifiers(found: Deviation) -> Iterator[tuple[str, str, str]]:
    yield "DVIMP", "Important Protocol Deviation", "Y" if found.important else "N"
    said = found.assessment
    if said and said.cause:
        yield "DVCAUSE", "Cause of Deviation", said.cause
    if said and said.action:
        yield "DVACTION", "Action Taken for Deviation", said.action


def _epoch_of(seen: View, found: Deviation) -> str:
    """The epoch of a deviation: its visit's, else that of its date; screening ends with the enrolment."""
    if found.visit:
        return seen.protocol.by_code[found.visit].epoch
    at_enrolment = found.category in ("eligibility", "consent") and found.on <= seen.subject.enrolled.on
    return "screening" if at_enrolment else _epoch_on(seen, found.on)


def _identity(seen: View, domain: str) -> Record:
    return {"STUDYID": seen.protocol.id, "DOMAIN": domain, "USUBJID": seen.subject.code}


def _planned(seen: View) -> Iterator[Record]:
    for number, planned in enumerate(seen.visits, 1):
        if planned.on is not None:
            yield _of_plan(seen, number, planned, SVOCCUR="Y") | _dated(planned.on)
        elif planned.outcome == "missed":
            yield _of_plan(seen, number, planned, SVOCCUR="N", SVREASOC=missed(planned))


def _of_plan(seen: View, number: int, planned: PlannedVisit, **values: str) -> Record:
    blank = {"SVREASOC": "", "SVSTDTC": "", "SVENDTC": "", "SVUPDES": ""}
    visit = {"VISITNUM": str(number), "VISIT": planned.code, "EPOCH": planned.visit.epoch.upper()}
    return _identity(seen, "SV") | visit | {"SVPRESP": "Y"} | blank | values


def _dated(on: date) -> Record:
    return {"SVSTDTC": on.isoformat(), "SVENDTC": on.isoformat()}


def _unplanned(seen: View) -> Iterator[Record]:
    after: dict[int, int] = {}
    for event in seen.subject.of(Unscheduled):
        before = _visits_before(seen, event)
        after[before] = after.get(before, 0) + 1
        yield {
            **_identity(seen, "SV"),
            # A decimal after the planned visit that came before it, as the implementation guide has it.
            "VISITNUM": f"{before}.{after[before]:02}",
            "VISIT": "UNSCHEDULED",
            "SVPRESP": "",
            "SVOCCUR": "",
            "SVREASOC": "",
            "EPOCH": _epoch_on(seen, as_data(event, Unscheduled).on).upper(),
            **_dated(as_data(event, Unscheduled).on),
            "SVUPDES": as_data(event, Unscheduled).reason,
        }


def _visits_before(seen: View, event: Event) -> int:
    on = as_data(event, Unscheduled).on
    done = [number for number, each in enumerate(seen.visits, 1) if each.on is not None and each.on <= on]
    return max(done, default=0)


def _epoch_on(seen: View, on: date) -> str:
    """The epoch of a date: follow-up once the treatment's disposition lies behind it."""
    ended = next((each.on for each in seen.dispositions if each.epoch == "treatment"), None)
    return "follow-up" if ended is not None and on > ended else "treatment"
