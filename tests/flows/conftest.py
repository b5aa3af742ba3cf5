"""Prefect's engine in the test's own process, on the tests' shared server."""

from collections.abc import Iterator

import pytest
from prefect.events.worker import EventsWorker
from prefect.settings import PREFECT_API_URL, PREFECT_LOGGING_TO_API_ENABLED, temporary_settings

from deployments.prefect.deployments import known_deployments, wanted
from flows.prefect_api.flow_runs import JOURNEY, Deployment, FlowRuns
from flows.prefect_api.setup import Setup
from itp_events.protocol.file import load_protocol
from tests.support.prefect_server import PrefectServer

VISITS = tuple(load_protocol().by_code)


@pytest.fixture
def runs(prefect_server: PrefectServer) -> Iterator[FlowRuns]:
    """The server's flow runs; Prefect's own clients use the same server while the test runs."""
    settings = {PREFECT_API_URL: prefect_server.api_url, PREFECT_LOGGING_TO_API_ENABLED: False}
    with temporary_settings(settings):
        flow_runs = FlowRuns(prefect_server.api_url, 30.0)
        yield flow_runs
        flow_runs.close()
        # The engine's connection for events would live on, and draw random numbers for its pings:
        # Hypothesis, in a later test, takes that for a strategy that cannot be repeated.
        EventsWorker.drain_all(timeout=60)


@pytest.fixture
def journeys(runs: FlowRuns) -> Deployment:
    """The deployment of the journeys, and beside it those of the other flows."""
    setup = Setup(runs.api, 30.0)
    found, _ = known_deployments(setup, wanted(VISITS))
    setup.close()
    return found[JOURNEY]
