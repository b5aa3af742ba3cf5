"""One event of each type, complete and valid, as the OpenAPI document shows them."""

from __future__ import annotations

from typing import Any

from deployments.example_subject import ELIGIBLE

Json = dict[str, Any]

COMPLETED: Json = {
    "specversion": "1.0",
    "id": "8f1c",
    "source": "redcap",
    "type": "itp.visit.completed",
    "subject": "ITP-007",
    "time": "2026-01-12T10:20:00+08:00",
    "data": {"visit": "INF2", "on": "2026-01-12", "by": "crc-01", "platelets": 41},
}
ENROLLED: Json = {
    "specversion": "1.0",
    "id": "e-1",
    "source": "cli",
    "type": "itp.subject.enrolled",
    "subject": "ITP-007",
    "time": "2026-01-05T09:30:00+08:00",
    "data": {
        "by": "crc-01",
        "on": "2026-01-05",
        "site": "01",
        "consent_on": "2025-12-20",
        "weight_kg": 61.5,
        "first_infusion_on": "2026-01-05",
        "screening": dict(ELIGIBLE),
    },
}


def _stated(kind: str, day: str, clock: str = "10:20", /, **data: Any) -> Json:
    return {
        "specversion": "1.0",
        "id": f"{kind}/{day}",
        "source": "edc",
        "type": f"itp.{kind}",
        "subject": "ITP-007",
        "time": f"{day}T{clock}:00+08:00",
        "data": {"by": "crc-01"} | data,
    }


_VOIDED = {"event": {"source": "redcap", "id": "8f1c"}, "reason": "entered for another subject"}
_ADVERSE = {"term": "Epistaxis", "grade": 3, "serious": True, "related": False, "on": "2026-01-14"}
_DANAZOL = {
    "drug": "danazol",
    "kind": "maintenance",
    "on": "2026-01-15",
    "detail": "200 mg a day, was 400 mg",
}
_DECISION = {"by": "inv-01", "criterion": "maintenance-changed", "decision": "continue", "on": "2026-01-16"}
_ASSESSMENT = {
    "by": "inv-01",
    "deviation": "ITP-007/INF3/missed",
    "important": True,
    "cause": "the subject was travelling",
    "action": "the next dates are agreed three weeks ahead",
}

EXAMPLES: tuple[Json, ...] = (
    ENROLLED,
    _stated("visit.booked", "2026-01-06", visit="INF2", on="2026-01-12"),
    COMPLETED,
    _stated("visit.missed", "2026-01-28", visit="INF3", reason="travelling until the window closed"),
    _stated("visit.unscheduled", "2026-01-14", on="2026-01-14", reason="nose bleed"),
    _stated("event.voided", "2026-01-13", **_VOIDED),
    _stated("adverse-event.reported", "2026-01-14", ae="AE-1", **_ADVERSE),
    _stated("sae.submitted", "2026-01-14", "16:05", ae="AE-1", on="2026-01-14"),
    _stated("pregnancy.reported", "2026-02-02", on="2026-02-02", partner=False),
    _stated("medication.changed", "2026-01-15", **_DANAZOL),
    _stated("contact.attempted", "2026-02-10", on="2026-02-10", reached=False),
    _stated("consent.withdrawn", "2026-03-01", on="2026-03-01", scope="treatment", guardian=False),
    _stated("withdrawal.decided", "2026-01-16", reason="the dose is stable again", **_DECISION),
    _stated("subject.died", "2026-04-01", on="2026-04-01"),
    _stated("escalation.acknowledged", "2026-01-22", visit="INF3", until="2026-01-26"),
    _stated("deviation.assessed", "2026-02-03", **_ASSESSMENT),
    _stated("consent.given", "2026-03-10", kind="consent", version="2.0", on="2026-03-10"),
    _stated("contact.agreed", "2026-01-05", agreed=True, language="zh-CN", on="2026-01-05"),
    _stated("visit.answered", "2026-01-11", visit="INF2", on="2026-01-12", answer="coming"),
    _stated("protocol.assigned", "2026-05-04", version="2", reason="amendment 1 is in force"),
)
