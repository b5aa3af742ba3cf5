"""What the service is compared with in the same run: a bare commit, and a flow run that is merely created."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import psycopg
from sqlalchemy import URL

from bench.loads import side_by_side

COMMITS = 300
CREATES = 40
# More at once, and Prefect on SQLite turns some away.
CREATORS = 2
TURNED_AWAY = httpx.codes.SERVICE_UNAVAILABLE
AGAIN_SECONDS = 0.2


def commit_seconds(database: URL) -> float:
    """The median seconds of a transaction that writes one row, over a connection that is open already."""
    address = database.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(address) as connection:
        connection.execute("CREATE TABLE bare_commit (body text)")
        connection.commit()
        taken = sorted(_commit(connection) for _ in range(COMMITS))
        connection.execute("DROP TABLE bare_commit")
    return taken[COMMITS // 2]


def _commit(connection: psycopg.Connection[Any]) -> float:
    began = time.perf_counter()
    connection.execute("INSERT INTO bare_commit VALUES (%s)", ("x" * 500,))
    connection.commit()
    return time.perf_counter() - began


async def creates_per_second(prefect: str, name: str) -> float:
    """How many flow runs of a deployment of this name Prefect creates a second; they wait for a year."""
    limits = httpx.Limits(max_connections=CREATORS)
    async with httpx.AsyncClient(base_url=prefect, timeout=60, trust_env=False, limits=limits) as client:
        flow = (await _posted(client, "/flows/", {"name": "bare"})).json()["id"]
        deployment = (await _posted(client, "/deployments/", {"name": name, "flow_id": flow})).json()["id"]
        due = datetime.now(UTC) + timedelta(days=365)  # noqa: TID251 - a measurement
        state = {"type": "SCHEDULED", "state_details": {"scheduled_time": due.isoformat()}}

        async def create(number: int) -> None:
            run = {"name": f"{name}-{number}", "idempotency_key": f"{name}-{number}", "state": state}
            await _posted(client, f"/deployments/{deployment}/create_flow_run", run)

        began = time.perf_counter()
        await side_by_side(range(CREATES), create, CREATORS)
        return CREATES / (time.perf_counter() - began)


async def _posted(client: httpx.AsyncClient, url: str, body: dict[str, Any]) -> httpx.Response:
    """Prefect's answer to a request, which is sent again while Prefect turns it away."""
    while (answered := await client.post(url, json=body)).status_code == TURNED_AWAY:  # noqa: ASYNC110 - a client tries again
        await asyncio.sleep(AGAIN_SECONDS)
    return answered.raise_for_status()


def shown(prefect: str, flow: str) -> int:
    """How many runs of a flow wait in Prefect."""
    waiting = {"state": {"type": {"any_": ["SCHEDULED"]}}}
    asked = {"flow_runs": waiting, "flows": {"name": {"any_": [flow]}}}
    answered = httpx.post(f"{prefect}/flow_runs/count", json=asked, timeout=60, trust_env=False)
    return int(answered.json()) if answered.is_success else 0
