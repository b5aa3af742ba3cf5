"""The report of a qualification: a JSON document, and a page to be signed by hand. It holds what ran."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from deployments.html_page import templates
from deployments.qualification.steps import Result
from itp_events.outputs.plan_json import instant

PARTS = {
    "IQ": "Installation qualification",
    "OQ": "Operation qualification",
    "PQ": "Performance qualification",
}


@dataclass(frozen=True)
class Run:
    """One run of the qualification: its results, its protocol file, its first and last instant (UTC)."""

    results: Sequence[Result]
    protocol: str
    began: datetime
    ended: datetime

    @property
    def passed(self) -> bool:
        """Whether every step ran and passed."""
        return all(each.outcome == "passed" for each in self.results)


def document(run: Run) -> dict[str, Any]:
    """The run as JSON."""
    return {
        "passed": run.passed,
        "program": {"name": "itp-visits", "version": metadata.version("itp-visits")},
        "python": platform.python_version(),
        "machine": {"name": platform.node(), "system": platform.platform()},
        "protocol": run.protocol,
        "began": instant(run.began),
        "ended": instant(run.ended),
        "counts": dict(Counter(each.outcome for each in run.results)),
        "steps": [
            {
                "id": each.step.id,
                "title": each.step.title,
                "requirements": list(each.step.requirements),
                "outcome": each.outcome,
                "seconds": round(each.seconds, 1),
                "did": list(each.did),
                "error": each.error,
            }
            for each in run.results
        ],
    }


def page(run: Run) -> str:
    """The run as one HTML page that needs no network, with lines for two signatures."""
    environment = templates(Path(__file__).parent)
    return environment.get_template("page.html.j2").render(run=document(run), parts=PARTS)
