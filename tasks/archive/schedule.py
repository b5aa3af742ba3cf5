"""The folder of backups that the service makes by itself: their names, their order, and which may go.

Only files that bear such a name, and that say inside that the schedule made them, are ever removed.
"""

from __future__ import annotations

import re
from datetime import UTC
from pathlib import Path

from tasks.archive.backup import Making
from tasks.archive.check import open_archive
from tasks.archive.files import remove_abandoned
from tasks.archive.form import BadArchive

_NAME = re.compile(r"itp-(\d{8}T\d{6}Z)-([0-9a-f]{16})\.zip")


def name_of(making: Making) -> str:
    """The file's name of a backup: it sorts by time."""
    return f"itp-{making.at.astimezone(UTC):%Y%m%dT%H%M%SZ}-{making.id}.zip"


def remove_drafts(folder: Path) -> None:
    """Remove what a killed service left of a backup that it was writing."""
    remove_abandoned(folder, "itp-????????T??????Z-????????????????.zip")


def backups_in(folder: Path) -> list[Path]:
    """The files that bear the name of a backup, newest first."""
    if not folder.is_dir():
        return []
    named = [path for path in folder.iterdir() if _NAME.fullmatch(path.name)]
    return sorted((path for path in named if path.is_file() and not path.is_symlink()), reverse=True)


def remove_old(folder: Path, newest: Path, keep: int) -> list[Path]:
    """Remove what the schedule made before the last `keep` backups up to `newest`; return what went.

    `newest` was read back just now, and is never removed.
    """
    older = [path for path in backups_in(folder) if path.name < newest.name]
    gone = [path for path in older[max(keep, 1) - 1 :] if _is_ours(path)]
    for path in gone:
        path.unlink()
    return gone


def _is_ours(path: Path) -> bool:
    """Whether the schedule made this file, as its manifest says; a damaged one is left for a person."""
    found = _NAME.fullmatch(path.name)
    try:
        with open_archive(path) as archive:
            manifest = archive.manifest
    except BadArchive:
        return False
    return found is not None and manifest.made_by == "schedule" and manifest.id == found[2]
