"""Each recipe of docs/recipes.md, followed to the letter on a copy of the tree, passes its check."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

pytestmark = pytest.mark.requirement("DOC-01")

ROOT = Path(__file__).parents[2]
RECIPES = (ROOT / "docs/recipes.md").read_text(encoding="utf-8")
# What a recipe touches or its check needs; never what runs have left behind.
COPIED = ("itp_events", "tasks", "flows", "deployments", "tests", "README.md", "pyproject.toml")
FENCE = re.compile(
    r'^```(?P<kind>\w+)(?: title="(?P<path>[^"]+)")?\n(?P<text>.*?)^```$', re.MULTILINE | re.DOTALL
)


class Step(NamedTuple):
    """One fenced block of a recipe: lines to change in a file, a file to write, or commands to run."""

    kind: str
    path: str
    text: str


def _recipes() -> dict[str, list[Step]]:
    parts = re.split(r"^## (.+)\n", RECIPES, flags=re.MULTILINE)[1:]
    return {
        title: [Step(found["kind"], found["path"] or "", found["text"]) for found in FENCE.finditer(body)]
        for title, body in zip(parts[::2], parts[1::2], strict=True)
    }


def _followed(tree: Path, steps: list[Step]) -> Iterator[Path]:
    """Do what the steps say; yield each file that they touch."""
    for step in steps:
        file = tree / step.path
        if step.kind == "diff":
            file.write_text(_changed(file.read_text(encoding="utf-8"), step), encoding="utf-8")
        elif step.path:
            assert not file.exists(), f"the recipe writes {step.path}, which is there already"
            file.write_text(step.text, encoding="utf-8")
        else:
            continue
        yield file


def _changed(text: str, step: Step) -> str:
    for part in step.text.split("@@\n"):
        lines = part.splitlines(keepends=True)
        before = "".join(line[1:] for line in lines if line[0] != "+")
        after = "".join(line[1:] for line in lines if line[0] != "-")
        assert text.count(before) == 1, f"{step.path} holds this {text.count(before)} times:\n{before}"
        text = text.replace(before, after)
    return text


@pytest.mark.parametrize("title", _recipes())
def test_a_recipe_leads_to_code_that_passes_its_check(title: str, tmp_path: Path) -> None:
    steps = _recipes()[title]
    for name in COPIED:
        _copy(ROOT / name, tmp_path / name)
    touched = [file for file in _followed(tmp_path, steps) if file.suffix == ".py"]
    ruff = [sys.executable, "-m", "ruff"]
    _run([*ruff, "check", *map(str, touched)], tmp_path)
    _run([*ruff, "format", "--check", *map(str, touched)], tmp_path)
    [check] = [step.text for step in steps if step.kind == "sh"]
    for command in check.splitlines():
        program, *arguments = _words(command)
        assert program == ".venv/bin/python"
        _run([sys.executable, *arguments, "-p", "no:cacheprovider"], tmp_path)


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(source, target)


def _words(command: str) -> list[str]:
    return [word.strip('"') for word in re.findall(r'"[^"]*"|\S+', command)]


def _run(command: list[str], tree: Path) -> None:
    environ = {**os.environ, "PYTHONPATH": str(tree)}
    done = subprocess.run(command, cwd=tree, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}:\n{done.stdout}\n{done.stderr}"


def test_every_recipe_touches_files_and_ends_with_a_check() -> None:
    for title, steps in _recipes().items():
        kinds = [step.kind for step in steps]
        assert kinds.count("diff") >= 3, title
        assert kinds[-1] == "sh", title
