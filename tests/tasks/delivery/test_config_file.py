"""An Apprise configuration is read as an editor on any system saved it, or refused with the reason."""

import codecs
from pathlib import Path
from urllib.parse import unquote

import pytest

from itp_events.errors import BadInput
from tasks.delivery.channels import AUDIENCES, Channels, problems
from tasks.delivery.naming import address

pytestmark = pytest.mark.requirement("DLV-05")

TEXT = f"# 协调员\n{', '.join(AUDIENCES)}=json://127.0.0.1:1/all\n"
YAML = f"# 协调员\nurls:\n  - json://127.0.0.1:1/all:\n    - tag: {', '.join(AUDIENCES)}\n"


def saved(path: Path, raw: bytes, name: str) -> Path:
    file = path / name
    file.write_bytes(raw)
    return file


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
@pytest.mark.parametrize(("name", "text"), [("apprise.conf", TEXT), ("apprise.yml", YAML)])
@pytest.mark.parametrize(
    ("mark", "encoding"),
    [
        (b"", "utf-8"),
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
        (b"", "gbk"),
        (b"", "gb18030"),
    ],
)
def test_a_configuration_is_read_in_every_encoding_that_editors_save(
    tmp_path: Path, mark: bytes, encoding: str, name: str, text: str, ends: str
) -> None:
    file = saved(tmp_path, mark + text.replace("\n", ends).encode(encoding), name)
    assert problems(file) == []
    [recipient] = Channels.from_config(file).configured
    assert recipient.server
    assert address(recipient.server, privacy=False).startswith("json://127.0.0.1:1/all?")


def test_an_included_file_is_read_so_too(tmp_path: Path) -> None:
    saved(tmp_path, codecs.BOM_UTF8 + TEXT.encode(), "all.conf")
    file = saved(tmp_path, codecs.BOM_UTF16_LE + "include all.conf\r\n".encode("utf-16-le"), "apprise.conf")
    assert problems(file) == []


def test_chinese_outside_comments_is_read_from_gb18030_and_said(tmp_path: Path) -> None:
    raw = f"{', '.join(AUDIENCES)}=json://127.0.0.1:1/研究中心\n".encode("gb18030")
    file = saved(tmp_path, raw, "apprise.conf")
    assert problems(file) == ["apprise.conf is read as GB18030, since line 1 is not UTF-8; save it as UTF-8"]
    [recipient] = Channels.from_config(file).configured
    assert recipient.server
    assert "研究中心" in unquote(unquote(str(recipient.server.url(privacy=False))))  # type: ignore[no-untyped-call]


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (TEXT.encode("utf-16-le"), "holds zero bytes, as UTF-16 without a byte order mark does"),
        (
            f"# Klinik\n# Prüfarzt für die Studie\n{TEXT[6:]}".encode("latin-1"),
            "is neither UTF-8 nor GB18030: line 2",
        ),
        (codecs.BOM_UTF16_LE + b"odd", "is not whole UTF-16, as its first bytes say"),
        (codecs.BOM_UTF32_LE + TEXT.encode("utf-32-le"), "holds zero bytes, as UTF-16 without"),
        (b"\xff\x00\x12" * 20, "is neither UTF-8 nor GB18030: line 1"),
    ],
)
def test_what_cannot_be_read_is_refused_in_one_line_with_the_reason(
    tmp_path: Path, raw: bytes, reason: str
) -> None:
    file = saved(tmp_path, raw, "apprise.conf")
    with pytest.raises(BadInput) as refused:
        Channels.from_config(file)
    said = str(refused.value)
    assert said.startswith(f"ITP_APPRISE_CONFIG: {file} {reason}")
    assert said.endswith("; save it as UTF-8")
    assert "\n" not in said


def test_an_included_file_that_cannot_be_read_is_pointed_out(tmp_path: Path) -> None:
    saved(tmp_path, b"ops=json://127.0.0.1/caf\xe9 \n", "more.conf")
    file = saved(tmp_path, f"{TEXT}include more.conf\n".encode(), "apprise.conf")
    assert any("more.conf is neither UTF-8 nor GB18030: line 1" in each for each in problems(file))
    assert len(Channels.from_config(file).configured) == 1


def test_a_file_that_may_not_be_read_is_refused(tmp_path: Path) -> None:
    file = saved(tmp_path, TEXT.encode(), "apprise.conf")
    file.write_bytes(b"#" * 200_000 + b"\n" + TEXT.encode())
    assert any("is larger than Apprise's" in each for each in problems(file))
