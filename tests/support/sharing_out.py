"""Shares the tests out to `make test`'s processes by group.

Every other process begins with the tests that wait for a service, and the rest with those that only work: so
the processors have always something to do.

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
    """The plugin; `group` names the group of a test, and `waits` says whether it waits for a service."""

    def __init__(self, group: Callable[[pytest.Item], str], waits: Callable[[pytest.Item], bool]) -> None:
        self._group, self._waits = group, waits
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
            groups = {item.nodeid: (self._group(item), self._waits(item)) for item in session.items}
            worker = session.config.workerinput["workerid"]  # type: ignore[attr-defined]
            (Path(told) / f"{worker}.json").write_text(json.dumps(groups))

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: Any) -> LoadScopeScheduling | None:
        """Share out by group where `--dist loadgroup` asks for it."""
        if config.getoption("dist") != "loadgroup":
            return None
        return _ByGroup(config, log, Path(self._folder.name))


class _ByGroup(LoadScopeScheduling):  # type: ignore[misc]
    """Gives each group to one process, which takes those of its own kind first, in their order."""

    def __init__(self, config: pytest.Config, log: Any, folder: Path) -> None:
        super().__init__(config, log)
        self._folder = folder
        self._groups: dict[str, str] = {}
        self._waiting: set[str] = set()

    def schedule(self) -> None:
        """Share out what every process has found."""
        if not self._groups:
            told = json.loads(next(iter(self._folder.glob("*.json"))).read_text())
            self._groups = {test: group for test, (group, _) in told.items()}
            self._waiting = {group for group, waits in told.values() if waits}
        super().schedule()

    def _assign_work_unit(self, node: Any) -> None:
        waits = self.nodes.index(node) % 2 == 0
        own = next((group for group in self.workqueue if (group in self._waiting) is waits), None)
        if own is not None:
            self.workqueue.move_to_end(own, last=False)
        super()._assign_work_unit(node)

    def _split_scope(self, nodeid: str) -> str:
        return self._groups[nodeid]
