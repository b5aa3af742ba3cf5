"""Reads an Apprise configuration as it was saved: in UTF-8, UTF-16 or GB18030, with a byte order mark or not.

Editors on Windows save a file as one or another. Apprise itself takes UTF-8 alone, and a mark for a part of
the first line. Any other file is refused in one line, with the reason.
"""

from __future__ import annotations

import codecs
import re
from functools import cache
from pathlib import Path
from typing import Any

from apprise.common import ConfigFormat
from apprise.config.file import ConfigFile
from apprise.manager_config import ConfigurationManager

_SAVE = "save it as UTF-8"
_COMMENT = re.compile(r"^\s*[#;].*$", re.MULTILINE)


class Unreadable(ValueError):
    """A text that is in none of the encodings; the message says why, and what to do."""


def decoded(raw: bytes) -> tuple[str, str | None]:
    """The text of a file, and a warning where its encoding was guessed; line ends are `\\n`.

    Raises:
        Unreadable: it is in none of the encodings.
    """
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return _tidy(_strictly(raw, "utf-16")), None
    try:
        return _tidy(raw.decode("utf-8-sig")), None
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        return _as_chinese(raw, line)


def _strictly(raw: bytes, encoding: str) -> str:
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError:
        raise Unreadable(f"is not whole {encoding.upper()}, as its first bytes say; {_SAVE}") from None


def _as_chinese(raw: bytes, line: int) -> tuple[str, str | None]:
    refused = Unreadable(f"is neither UTF-8 nor GB18030: line {line}; {_SAVE}")
    try:
        text = _tidy(raw.decode("gb18030"))
    except UnicodeDecodeError:
        raise refused from None
    signs = [each for each in text if not each.isascii()]
    # A text of western Europe can be read as rare signs too; in Chinese most are common ones.
    if sum(map(_is_common, signs)) * 2 < len(signs):
        raise refused
    if _COMMENT.sub("", text).isascii():
        return text, None
    return text, f"is read as GB18030, since line {line} is not UTF-8; {_SAVE}"


def _is_common(sign: str) -> bool:
    try:
        return bool(sign.encode("gb2312"))
    except UnicodeEncodeError:
        return False


def _tidy(text: str) -> str:
    if "\0" in text:
        raise Unreadable(f"holds zero bytes, as UTF-16 without a byte order mark does; {_SAVE}")
    return text.replace("\r\n", "\n").replace("\r", "\n")


class SavedFile(ConfigFile):
    """A configuration file in any of the encodings; what is wrong with it goes to Apprise's log."""

    def read(self, **_: object) -> str | None:
        """The text of the file; None when it cannot be read."""
        path = Path(self.path)
        try:
            raw = path.read_bytes()
        except OSError as problem:
            self.logger.error("%s cannot be opened: %s", path.name, problem.strerror)
            return None
        if len(raw) > self.max_buffer_size:
            self.logger.error("%s is larger than Apprise's %s bytes", path.name, self.max_buffer_size)
            return None
        try:
            text, warning = decoded(raw)
        except Unreadable as reason:
            self.logger.error("%s %s", path.name, reason)
            return None
        if warning:
            self.logger.warning("%s %s", path.name, warning)
        if self.config_format is None and path.suffix.lower() in {".yml", ".yaml"}:
            self.default_config_format = ConfigFormat.YAML
        return text


@cache
def install() -> None:
    """Let Apprise read files in this way, also those that a configuration includes."""
    manager: Any = ConfigurationManager()  # type: ignore[no-untyped-call]
    manager.add(SavedFile, schemas="file", force=True)
