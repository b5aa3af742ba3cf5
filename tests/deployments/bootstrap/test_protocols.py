"""The versions of the protocol that a running service knows."""

from datetime import date
from pathlib import Path

import pytest

from deployments.archiving import backup_plan
from deployments.bootstrap.settings import Settings
from deployments.bootstrap.study import open_study
from deployments.protocols import installed
from itp_events.errors import BadInput
from itp_events.protocol.file import BUILT_IN

pytestmark = pytest.mark.requirement("AMD-01")


def _second(folder: Path) -> Path:
    text = BUILT_IN.read_text(encoding="utf-8").replace('version: "1"', 'version: "2"')
    amended = text.replace("title:", "amendment: {effective_on: 2026-03-02, source: assumption}\ntitle:", 1)
    path = folder / "second.yaml"
    path.write_text(amended, encoding="utf-8")
    return path


def test_the_first_version_beside_the_built_in_one_is_taken_up_while_the_service_runs(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data", backup_dir=tmp_path / "backups")
    study = open_study(settings)
    backups = backup_plan(settings)
    assert backups is not None
    with pytest.raises(BadInput, match="not installed"):
        study.protocol.of_version("2")
    assert [each.version for each in backups.protocols()] == ["1"]
    installed(_second(tmp_path), settings.versions)
    assert study.protocol.of_version("2").version == "2"
    in_force = [study.protocol.in_force(date(2026, 3, day)).version for day in (1, 2)]
    assert in_force == ["1", "2"]
    assert [each.version for each in backups.protocols()] == ["1", "2"]
    study.store.close()
