"""Operation qualification: each thing that the service does for a subject, seen from outside."""

from __future__ import annotations

import time
from datetime import date, timedelta

from deployments.example_subject import ELIGIBLE
from deployments.qualification.people import (
    announced,
    at,
    decide,
    delivered,
    enrolment,
    event,
    leave,
    log,
    plan,
    record,
    steps_sent,
    the_site,
    today,
    told,
    visit,
)
from deployments.qualification.steps import Scene, Step
from itp_events.events import Completed, Voided

_MOMENT = timedelta(minutes=1)
# An alert leaves at once: more real seconds than these are too many on any machine.
_AT_ONCE = 10.0


def _enrolment(scene: Scene) -> None:
    stated = enrolment(scene, "QUAL-01", first_infusion_on=(today(scene) + timedelta(days=4)).isoformat())
    record(scene, stated)
    status, answer = scene.site.post(stated)
    scene.expect(status == 200, "the same enrolment again is known, and changes nothing", answer)
    young = enrolment(scene, "QUAL-02", screening=dict(ELIGIBLE) | {"age_years": 3})
    status, answer = scene.site.post(young)
    scene.expect(
        status == 409 and "age" in str(answer),
        "an enrolment at 3 years is refused, with the criterion",
        answer,
    )
    refused = scene.site.itp_json("screening")
    scene.expect(
        [row["subject"] for row in refused] == ["QUAL-02"], "the screening log keeps the refusal", refused
    )
    codes = [row["subject"] for row in scene.site.get("/subjects")]
    scene.expect("QUAL-02" not in codes, "the refused one is no subject", codes)


def _order(scene: Scene) -> None:
    early = event(scene, "visit.completed", "QUAL-01", visit="INF2", on=today(scene).isoformat())
    status, answer = scene.site.post(early)
    scene.expect(
        status == 409, "an infusion before the one that it hangs on is refused with the rule", answer
    )
    wrong = event(scene, "visit.completed", "QUAL-01", visit="INF1", on=today(scene).isoformat(), wieght=61)
    status, answer = scene.site.post(wrong)
    scene.expect(status == 422 and "wieght" in str(answer), "a misspelt field is refused by its name", answer)


def _reminder(scene: Scene) -> None:
    due = announced(scene, "QUAL-01", "T-1d", "INF1")
    site_time = due.astimezone(the_site(scene).zone)
    scene.note(f"the plan announces the reminder T-1d of infusion 1 for {site_time:%Y-%m-%d %H:%M}")
    scene.site.go_to(due - _MOMENT)
    scene.expect(
        ("T-1d", "coordinator") not in steps_sent(scene, "QUAL-01", "INF1"), "it has not left a minute before"
    )
    scene.site.go_to(due)
    told(scene, "QUAL-01", "T-1d", ["coordinator"])
    told(scene, "QUAL-01", "T-3d", ["cell-lab"])
    leave(scene, "QUAL-01", "QUAL-IQ")


def _escalation(scene: Scene) -> None:
    code, first = "QUAL-03", today(scene).isoformat()
    record(scene, enrolment(scene, code, first_infusion_on=first))
    record(scene, event(scene, "visit.completed", code, visit="INF1", on=first))
    closes = date.fromisoformat(visit(scene, code, "INF2")["closes"])
    for step, audience in (("rung-1", "coordinator"), ("rung-2", "investigator"), ("rung-3", "sponsor")):
        due = announced(scene, code, step, "INF2")
        scene.expect(due > at(scene, closes, 24), f"{step} is due after the window's last day, {closes}", due)
        scene.site.go_to(due - _MOMENT)
        scene.expect(
            (step, audience) not in steps_sent(scene, code, "INF2"), f"{step} has not left a minute before"
        )
        scene.site.go_to(due)
        told(scene, code, step, [audience], "INF2")
    record(scene, event(scene, "visit.completed", code, visit="INF2", on=closes.isoformat()))
    found = visit(scene, code, "INF2")
    scene.expect(
        found["status"] == "completed", "recorded late, the visit is done and no longer overdue", found
    )
    rungs = [each for each in plan(scene, code)["forecast"] if each["visit"] == "INF2"]
    scene.expect(rungs == [], "nothing more is announced about it", rungs)
    leave(scene, code)


def _serious(scene: Scene, code: str, **data: object) -> dict[str, object]:
    given = {"ae": "AE-1", "term": "fever", "grade": 3, "serious": True, "related": False}
    return event(scene, "adverse-event.reported", code, on=today(scene).isoformat(), **(given | data))


def _safety(scene: Scene) -> None:
    code, first = "QUAL-04", today(scene).isoformat()
    record(scene, enrolment(scene, code, first_infusion_on=first))
    record(scene, event(scene, "visit.completed", code, visit="INF1", on=first))
    reported, began = scene.site.clock.now(), time.monotonic()
    record(scene, _serious(scene, code))
    told(scene, code, "sae", ["investigator", "sponsor"])
    seconds = time.monotonic() - began
    scene.expect(seconds < _AT_ONCE, f"both were told within {seconds:.1f} s")
    due = announced(scene, code, "sae-20h")
    scene.expect(abs(due - reported - timedelta(hours=20)) < _MOMENT, "a call is due after 20 hours", due)
    scene.site.go_to(due)
    told(scene, code, "sae-20h", ["investigator", "sponsor"])
    record(scene, event(scene, "sae.submitted", code, ae="AE-1", on=today(scene).isoformat()))
    scene.site.go_to(reported + timedelta(hours=25))
    late = [each.key for each in delivered(scene, code) if each.step == "sae-24h"]
    scene.expect(late == [], "once the submission is recorded nobody is called after 24 hours", late)


