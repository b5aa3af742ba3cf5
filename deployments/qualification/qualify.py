"""Runs the whole qualification in a folder of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from deployments.bootstrap.clock import Clock
from deployments.qualification import installed, operating, performing
from deployments.qualification.document import Run
from deployments.qualification.inbox import open_inbox
from deployments.qualification.installation import Installation
from deployments.qualification.steps import Result, Step, run
from itp_events.errors import BadInput
from tasks.archive.protocols import installed_protocols

STEPS = (*installed.STEPS, *operating.STEPS, *performing.STEPS)
# A Monday without holidays near it, 09:30 in China: the steps fall on the same days in every run.
BEGINS = datetime(2026, 3, 2, 1, 30, tzinfo=UTC)


def qualify(
    folder: Path, protocol: Path | None, told: Callable[[Result], None], steps: Sequence[Step] = STEPS
) -> Run:
    """Take all steps in `folder`, which must be empty; `told` hears each result as it comes.

    Raises:
        BadInput: the folder holds something, or cannot be used.
        ItpError: the program is not installed.
    """
    _make_empty(folder)
    installed_files = [
        f"{each.id} version {each.version}, SHA-256 {each.fingerprint}"
        for each in installed_protocols(protocol)
    ]
    began, results = Clock().now(), []
    with open_inbox() as inbox:
        site = Installation(folder, inbox, BEGINS, protocol)
        try:
            for result in run(steps, site):
                told(result)
                results.append(result)
        finally:
            site.close()
    return Run(tuple(results), "; ".join(installed_files), began, Clock().now())


def _make_empty(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        held = any(folder.iterdir())
    except OSError as error:
        raise BadInput(f"cannot use {folder}: {error.strerror}", "--dir") from error
    if held:
        raise BadInput(f"{folder} is not empty; name an empty or a new folder", "--dir")
