"""The parts of compose.yaml, started as compose would, share one study and take over from each other."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import URL

from deployments.api.http.tokens import new_token
from deployments.bootstrap.clock import Clock
from flows.prefect_api.flow_runs import JOURNEY, RECORD_EVENT
from tests.support.api import apprise_config, enrolment
from tests.support.compose import Cluster, cluster
from tests.support.postgres import fresh_database
from tests.support.posting import posted
from tests.support.receiver import Receiver
from tests.support.redis import Redis
from tests.support.service import SITE
from tests.support.waiting import wait_until

pytestmark = pytest.mark.requirement("DEP-01")

AUTH = ("ops", secrets.token_urlsafe(12))


class Site:
    """The cluster as its users see it: through the proxy."""

    def __init__(self, parts: Cluster, receiver: Receiver, token: str) -> None:
        self.parts, self.receiver = parts, receiver
        headers = {"Authorization": f"Bearer {token}"}
        self.api = httpx.Client(base_url=parts.address("caddy", 80), headers=headers, timeout=30)
        self.prefect = httpx.Client(base_url=f"{parts.address('caddy', 4200)}/api", auth=AUTH, timeout=30)

    def close(self) -> None:
        """Let go of the connections."""
        self.api.close()
        self.prefect.close()

    def enrol(self, code: str) -> None:
        """Enrol a subject, of whom two audiences are told at once."""
        answer = self.api.post("/events", json=_enrolment(code))
        assert answer.status_code == 201, answer.text

    def told(self, code: str) -> list[str]:
        """The audiences that were told of a subject, once for each message."""
        about = [request for request in list(self.receiver.requests) if code in request.body["title"]]
        return sorted(request.path.strip("/") for request in about)

    def post(self, code: str) -> None:
        """State an enrolment by Prefect's own events API until it is taken, and wait until it is recorded."""
        event = posted(_enrolment(code))
        wait_until(lambda: self.offer(event).is_success, "a Prefect server to take the event", every=0.5)
        self.wait_until_enrolled(code)

    def offer(self, event: dict[str, Any]) -> httpx.Response:
        """Prefect's answer to an event that is posted once."""
        return self.prefect.post("/events", json=[event])

    def wait_until_enrolled(self, code: str) -> None:
        """Wait until what was posted is recorded."""
        wait_until(
            lambda: self.is_enrolled(code), f"the posted enrolment of {code} to be recorded", every=0.5
        )

    def is_enrolled(self, code: str) -> bool:
        """Whether the study knows the subject."""
        return self.api.get(f"/subjects/{code}").status_code == 200

    def runs(self, of: str, **how: Any) -> list[dict[str, Any]]:
        """The flow runs of a flow."""
        answer = self._ask("/flow_runs/filter", {"flows": {"name": {"any_": [of]}}}, **how)
        found: list[dict[str, Any]] = answer.json()
        return found

    def _ask(self, path: str, content: object, **how: Any) -> httpx.Response:
        """Prefect's answer; the proxy answers 502 or 503 in the moment in which no server behind it does."""

        def answered() -> httpx.Response | None:
            answer = self.prefect.post(path, json=content, **how)
            return None if answer.status_code in (502, 503) else answer

        answer = wait_until(answered, "a Prefect server to answer behind the proxy")
        assert answer is not None
        return answer.raise_for_status()

    def journeys(self, code: str) -> list[dict[str, Any]]:
        """The subject's flow runs."""
        return [run for run in self.runs(JOURNEY) if run["parameters"].get("subject") == code]

    def wait_until_shown(self, code: str) -> None:
        """Wait for the subject's one flow run."""
        wait_until(lambda: len(self.journeys(code)) == 1, f"the flow run of {code}")

    def wait_until_told(self, code: str) -> None:
        """Wait for the notices of an enrolment, and see that each came once."""
        wait_until(lambda: len(self.told(code)) >= 2, f"the notices of {code}")
        assert self.told(code) == ["cell-lab", "coordinator"]


def _enrolment(code: str) -> dict[str, Any]:
    now = Clock().now()
    today = now.astimezone(SITE).date()
    # Between two reminders: none comes due while the test runs.
    infusion = today + timedelta(days=5)
    return enrolment(code, now, on=f"{today}", first_infusion_on=f"{infusion}")


@pytest.fixture
def first_service(
    tmp_path: Path, postgres: URL, postgresql_url: str, receiver: Receiver
) -> Iterator[tuple[Site, Redis]]:
    """All parts, just begun. It has the name by which `make test` gives a test its own place."""
    token, entry = new_token("recorder")
    redis = Redis(tmp_path)
    redis.start()
    with fresh_database(postgres) as prefects:
        held = {
            "database_url": postgresql_url,
            "apprise": apprise_config(tmp_path / "a", receiver.apprise_url()).read_text(),
            "secret_key": secrets.token_urlsafe(32),
            "tokens": f"{entry}\n",
            "prefect_auth": ":".join(AUTH),
            "prefect_database_url": prefects.set(drivername="postgresql").render_as_string(
                hide_password=False
            ),
            "prefect_redis_url": redis.url,
        }
        try:
            with cluster(tmp_path, held) as parts:
                site = Site(parts, receiver, token)
                yield site, redis
                site.close()
        finally:
            redis.stop()


def _answers(client: httpx.Client, path: str) -> bool:
    try:
        return client.get(path).is_success
    except httpx.TransportError:
        return False


def test_the_parts_share_a_study_and_take_over_from_each_other(first_service: tuple[Site, Redis]) -> None:
    site, redis = first_service
    parts = site.parts
    # All at once: nothing but the database may have to be there before.
    for name in parts.parts:
        parts.start(name)
    parts.start_caddy()
    wait_until(lambda: _answers(site.api, "/readyz"), "a door to be ready")
    # No door waits for Prefect.
    site.enrol("ITP-001")
    site.wait_until_told("ITP-001")
    for name in ("round-1", "round-2"):
        parts.wait_for(name, "Ready.")
    site.wait_until_shown("ITP-001")

    # An event that one of Prefect's servers has taken is recorded, and once.
    site.post("ITP-002")
    site.wait_until_told("ITP-002")
    runs = [run["state"]["name"] for run in site.runs(RECORD_EVENT)]
    assert runs.count("Recorded") <= 1

    # One of each kind dies; the others go on, and the proxy asks them alone.
    for name in ("api-1", "prefect-1", "round-1"):
        parts.kill(name)
    site.enrol("ITP-003")
    site.wait_until_told("ITP-003")
    site.wait_until_shown("ITP-003")

    # Redis forgets everything and comes back: Prefect's servers find it again.
    redis.stop()
    site.enrol("ITP-004")
    site.wait_until_told("ITP-004")
    # An event meanwhile reaches nobody in Prefect. It is stored all the same, and recorded from there.
    site.offer(posted(_enrolment("ITP-006")))
    redis.start()
    site.post("ITP-005")
    site.wait_until_told("ITP-005")
    site.wait_until_enrolled("ITP-006")
    site.wait_until_told("ITP-006")
    for code in ("ITP-004", "ITP-005", "ITP-006"):
        site.wait_until_shown(code)

    # Prefect's servers last: a round that cannot reach them exits with 1, as something was on its way.
    rounds = [name for name in parts.running if name.startswith("round")]
    codes = parts.stop(*rounds)
    codes |= parts.stop(*parts.running)
    assert set(codes.values()) == {0}, {name: parts.log(name)[-500:] for name, code in codes.items() if code}
    assert [site.told(f"ITP-00{number}") for number in range(1, 7)] == [["cell-lab", "coordinator"]] * 6
