"""Brings the board up to date at once: by a click on Run, or by an automation.

`flows.ui_publisher` does so by itself.
"""

from __future__ import annotations

import asyncio

from prefect import State, flow
from prefect.states import Completed

from flows.study.runtime import current
from flows.ui_publisher import STUDY_BOARD, publisher


@flow(name=STUDY_BOARD, flow_run_name="study board", persist_result=False, retries=0)
async def study_board() -> State:
    """Bring the study's board up to date now; the service does so by itself every half minute."""
    await asyncio.to_thread(_show)
    return Completed(name="Shown", message="the board is up to date")


def _show() -> None:
    study = current()
    showing = publisher(study)
    try:
        showing.show_board(study.clock.now())
    finally:
        showing.prefect.close()
