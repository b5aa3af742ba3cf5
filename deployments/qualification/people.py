"""States and reads as the people of an invented site do on a day."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any

from deployments.example_subject import ELIGIBLE
from deployments.qualification.installation import Failed
from deployments.qualification.steps import Scene
from itp_events.events import Event
from itp_events.protocol.file import load_protocol
from itp_events.protocol.model import Site
from tasks.database.queries import NoticeRow, log_lines, notices_of

NUMBER = "01"


def the_site(scene: Scene) -> Site:
    """The site at which the subjects of the qualification are seen."""
    return load_protocol(scene.site.protocol).site(NUMBER)


def today(scene: Scene) -> date:
    """The date at the site."""
    return scene.site.clock.now().astimezone(the_site(scene).zone).date()


def at(scene: Scene, day: date, hour: int, minute: int = 0) -> datetime:
    """An instant by the site's clocks."""
    return the_site(scene).midnight(day) + timedelta(hours=hour, minutes=minute)


def event(scene: Scene, kind: str, code: str, **data: Any) -> dict[str, Any]:
    """A CloudEvent that the coordinator reports now."""
    return {
        "specversion": "1.0",
        "id": uuid.uuid4().hex,
        "source": "qualification",
        "type": f"itp.{kind}",
        "subject": code,
        "time": scene.site.clock.now().isoformat(),
        "data": {"by": "crc-01"} | data,
    }


def enrolment(scene: Scene, code: str, **data: Any) -> dict[str, Any]:
    """The enrolment, today, of somebody who meets every criterion."""
    day = today(scene).isoformat()
    stated = {"on": day, "site": NUMBER, "consent_on": day, "weight_kg": 61.5, "screening": dict(ELIGIBLE)}
    return event(scene, "subject.enrolled", code, **(stated | data))


def record(scene: Scene, *events: dict[str, Any]) -> None:
    """Post events, each of which must be recorded.

    Raises:
        Failed: one was not.
    """
    status, answer = scene.site.post(*events)
    said = ", ".join(_told(each) for each in events[:3])
    more = f" and {len(events) - 3} more" if len(events) > 3 else ""
    scene.expect(status == 201, f"recorded: {said}{more}", answer)


def _told(stated: dict[str, Any]) -> str:
    what = str(stated["type"]).removeprefix("itp.")
    visit = stated["data"].get("visit")
    return f"{stated['subject']} {what}" + (f" {visit}" if visit else "")


def plan(scene: Scene, code: str) -> dict[str, Any]:
    """The subject's plan."""
    found: dict[str, Any] = scene.site.get(f"/subjects/{code}/plan")
    return found


def visit(scene: Scene, code: str, which: str) -> dict[str, Any]:
    """A visit of the subject's plan."""
    found: dict[str, Any] = next(each for each in plan(scene, code)["visits"] if each["code"] == which)
    return found


def announced(scene: Scene, code: str, step: str, which: str | None = None) -> datetime:
    """The instant for which the plan announces a notice, if nothing else is recorded.

    Raises:
        Failed: it announces none.
    """
    forecast = plan(scene, code)["forecast"]
    for each in forecast:
        if each["step"] == step and which in (None, each["visit"]):
            return datetime.fromisoformat(each["due"])
    raise Failed(f"the plan of {code} announces no {step}")


def delivered(scene: Scene, code: str) -> list[NoticeRow]:
    """The notices about the subject that the study calls delivered."""
    return [each for each in notices_of(scene.site.store, code) if each.status == "delivered"]


def log(scene: Scene, code: str) -> list[Event]:
    """The subject's log."""
    return [line.event for line in log_lines(scene.site.store, code)]


def told(scene: Scene, code: str, step: str, audiences: Sequence[str], about: str | None = None) -> None:
    """Wait until each audience has received the notice of a step: the very text that the study keeps.

    Raises:
        Failed: one has not.
    """
    for audience in audiences:
        scene.site.until(
            lambda audience=audience: _arrived(scene, code, step, audience, about),  # type: ignore[misc]
            f"{audience} to receive {step} of {code}",
        )
    scene.note(f"received: {step} of {code} by {', '.join(audiences)}")


def _arrived(scene: Scene, code: str, step: str, audience: str, about: str | None) -> bool:
    kept = {
        (each.audience, each.title, each.body)
        for each in notices_of(scene.site.store, code)
        if (each.step, each.audience) == (step, audience) and about in (None, each.visit)
    }
    return any(message.text in kept for message in scene.site.inbox.about(code, audience))


def steps_sent(scene: Scene, code: str, about: str) -> set[tuple[str, str]]:
    """Step and audience of each notice about a visit that was handed over."""
    found = notices_of(scene.site.store, code)
    return {(each.step, each.audience) for each in found if each.visit == about and each.handed_at}


def decide(scene: Scene, code: str, **data: Any) -> None:
    """State an investigator's decision at the machine itself.

    Raises:
        Failed: it was not recorded.
    """
    day = today(scene).isoformat()
    stated = event(scene, "withdrawal.decided", code, **({"by": "pi-01", "on": day} | data))
    ended = scene.site.itp("record", "-", given=json.dumps(stated))
    scene.expect(
        ended.returncode == 0, f"the investigator decides at the machine: {data['decision']}", ended.stderr
    )


def leave(scene: Scene, *codes: str) -> None:
    """Let subjects leave the study, so that nobody waits for them in the steps that follow."""
    day = today(scene).isoformat()
    record(scene, *(event(scene, "consent.withdrawn", code, on=day, scope="study") for code in codes))
