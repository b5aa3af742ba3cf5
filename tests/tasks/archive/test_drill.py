"""A backup that is made while events arrive is the study at one instant, in either kind of database."""

from pathlib import Path

import pytest

from tests.drill.drilling import drilled

pytestmark = pytest.mark.requirement("BAK-01")


def test_a_backup_under_load_restores_to_the_same_plans_and_sends_nothing_again(
    tmp_path: Path, database_url: str, request: pytest.FixtureRequest
) -> None:
    is_sqlite = database_url.startswith("sqlite")
    other = str(request.getfixturevalue("postgresql_url")) if is_sqlite else f"sqlite:///{tmp_path / 'o.db'}"
    found = drilled(database_url, other, tmp_path, 60)
    assert found.flaws == []
    assert found.sent > 0