def _hold(scene: Scene) -> None:
    code = "QUAL-04"
    record(scene, _serious(scene, code, ae="AE-2", related=True))
    told(scene, code, "flag", ["investigator", "coordinator"])
    found = plan(scene, code)
    scene.expect(
        found["state"] == "On hold: adverse-event",
        "a related serious event holds the subject",
        found["state"],
    )
    proposed = [each for each in found["visits"] if each["epoch"] == "treatment" and each["suggested"]]
    scene.expect(proposed == [], "no infusion is proposed during the hold", proposed)
    stated = event(
        scene, "withdrawal.decided", code, decision="continue", reason="harmless", on=today(scene).isoformat()
    )
    status, answer = scene.site.post(stated)
    scene.expect(status == 403, "a decision from somebody who is no investigator is refused", answer)
    decide(scene, code, decision="continue", reason="recovered, no relation after all")
    found = plan(scene, code)
    scene.expect(found["status"] == "on-treatment", "after the decision the subject goes on", found["status"])


def _withdrawal(scene: Scene) -> None:
    code = "QUAL-04"
    leave(scene, code)
    told(scene, code, "exit", ["investigator", "coordinator", "sponsor", "cell-lab"])
    found = plan(scene, code)
    scene.expect(
        found["exit"]["decode"] == "WITHDRAWAL BY SUBJECT",
        "the disposition is as CDISC names it",
        found["exit"],
    )
    ahead = {each["status"] for each in found["visits"] if each["code"] != "INF1"}
    scene.expect(ahead == {"cancelled"}, "what was ahead is cancelled", ahead)
    more = event(scene, "visit.completed", code, visit="INF2", on=today(scene).isoformat())
    status, answer = scene.site.post(more)
    scene.expect(status == 409, "a visit after the exit is refused", answer)


def _correction(scene: Scene) -> None:
    code, first = "QUAL-05", today(scene).isoformat()
    record(scene, enrolment(scene, code, first_infusion_on=first))
    done = event(scene, "visit.completed", code, visit="INF1", on=first)
    record(scene, done)
    scene.site.go_to(scene.site.clock.now() + timedelta(days=1))
    before = date.fromisoformat(visit(scene, code, "INF2")["target"])
    void = {"source": done["source"], "id": done["id"]}
    second = today(scene).isoformat()
    record(
        scene,
        event(scene, "event.voided", code, event=void, reason="given a day later"),
        event(scene, "visit.completed", code, visit="INF1", on=second),
    )
    after = date.fromisoformat(visit(scene, code, "INF2")["target"])
    scene.expect(after == before + timedelta(days=1), f"infusion 2 moves from {before} to {after}")
    kept = [each.data for each in log(scene, code)]
    stated = [each.on.isoformat() for each in kept if isinstance(each, Completed)]
    scene.expect(stated == [first, second], "both statements stay in the log", stated)
    reasons = [each.reason for each in kept if isinstance(each, Voided)]
    scene.expect(reasons == ["given a day later"], "and the correction with its reason", reasons)
    leave(scene, code)


def _flow_runs(scene: Scene) -> None:
    from flows.prefect_api.flow_runs import FlowRuns

    rows = {row["subject"]: row["state"] for row in scene.site.get("/subjects")}
    prefect = FlowRuns(scene.site.prefect_api, 10.0)

    def shown() -> bool:
        runs = prefect.find(list(rows))
        return all(code in runs and runs[code].state_name == state for code, state in rows.items())

    try:
        scene.site.until(shown, "Prefect to show where each subject stands")
    finally:
        prefect.close()
    scene.note(f"Prefect shows one flow run for each of {len(rows)} subjects, named as its subject stands")


STEPS = (
    Step(
        "OQ-1",
        "An enrolment counts once; one that fails a criterion is refused.",
        ("ELI-01", "ELI-02", "INT-04"),
        _enrolment,
        vital=True,
    ),
    Step("OQ-2", "What is against the study's order or misspelt is refused.", ("INT-01", "INT-02"), _order),
    Step("OQ-3", "A reminder arrives at its time.", ("REM-01", "REM-04"), _reminder),
    Step(
        "OQ-4", "A missed visit escalates until it is recorded.", ("LAD-01", "LAD-03", "WIN-09"), _escalation
    ),
    Step(
        "OQ-5",
        "A serious adverse event alerts, and its clock calls until the submission.",
        ("SAF-01", "SAF-02"),
        _safety,
    ),
    Step(
        "OQ-6",
        "A withdrawal criterion holds a subject until the investigator decides.",
        ("WDR-04", "WDR-08", "REM-06", "SEC-01"),
        _hold,
    ),
    Step(
        "OQ-7",
        "A consent that is withdrawn ends the study for the subject.",
        ("WDR-01", "WIN-12", "ALR-02"),
        _withdrawal,
    ),
    Step(
        "OQ-8",
        "A correction leaves what it corrects, and the plan follows.",
        ("COR-01", "WIN-04"),
        _correction,
    ),
    Step("OQ-9", "Prefect shows each subject's journey.", ("RUN-02", "RUN-10"), _flow_runs),
)
