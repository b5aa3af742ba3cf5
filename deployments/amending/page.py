"""The report of an amendment: what would change for each subject, on one page that needs no network."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from deployments.amending.changes import Changes, change_rows
from deployments.html_page import templates
from itp_events.marks import LEGEND
from itp_events.outputs.amendment import Preview
from itp_events.protocol.model import Protocol

_NOTICE = "notice"
# The kinds of changes that are counted apart; the rest is of a subject's state.
_KINDS = ("window", "booking", _NOTICE)
_STATE = "state"


def page(changes: Changes, protocol: Protocol) -> str:
    """The report as HTML; the same changes give the same bytes."""
    environment = templates(Path(__file__).parent)
    version = protocol.of_version(changes.version)
    found = {each.code: list(change_rows(each)) for each in changes.subjects}
    return environment.get_template("page.html.j2").render(
        protocol=protocol.id,
        version=changes.version,
        since=version.effective_on,
        consents=version.consents,
        at=f"{changes.at:%Y-%m-%d %H:%M} UTC",
        subjects=changes.subjects,
        found=found,
        counts=[_line(each, found[each.code]) for each in changes.subjects],
        kinds=(*_KINDS, _STATE),
        legend=LEGEND,
    )


def _line(each: Preview, rows: Sequence[Sequence[str]]) -> tuple[str, str, Counter[str]]:
    return each.code, each.today.protocol.version, _counted(rows)


def _counted(rows: Sequence[Sequence[str]]) -> Counter[str]:
    """The number of changes of each kind."""
    return Counter(next((kind for kind in _KINDS if what.startswith(kind)), _STATE) for _, what, *_ in rows)
