"""Forms filled in in Prefect's UI, through the running service."""

from datetime import timedelta
from typing import Any

import httpx
import pytest

from tests.support.asking import prefect_at
from tests.support.service import SITE, Service, event
from tests.support.waiting import wait_until

pytestmark = pytest.mark.requirement("RUN-09")

ELIGIBLE = {"age_years": 34, "sex": "male", "itp_months": 14, "alt_x_uln": 0.8, "ast_x_uln": 0.9}
ELIGIBLE |= {"bilirubin_x_uln": 0.7, "creatinine_x_uln": 0.9, "childbearing": True, "contraception": True}
ELIGIBLE |= {"failed_first_line": True, "failed_second_line": True, "failed_rituximab": True}


def fill_in(service: Service, form: str, **fields: Any) -> dict[str, Any]:
    """Submit a form as Prefect's UI does, and return the state in which its run ends."""
    with prefect_at(service.settings.prefect_api) as prefect:
        deployment = prefect.get(f"/deployments/name/{form}/{form}").raise_for_status().json()
        given = {"parameters": {"by": "crc-01", **fields}, "state": {"type": "SCHEDULED"}}
        path = f"/deployments/{deployment['id']}/create_flow_run"
        run = prefect.post(path, json=given).raise_for_status().json()["id"]

        def ended() -> dict[str, Any] | None:
            state: dict[str, Any] = prefect.get(f"/flow_runs/{run}").raise_for_status().json()["state"]
            return state if state["type"] in ("COMPLETED", "FAILED", "CRASHED") else None

        return wait_until(ended, f"the form {form} to be dealt with", every=0.5) or {}


def test_a_form_records_and_a_refusal_is_the_sentence_of_the_api(running: Service) -> None:
    today = running.study.clock.now().astimezone(SITE).date()
    before = f"{today - timedelta(days=9)}"

    enrolled = fill_in(
        running, "enrol", subject="ITP-301", on=f"{today}", consent_on=before, weight_kg=61.5, **ELIGIBLE
    )
    assert (enrolled["name"], running.subject("ITP-301").state) == ("Recorded", "INF1 window open")

    stated = event(
        "visit.completed", "ITP-301", running.study.clock.now(), {"visit": "INF3", "on": f"{today}"}
    )
    api = f"http://127.0.0.1:{running.api_port}"
    said = httpx.post(f"{api}/events", json=stated, trust_env=False).json()["detail"]
    refused = fill_in(running, "complete", subject="ITP-301", visit="INF3", on=f"{today}")
    assert (refused["type"], refused["name"], refused["message"]) == ("FAILED", "Refused", said)
