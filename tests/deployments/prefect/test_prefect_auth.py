"""One setting protects Prefect's own API, and the service goes on using it."""

from pathlib import Path

import httpx
import pytest

from deployments.bootstrap.settings import load_settings
from deployments.prefect.server_process import auth_environment
from itp_events.errors import BadInput
from tests.deployments.conftest import MONDAY, MakeService
from tests.support.waiting import wait_until

pytestmark = pytest.mark.requirement("RUN-09")

SECRET = "operator:a long password"


def test_with_the_setting_prefect_answers_nobody_else(
    make_service: MakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    # This process asks Prefect too, and opening the study sets both: no later test may inherit them.
    for name in auth_environment(SECRET):
        monkeypatch.setenv(name, SECRET)
    service = make_service(ITP_CLOCK_SPEED=1, ITP_CLOCK_START=MONDAY.isoformat(), ITP_PREFECT_AUTH=SECRET)
    service.start()
    asked = f"{service.settings.prefect_api}/flow_runs/filter"

    assert httpx.post(asked, json={}, trust_env=False).status_code == 401
    assert httpx.post(asked, json={}, auth=("operator", "guess"), trust_env=False).status_code == 401
    service.enrol("ITP-001")
    run = service.wait_for_run("ITP-001", service.is_shown("ITP-001"), "to show its wait")
    wait_until(lambda: service.subject("ITP-001").flow_run_id == str(run.id), "the run to be known")


def test_a_setting_that_is_no_user_and_password_is_refused() -> None:
    with pytest.raises(BadInput, match="write it as user:password") as refused:
        load_settings({"ITP_PREFECT_AUTH": "secret"}, Path("/nonexistent"))
    assert str(refused.value) == "ITP_PREFECT_AUTH: its value cannot be used: write it as user:password"
