"""Applies one deployment for each flow to Prefect, again and again, and never deletes one.

With a deployment Prefect deletes its waiting runs, and a new one does not find them.
Its API lets anybody change a deployment, and with it what a form asks or fills in by itself: whatever differs
from what the service applies is put back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

from prefect import Flow
from prefect.utilities.callables import parameter_schema

from deployments.prefect.pool import POOL, QUEUE, make_pool
from flows.daily_digest import DAILY_DIGEST, daily_digest
from flows.forms import FORMS
from flows.prefect_api.flow_runs import JOURNEY, RECORD_EVENT, Deployment
from flows.prefect_api.setup import Body, Setup
from flows.record_event import record_event
from flows.study_board import study_board
from flows.subject_journey import subject_journey
from flows.ui_publisher import STUDY_BOARD

FLOWS: dict[str, Flow[..., Any]] = {
    JOURNEY: subject_journey,
    RECORD_EVENT: record_event,
    STUDY_BOARD: study_board,
    DAILY_DIGEST: daily_digest,
    **{form.name: form for form in FORMS},
}

# Where a worker of Prefect's own finds the flows, with the study opened as the settings say.
ENTRY = "deployments.entry"
# Their descriptions lead to the study's board, whose address is known only when it has been made.
DESCRIBED_LATER = frozenset({JOURNEY, STUDY_BOARD})


def wanted(visits: Sequence[str]) -> dict[str, Body]:
    """The contents of each flow's deployment, by flow; the forms offer these visits."""
    return {name: _contents(name, flow, visits) for name, flow in FLOWS.items()}


def _contents(name: str, flow: Flow[..., Any], visits: Sequence[str]) -> Body:
    contents: Body = {
        "entrypoint": f"{ENTRY}.{flow.fn.__name__}",
        "path": ".",
        "pull_steps": None,
        "version": flow.version,
        "description": flow.description,
        "parameters": {},
        "parameter_openapi_schema": _schema(flow, visits),
        "enforce_parameter_schema": True,
        "paused": False,
        "schedules": [],
        "concurrency_limit": None,
        "global_concurrency_limit_id": None,
        "concurrency_options": None,
        "job_variables": {},
        "work_pool_name": POOL,
        "work_queue_name": QUEUE,
    }
    if name in DESCRIBED_LATER:
        del contents["description"]
    return contents


def _schema(flow: Flow[..., Any], visits: Sequence[str]) -> Body:
    """The fields of a flow's form, with the visits of the protocol to choose from."""
    schema = deepcopy(parameter_schema(flow).model_dump(exclude_unset=True))
    if "visit" in schema["properties"]:
        schema["properties"]["visit"]["enum"] = list(visits)
    return schema


def known_deployments(setup: Setup, contents: Mapping[str, Body]) -> tuple[dict[str, Deployment], list[str]]:
    """The flows' deployments, by flow, after missing and changed ones were applied; and each change in words.

    Raises:
        PrefectProblem: Prefect does not answer, or refuses.
    """
    deployed = {name: setup.deployed(name) for name in contents}
    mended: list[str] = []
    for name, body in deployed.items():
        if differing := differences(contents[name], body):
            # Without its pool a deployment belongs to none: then it differs.
            if not mended:
                make_pool(setup)
            setup.deploy(name, contents[name])
            deployed[name] = setup.deployed(name)
            mended.append(f"the deployment {name} was not as the service applies it ({differing})")
    return {name: Deployment.of(body) for name, body in deployed.items() if body}, mended


def is_in_order(setup: Setup, contents: Mapping[str, Body], known: Mapping[str, Deployment]) -> bool:
    """Whether all these deployments are still there, and as they should be."""
    by_id = {body["id"]: body for body in setup.deployed_as(each.id for each in known.values())}
    return all(not differences(contents[name], by_id.get(str(each.id))) for name, each in known.items())


def differences(contents: Body, body: Body | None) -> str:
    """The names of the fields in which a deployment differs from `contents`; "" when none does."""
    if body is None:
        return "missing"
    held = body | {"global_concurrency_limit_id": body["global_concurrency_limit"]}
    return ", ".join(name for name, value in contents.items() if held[name] != value)
