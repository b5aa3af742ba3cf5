"""A subject's visits and dispositions as SDTM records: the domains SV and DS, by SDTMIG 3.4.

A planned visit that took place or was missed has a record (SVPRESP = Y, SVOCCUR = Y or N with SVREASOC); a
visit that was cancelled or still lies ahead has none. An unscheduled visit has neither SVPRESP nor SVOCCUR,
and SVUPDES says what it was for. DS holds one disposition event for each epoch that ended. Dates are local
dates of the site; every value is text, and what is not known is empty.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from itp_events.events import Event, Unscheduled
from itp_events.explain import missed
from itp_events.subject import as_data
from itp_events.view import View
from itp_events.windows import PlannedVisit

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
