"""`itp notify preview`: one page per language; nothing that is there already is replaced unasked."""

from pathlib import Path

import pytest

from tests.deployments.cli.conftest import Itp

pytestmark = pytest.mark.requirement("DLV-05")


def test_preview_writes_one_page_per_language(itp: Itp, tmp_path: Path) -> None:
    said = itp("notify", "preview", "--out", str(tmp_path / "texts"), "--json")
    assert said.code == 0
    pages = {name: Path(path) for name, path in said.json["pages"].items()}
    assert sorted(pages) == ["en", "zh-CN"]
    assert "URGENT" in pages["en"].read_text(encoding="utf-8")
    assert '<html lang="zh-CN">' in pages["zh-CN"].read_text(encoding="utf-8")
    assert said.json["texts"]["en"] > 100
    assert said.json["left_out"] == {"en": [], "zh-CN": []}


def test_a_page_that_is_there_stays_unless_it_is_asked_for(itp: Itp, tmp_path: Path) -> None:
    kept = tmp_path / "notices.zh-CN.html"
    kept.write_text("mine")
    said = itp("notify", "preview", "--out", str(tmp_path))
    assert said.code == 2
    assert f"{kept} is there already" in said.err
    assert "--overwrite" in said.err
    assert [path.name for path in tmp_path.iterdir()] == [kept.name]
    assert kept.read_text() == "mine"
    assert itp("notify", "preview", "--out", str(tmp_path), "--overwrite").code == 0
    assert kept.read_text(encoding="utf-8") != "mine"


def test_a_folder_that_cannot_be_made_is_named(itp: Itp, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    said = itp("notify", "preview", "--out", str(tmp_path / "file" / "texts"))
    assert said.code == 2
    assert "--out" in said.err
    assert str(tmp_path / "file" / "texts") in said.err
