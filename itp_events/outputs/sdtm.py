"""A subject's visits, dispositions and deviations as SDTM records: SV, DS and DV, by SDTMIG 3.4.

This module writes no files. Dates are local dates of the site; every value is text, and an unknown value is
empty.

SV: a planned visit that took place or was missed has a record (SVPRESP = Y, SVOCCUR = Y or N with SVREASOC);
a visit that was cancelled or still lies ahead has none. An unscheduled visit has neither SVPRESP nor SVOCCUR,
and SVUPDES gives its reason. DS holds one disposition event for each epoch that ended. DV holds one record
for each deviation; DVSPID is the id that the service gives it. The importance of a deviation and the
investigator's assessment, with who made it, have no variable in DV and stand in SUPPDV.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date

from itp_events.events import Event, EventKey, Unscheduled
from itp_events.protocol.model import DeviationCategory
from itp_events.rules.deviations import Deviation, deviations
from itp_events.rules.explain import missed
from itp_events.rules.state import SubjectState
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
# The controlled terminology has no codelist for DVDECOD and DVCAT: these values are the sponsor's.
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
# The account that was signed in for an event, and the door by which it came in, as far as they are known.
SignedIn = Mapping[EventKey, tuple[str | None, str | None]]
# QNAM, QLABEL and QVAL.
_Qualifier = tuple[str, str, str]


def visits(state: SubjectState) -> list[Record]:
    """The subject's SV records, in order of VISITNUM."""
    records = [*_planned(state), *_unplanned(state)]
    return sorted(records, key=lambda record: float(record["VISITNUM"]))


def dispositions(state: SubjectState) -> list[Record]:
    """The subject's DS records: DSDECOD from the codelist NCOMPLT, DSTERM in the words of the event."""
    return [
        {
            **_identity(state, "DS"),
            "DSSEQ": str(number),
            "DSTERM": each.term,
            "DSDECOD": each.decode,
            "DSCAT": "DISPOSITION EVENT",
            "EPOCH": each.epoch.upper(),
            "DSSTDTC": each.on.isoformat(),
        }
        for number, each in enumerate(state.dispositions, 1)
    ]


def deviation_records(state: SubjectState) -> list[Record]:
    """The subject's DV records, the oldest first."""
    numbers = {planned.code: str(number) for number, planned in enumerate(state.visits, 1)}
    return [
        {
            **_identity(state, "DV"),
            "DVSEQ": str(number),
            "DVSPID": each.id,
            "DVTERM": each.term,
            "DVDECOD": _DECODED[each.category][0],
            "DVCAT": _DECODED[each.category][1],
            "VISITNUM": numbers.get(each.visit or "", ""),
            "VISIT": each.visit or "",
            "EPOCH": _epoch_of(state, each).upper(),
            "DVSTDTC": each.on.isoformat(),
        }
        for number, each in enumerate(deviations(state), 1)
    ]


def deviation_qualifiers(state: SubjectState, signed_in: SignedIn) -> list[Record]:
    """The subject's SUPPDV records: each deviation's importance, cause and action, and who assessed it."""
    return [
        {
            "STUDYID": state.protocol.id,
            "RDOMAIN": "DV",
            "USUBJID": state.subject.code,
            "IDVAR": "DVSEQ",
            "IDVARVAL": str(number),
            "QNAM": name,
            "QLABEL": label,
            "QVAL": value,
            "QORIG": origin,
            "QEVAL": evaluator,
        }
        for number, each in enumerate(deviations(state), 1)
        for (name, label, value), origin, evaluator in _qualifiers(each, signed_in)
    ]


def _qualifiers(deviation: Deviation, signed_in: SignedIn) -> Iterator[tuple[_Qualifier, str, str]]:
    """Each qualifier with its origin, and with who judged: nobody where it says who assessed."""
    importance = "DVIMP", "Important Protocol Deviation", "Y" if deviation.important else "N"
    said = deviation.assessment
    if said is None or deviation.assessed is None:
        # Importance comes from the protocol file until the investigator assesses the deviation.
        yield importance, "DERIVED", "SPONSOR"
        return
    actor, door = signed_in.get(deviation.assessed.key, (None, None))
    cause = "DVCAUSE", "Cause of Deviation", said.cause or ""
    action = "DVACTION", "Action Taken for Deviation", said.action or ""
    yield from ((each, "CRF", "INVESTIGATOR") for each in (importance, cause, action) if each[2])
    yield ("DVASSBY", "Person Who Assessed Deviation", said.by), "CRF", ""
    account = "DVACTOR", "Account Signed In for Assessment", actor or ""
    through = "DVDOOR", "Door by Which Assessment Came In", door or ""
    yield from ((each, "ASSIGNED", "") for each in (account, through) if each[2])


def _epoch_of(state: SubjectState, deviation: Deviation) -> str:
    """The epoch of a deviation: of its visit, else of its date. Screening ends with the enrolment."""
    if deviation.visit:
        return next(each.visit.epoch for each in state.visits if each.code == deviation.visit)
    at_enrolment = (
        deviation.category in ("eligibility", "consent") and deviation.on <= state.subject.enrolled.on
    )
    return "screening" if at_enrolment else _epoch_on(state, deviation.on)


def _identity(state: SubjectState, domain: str) -> Record:
    return {"STUDYID": state.protocol.id, "DOMAIN": domain, "USUBJID": state.subject.code}


def _planned(state: SubjectState) -> Iterator[Record]:
    for number, planned in enumerate(state.visits, 1):
        if planned.on is not None:
            yield _of_plan(state, number, planned, SVOCCUR="Y") | _dated(planned.on)
        elif planned.outcome == "missed":
            yield _of_plan(state, number, planned, SVOCCUR="N", SVREASOC=missed(planned))


def _of_plan(state: SubjectState, number: int, planned: PlannedVisit, **values: str) -> Record:
    blank = {"SVREASOC": "", "SVSTDTC": "", "SVENDTC": "", "SVUPDES": ""}
    visit = {"VISITNUM": str(number), "VISIT": planned.code, "EPOCH": planned.visit.epoch.upper()}
    return _identity(state, "SV") | visit | {"SVPRESP": "Y"} | blank | values


def _dated(on: date) -> Record:
    return {"SVSTDTC": on.isoformat(), "SVENDTC": on.isoformat()}


def _unplanned(state: SubjectState) -> Iterator[Record]:
    after: dict[int, int] = {}
    for event in state.subject.of(Unscheduled):
        before = _visits_before(state, event)
        after[before] = after.get(before, 0) + 1
        yield {
            **_identity(state, "SV"),
            # A decimal behind the planned visit before it, as the implementation guide says.
            "VISITNUM": f"{before}.{after[before]:02}",
            "VISIT": "UNSCHEDULED",
            "SVPRESP": "",
            "SVOCCUR": "",
            "SVREASOC": "",
            "EPOCH": _epoch_on(state, as_data(event, Unscheduled).on).upper(),
            **_dated(as_data(event, Unscheduled).on),
            "SVUPDES": as_data(event, Unscheduled).reason,
        }


def _visits_before(state: SubjectState, event: Event) -> int:
    on = as_data(event, Unscheduled).on
    done = [number for number, each in enumerate(state.visits, 1) if each.on is not None and each.on <= on]
    return max(done, default=0)


def _epoch_on(state: SubjectState, on: date) -> str:
    """The epoch of a site-local date: follow-up when it lies after the disposition of treatment."""
    ended = next((each.on for each in state.dispositions if each.epoch == "treatment"), None)
    return "follow-up" if ended is not None and on > ended else "treatment"
