"""The image and the compose file, as far as they can be judged without Docker."""

from __future__ import annotations

import fnmatch
import json
import re
import subprocess
import sys
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest

from deployments.bootstrap.settings import SECRETS, load_settings
from tests.support import compose

pytestmark = pytest.mark.requirement("DEP-01")

ROOT = Path(__file__).parents[3]
DOCKERFILE = (compose.CONTAINER / "Dockerfile").read_text(encoding="utf-8")
COMPOSE = compose.read()
OURS = {name: each for name, each in COMPOSE["services"].items() if each["image"].startswith(compose.OURS)}


def test_hadolint_finds_nothing_in_the_dockerfile() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    command = [str(hadolint), "--failure-threshold", "style", str(compose.CONTAINER / "Dockerfile")]
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (run.returncode, run.stdout) == (0, "")


def test_hadolint_would_find_something(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM python\nRUN apt-get install x\n")
    command = [Path(sys.executable).with_name("hadolint"), tmp_path / "Dockerfile"]
    assert subprocess.run(command, capture_output=True, check=False, timeout=60).returncode != 0


def test_the_image_is_locked_by_hash_and_is_nobody_s_root() -> None:
    last = DOCKERFILE.rpartition("\nFROM ")[2]
    assert re.search(r"^USER 10001:10001$", last, re.MULTILINE)
    assert "HEALTHCHECK" in last
    assert "pip" not in last
    installs = re.findall(r"pip [^&]*install [^&]*", DOCKERFILE)
    assert len(installs) == 3
    for install in installs:
        assert "--require-hashes" in install or "--no-index" in install
    # An exact version, and one place that says it.
    assert re.findall(r"^ARG PYTHON=(.*)$", DOCKERFILE, re.MULTILINE) == ["3.13.9-slim-trixie"]
    assert set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)) == {"python:${PYTHON}"}


def test_everything_that_is_copied_is_given_to_the_builder_and_nothing_else() -> None:
    ignore = (compose.CONTAINER / "Dockerfile.dockerignore").read_text().splitlines()
    given = {line.removeprefix("!") for line in ignore if line.startswith("!")}
    copied = {
        name
        for line in re.findall(r"^COPY (?!--from)(.*) \S+$", DOCKERFILE, re.MULTILINE)
        for name in line.split()
    }
    assert given == copied
    assert all((ROOT / name).exists() for name in copied)
    # What people put there is no part of an image.
    assert any(fnmatch.fnmatch("deployments/container/secrets", line) for line in ignore)
    assert (compose.CONTAINER / "secrets/.gitignore").read_text().split() == ["*", "!.gitignore"]


def test_the_compose_file_keeps_its_own_specification() -> None:
    schema = resources.files("check_jsonschema") / "builtin_schemas/vendor/compose-spec.json"
    judge = jsonschema.Draft202012Validator(json.loads(schema.read_text(encoding="utf-8")))
    assert not [error.message for error in judge.iter_errors(COMPOSE)]
    assert list(judge.iter_errors({"services": {"x": {"imagee": "y"}}}))


def test_caddy_reads_its_file() -> None:
    caddy = Path(sys.executable).with_name("caddy")
    run = subprocess.run(
        [caddy, "validate", "--adapter", "caddyfile", "--config", compose.CONTAINER / "Caddyfile"],
        env=COMPOSE["services"]["caddy"]["environment"]
        | {"ITP_SITE": "a.example", "ITP_PREFECT_SITE": "b.example"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize("name", OURS)
def test_each_part_is_shut_in(name: str) -> None:
    part = OURS[name]
    assert part["read_only"] is True
    assert part["user"] == "10001:10001"
    assert part["cap_drop"] == ["ALL"]
    assert part["security_opt"] == ["no-new-privileges:true"]
    assert "ports" not in part
    assert "healthcheck" in part


@pytest.mark.parametrize("name", OURS)
def test_no_secret_stands_in_the_compose_file_and_each_that_is_named_is_there(
    name: str, tmp_path: Path
) -> None:
    part = OURS[name]
    variables: dict[str, Any] = part["environment"]
    assert not (SECRETS - {"ITP_API_TOKENS"}) & variables.keys()
    named = {Path(str(value)).name for value in variables.values() if str(value).startswith("/run/secrets/")}
    assert named == set(part["secrets"])
    assert named <= COMPOSE["secrets"].keys()
    (tmp_path / "kept").write_text("user:" + "x" * 40)
    settings = {
        key: str(tmp_path / "kept") if str(value).startswith("/run/secrets/") else str(value)
        for key, value in variables.items()
    }
    load_settings(settings, tmp_path / ".env")


def test_images_name_an_exact_version() -> None:
    for name, service in COMPOSE["services"].items():
        assert re.search(r":\d+\.\d+", service["image"]), name
        assert "/" not in service["image"]


def test_every_secret_of_the_settings_may_be_a_file(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("user:" + "x" * 40 + "\n")
    for name in SECRETS - {"ITP_API_TOKENS"}:
        settings = load_settings({f"{name}_FILE": str(tmp_path / "kept")}, tmp_path / ".env")
        field = name.removeprefix("ITP_").lower()
        assert getattr(settings, field).get_secret_value() == "user:" + "x" * 40
