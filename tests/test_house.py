"""What is built from this checkout is whole, and can be built anywhere."""

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("itp_events", "tasks", "flows", "deployments")
LOCK = (ROOT / "requirements.lock").read_text()


def _declared() -> list[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = project["dependencies"] + project["optional-dependencies"]["dev"]
    return [re.split(r"[\[<>=]", requirement)[0].lower() for requirement in wanted]


def test_the_lock_names_no_address() -> None:
    assert "://" not in LOCK
    assert "index-url" not in LOCK
    assert "find-links" not in LOCK


@pytest.mark.parametrize("name", _declared())
def test_every_declared_requirement_is_locked_with_a_hash(name: str) -> None:
    entry = re.search(
        rf"^{re.escape(name)}(\[[a-z]+\])?==\S+( ; [^\\]*)? ?\\\n    --hash=sha256:", LOCK, re.MULTILINE
    )
    assert entry, f"{name} is not in requirements.lock: run make lock"


def test_the_wheel_holds_every_file_of_the_packages(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    [wheel] = tmp_path.glob("*.whl")
    there = set(zipfile.ZipFile(wheel).namelist())
    wanted = {path.relative_to(ROOT).as_posix() for package in PACKAGES for path in _files(ROOT / package)}
    assert wanted - there == set()
    assert any(name.endswith(".yaml") for name in wanted)


def _files(package: Path) -> list[Path]:
    return [path for path in package.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
