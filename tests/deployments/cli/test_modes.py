"""What the service keeps is its owner's alone, whatever the user's umask is."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.deployments.cli.conftest import PROGRAM, Itp
from tests.support.ports import free_port
from tests.support.study import Study

pytestmark = pytest.mark.requirement("SEC-04")


@pytest.mark.parametrize("umask", [0o000, 0o022])
def test_data_and_exports_are_their_owners_alone(tmp_path: Path, umask: int) -> None:
    event = tmp_path / "event.json"
    event.write_text(json.dumps(Study().enrolment("2026-01-05").to_json()))
    mine = {"ITP_DATA_DIR": str(tmp_path / "data"), "PREFECT_API_URL": "http://127.0.0.1:9/api"}
    for command in (["token", "new", "reader"], ["record", "event.json"], ["export", "out"]):
        subprocess.run(
            [PROGRAM, *command], env=os.environ | mine, cwd=tmp_path, umask=umask, check=True, timeout=120
        )
    made = [tmp_path / "data", tmp_path / "out", *tmp_path.glob("data/**/*"), *tmp_path.glob("out/**/*")]
    assert {"secret.key", "study.db", "events.jsonl", "notices.csv"} <= {each.name for each in made}
    assert {each.name: oct(each.stat().st_mode) for each in made if each.stat().st_mode & 0o077} == {}


@pytest.mark.parametrize(("mode", "said"), [(0o777, "write to"), (0o755, "read"), (0o700, None)])
def test_the_doctor_says_that_others_may_look_into_the_data_directory(
    itp: Itp, tmp_path: Path, mode: int, said: str | None
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data").chmod(mode)
    [found] = [each for each in itp("doctor", "--json").json["findings"] if each["name"] == "data directory"]
    if said is None:
        assert found["level"] == "ok"
    else:
        assert (found["level"], found["mend"]) == ("warn", f"chmod 700 {tmp_path / 'data'}")
        assert f"others on this machine may {said} the data directory" in found["said"]


def test_it_is_said_at_the_start_that_others_may_look_into_the_data_directory(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data").chmod(0o755)  # whatever umask a command that ran in this process has set
    mine = {"ITP_DATA_DIR": str(tmp_path / "data"), "ITP_API_PORT": str(free_port())}
    with subprocess.Popen(
        [PROGRAM, "api"], env=os.environ | mine, cwd=tmp_path, stderr=subprocess.PIPE, text=True
    ) as api:
        assert api.stderr is not None
        said = [api.stderr.readline(), api.stderr.readline()]
        api.terminate()
    assert said[0].startswith("The API: ")
    assert said[1].startswith("Warning: others on this machine may read the data directory")
