"""Shares the tests out to `make test`'s processes by group.

pytest-xdist 3.8 does so itself with `--dist loadgroup`, but no more since pytest 9.2: it writes the group
into a field that pytest does not read any more. Each test becomes a group by itself then, without a warning.
"""

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

# What the controlling process tells the others: where to write which test is in which group.
_FOLDER = "itp_groups"


class SharingOut:
    """The plugin; `group` names the group of a test."""

    def __init__(self, group: Callable[[pytest.Item], str]) -> None:
        self._group = group
        self._folder = tempfile.TemporaryDirectory(prefix="itp-groups-")

    def pytest_unconfigure(self) -> None:
        """Remove the folder."""
        self._folder.cleanup()

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tell one of the processes where the groups are written."""
        node.workerinput[_FOLDER] = self._folder.name

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Write the groups, in each of the processes: all have found the same tests."""
        told = getattr(session.config, "workerinput", {}).get(_FOLDER)
        if told:
            groups = {item.nodeid: self._group(item) for item in session.items}
            worker = session.config.workerinput["workerid"]  # type: ignore[attr-defined]
            (Path(told) / f"{worker}.json").write_text(json.dumps(groups))

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: Any) -> LoadScopeScheduling | None:
        """Share out by group where `--dist loadgroup` asks for it."""
        if config.getoption("dist") != "loadgroup":
            return None
        return _ByGroup(config, log, Path(self._folder.name))


class _ByGroup(LoadScopeScheduling):  # type: ignore[misc]
    """Gives each group to one process, in the order in which they were found."""

    def __init__(self, config: pytest.Config, log: Any, folder: Path) -> None:
        super().__init__(config, log)
        self._folder = folder
        self._groups: dict[str, str] = {}

    def schedule(self) -> None:
        """Share out what every process has found."""
        if not self._groups:
            self._groups = json.loads(next(iter(self._folder.glob("*.json"))).read_text())
        super().schedule()

    def _split_scope(self, nodeid: str) -> str:
        return self._groups[nodeid]
