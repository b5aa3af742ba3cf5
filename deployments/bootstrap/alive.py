"""A file that is touched whenever a loop has come round, for what starts a process that hangs anew.

A database that does not answer is no reason for that, and leaves no gap here: /healthz tells of it.
"""

from __future__ import annotations

from pathlib import Path

ALIVE = "alive"


class Alive:
    """The file in one data directory; a process that starts removes its predecessor's."""

    def __init__(self, data_dir: Path) -> None:
        self._file, self._beats = data_dir / ALIVE, 0
        self._file.unlink(missing_ok=True)

    def sign(self, beats: int) -> None:
        """Touch the file if the loop has come round since; `beats` counts how often it has."""
        if beats != self._beats:
            self._beats = beats
            self._file.touch()
