"""An archive's contents in words, and as JSON types."""

from __future__ import annotations

from typing import Any

from itp_events.outputs.plan_json import instant
from itp_events.rules.explain import counted
from tasks.archive.form import Manifest

# For a study in another database than it was, and the people who sign in there.
ANEW = "Passwords and second factors did not come along: set them anew (itp account change CODE --password)."


def counted_in(manifest: Manifest) -> str:
    """The numbers of subjects, events and notices, in words."""
    shown = (("subjects", "subject"), ("events", "event"), ("notices", "notice"))
    return ", ".join(counted(manifest.count(table), word) for table, word in shown)


def document(manifest: Manifest) -> dict[str, Any]:
    """The manifest in short, as JSON types."""
    return {
        "id": manifest.id,
        "made_at": instant(manifest.made_at),
        "program": manifest.program.version,
        "revision": manifest.database.revision,
        "rows": {table.name: table.rows for table in manifest.tables},
        "protocols": {each.version: each.sha256 for each in manifest.protocols},
        "missing_protocols": list(manifest.missing_protocols),
    }
