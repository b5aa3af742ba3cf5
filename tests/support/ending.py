"""Ends what tests share when the last of them has run: an idle service takes a twentieth of a processor."""

from collections.abc import Callable, Iterator, Sequence

import pytest

NAME = "ending-with-its-tests"


class EndingWithItsTests:
    """The plugin; `shared` names what a test shares with others."""

    def __init__(self, shared: Callable[[pytest.Item], Sequence[str]]) -> None:
        self._shared = shared
        self._last: dict[str, str] = {}
        self._ends: dict[str, Callable[[], object]] = {}

    def add(self, name: str, end: Callable[[], object]) -> None:
        """Call `end` after the last test that shares `name`; it may be called again after that."""
        self._ends[name] = end

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Find the last test of each name."""
        self._last = {name: item.nodeid for item in session.items for name in self._shared(item)}

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Iterator[None]:
        """End what no later test shares; a failure is that of the last test."""
        yield
        for name in self._shared(item):
            if self._last[name] == item.nodeid and name in self._ends:
                self._ends.pop(name)()


def end_with_its_tests(config: pytest.Config, name: str, end: Callable[[], object]) -> None:
    """Let `end` be called after the last test that asks for the fixture `name`."""
    plugin = config.pluginmanager.get_plugin(NAME)
    assert isinstance(plugin, EndingWithItsTests)
    plugin.add(name, end)
