"""The work pool to which all of the service's deployments belong.

Rounds take the runs of its deployments in their own process; where that is not enough, workers of the type
that this project ships take them on other machines (`deployments.pool_worker`).
"""

from __future__ import annotations

from flows.prefect_api.setup import Body, Setup

# The name of the pool, and of its type: the type of the workers that serve it.
POOL = "itp-visits"
# Every pool of Prefect's has a queue of this name, in which the runs of its deployments wait.
QUEUE = "default"

DESCRIPTION = (
    "The subjects' journeys, the forms and the pages of the study. The rounds of the service take them by "
    "themselves; `itp worker` takes them on further machines. Pausing it stops the workers, never a reminder."
)
# A run is executed in the worker's own process: nothing about a process is there to be chosen. Prefect
# refuses a template that configures nothing.
TEMPLATE: Body = {"job_configuration": {"labels": {}}, "variables": {"type": "object", "properties": {}}}


def make_pool(setup: Setup) -> bool:
    """Create the pool if it is missing; returns whether it was.

    Raises:
        PrefectProblem: Prefect does not answer, or refuses.
    """
    if setup.pool(POOL) is not None:
        return False
    setup.create_pool({"name": POOL, "type": POOL, "description": DESCRIPTION, "base_job_template": TEMPLATE})
    return True


def pool_id(setup: Setup) -> str | None:
    """The id of the pool, which Prefect made up; None when there is none.

    Raises:
        PrefectProblem: Prefect does not answer.
    """
    pool = setup.pool(POOL)
    return str(pool["id"]) if pool is not None else None


def worker_name(place: str) -> str:
    """The name under which a process at a place (machine and data directory) serves the pool.

    Prefect allows no slash and no percent sign in it.
    """
    return place.replace(":/", " ").replace("/", "-").replace("%", "-")
