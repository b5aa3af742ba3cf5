"""What each test shows goes into the run's JUnit XML; `--requirement WIN-02` runs what shows it alone."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that chooses tests by what they show."""
    parser.addoption(
        "--requirement",
        action="append",
        default=[],
        metavar="ID",
        help="run only the tests that show this requirement (validation/requirements/); may be repeated",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Note with each test what it shows, and leave out what was not asked for."""
    for item in items:
        item.user_properties.extend(("requirement", name) for name in sorted(_shown(item)))
    wanted = set(config.getoption("requirement"))
    if not wanted:
        return
    left_out = [item for item in items if not wanted & _shown(item)]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if wanted & _shown(item)]


def _shown(item: pytest.Item) -> set[str]:
    return {str(name) for mark in item.iter_markers("requirement") for name in mark.args}
