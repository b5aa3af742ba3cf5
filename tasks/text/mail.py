"""The HTML of a mail: the lines of a notice as paragraphs that wrap, and its link as a button.

Its words are those of the plain text, so that the text which Apprise or a mail program makes of it reads as
the notice was written: the address stands beneath the button, too. It fetches nothing from anywhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape

_OPEN = {"en": "Open the page", "zh-CN": "打开页面"}
_FONT = (
    "font-family:-apple-system,'Segoe UI',Roboto,'PingFang SC','Microsoft YaHei',"
    "'Noto Sans CJK SC',sans-serif"
)
_PAGE = f"margin:0;padding:16px;{_FONT};font-size:16px;line-height:1.5"
# About as many signs as the eye takes in; a narrow screen wraps earlier.
_COLUMN = "max-width:38em;overflow-wrap:break-word;word-break:break-word"
_LINE = "margin:0 0 12px"
_ITEM = "margin:0 0 6px 16px;text-indent:-12px"
_CELL = "border-radius:6px;background:#0b57d0"
_BUTTON = (
    f"display:inline-block;padding:12px 24px;{_FONT};font-size:16px;font-weight:bold;color:#ffffff;"
    "text-decoration:none"
)
_ADDRESS = "margin:0 0 12px;font-size:13px;word-break:break-all;color:#5f6368"


def mail_html(title: str, body: str, language: str, links: str = "") -> str:
    """The page of a mail; addresses that begin with `links` are the service's own, and become buttons."""
    shown = "".join(part for line in body.splitlines() for part in _line(line.strip(), language, links))
    return (
        f'<!DOCTYPE html><html lang="{escape(language)}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark"><meta name="format-detection" content="telephone=no">'
        f"<title>{escape(title)}</title></head>"
        f'<body style="{_PAGE}"><div style="{_COLUMN}">{shown}</div></body></html>'
    )


def _line(line: str, language: str, links: str) -> Iterator[str]:
    parts = re.split(rf"({re.escape(links)}/\S*)", line) if links else [line]
    for number, part in enumerate(parts):
        if number % 2:
            yield _button(part, language)
        elif part.strip():
            style = _ITEM if part.startswith("- ") else _LINE
            yield f'<p style="{style}">{escape(part.strip())}</p>'


def _button(address: str, language: str) -> str:
    to = escape(address)
    return (
        f'<table role="presentation" cellspacing="0" cellpadding="0" border="0" style="{_LINE}">'
        f'<tr><td style="{_CELL}" bgcolor="#0b57d0">'
        f'<a href="{to}" style="{_BUTTON}">{_OPEN.get(language, _OPEN["en"])}</a></td></tr></table>'
        f'<p style="{_ADDRESS}">{to}</p>'
    )
