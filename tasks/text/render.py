"""The text of a notice: one template file per step and language, in the folder of its language.

The first line of a template is the title, the rest the body. A step whose text differs for one audience has a
second file, `T-3d.cell-lab.txt`. A template may name any value of KEYS; a value that the notice does not
carry is None. No name of a subject ever gets here: a notice knows the code only. Free text stands on one
line, in quotation marks (`tasks.text.free_text`), without any work of the template.
"""

from __future__ import annotations

import json
import logging
import re
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, cast
from zoneinfo import ZoneInfo

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template, TemplateError, select_autoescape

from itp_events.marks import MARK
from itp_events.notices.content_types import DoseContents
from itp_events.notices.steps import Step
from itp_events.protocol.model import PARTICIPANT
from tasks.database.contents import OutboxContents
from tasks.text.duty import read_missing, reasons
from tasks.text.free_text import legible
from tasks.text.wording import LEGENDS, filters, is_own_term, visit_name, why

# The names that a template may use: every value that a notice may carry, but what no text says.
KEYS = frozenset(OutboxContents.__annotations__) - {"channel_id", "language"}
_DOSE = frozenset(DoseContents.__annotations__)
# CTCAE's grade of an adverse event that led to death.
_DEATH = 5
TEXTS = Path(__file__).parent
LANGUAGES = tuple(sorted(path.parent.name for path in TEXTS.glob("*/_any.txt")))
# Every notice ends with the page of what it speaks of, where its text does not name that page itself.
_OPENS = {"en": "Open: {link}", "zh-CN": "打开页面：{link}"}
_APPOINTMENT = {"en": "Your appointment", "zh-CN": "预约提醒"}
_REPEATED = {"en": "[possibly repeated] ", "zh-CN": "【可能重复】"}
_REPEATED_WHY = {
    "en": "You may have received this message before: whether an earlier attempt arrived is not known.",
    "zh-CN": "您可能已收到过此通知：此前一次发送是否送达尚不确定。",
}


@dataclass(frozen=True, slots=True)
class Occasion:
    """The matter and the contents of a notice. `subject` and `visit` are codes, or None."""

    step: str
    audience: str
    subject: str | None
    visit: str | None
    contents: OutboxContents


def render(occasion: Occasion, language: str, zone: ZoneInfo) -> tuple[str, str]:
    """The title and the body in a language, with instants in the site's time zone.

    A notice must leave even when its contents do not fit its text: then the contents themselves are the body,
    and the error is logged.
    """
    occasion = replace(occasion, contents=cast("OutboxContents", legible(occasion.contents, is_own_term)))
    try:
        text = _template(occasion.step, occasion.audience, language, zone).render(
            _context(occasion, language)
        )
    except (TemplateError, ValueError, TypeError):
        logging.getLogger(__name__).exception("the text of %s could not be made", occasion.step)
        if occasion.audience == PARTICIPANT:
            # Nothing of the record goes to a phone that others may read.
            return _APPOINTMENT[language], occasion.contents.get("link", "")
        said = json.dumps(occasion.contents, ensure_ascii=False, indent=1)
        return f"{occasion.subject}: {occasion.step} {occasion.visit or ''}".rstrip(), said
    title, _, body = text.strip().partition("\n")
    link = occasion.contents.get("link")
    opens = _OPENS[language].format(link=link) if link and link not in body else ""
    return title.strip(), _tidy(f"{body}\n{opens}\n{LEGENDS[language] if MARK in text else ''}")


def marked_repeated(title: str, body: str, language: str) -> tuple[str, str]:
    """Title and body of a message that the recipient may have received before."""
    return _REPEATED[language] + title, f"{_REPEATED_WHY[language]}\n\n{body}"


def unmarked(title: str, body: str) -> tuple[str, str]:
    """The title and the body of a message without the marks of a repetition, if it has them."""
    for language, mark in _REPEATED.items():
        if title.startswith(mark):
            return title.removeprefix(mark), body.removeprefix(f"{_REPEATED_WHY[language]}\n\n")
    return title, body


def _tidy(body: str) -> str:
    lines = (line.strip() for line in body.splitlines())
    return re.sub(r"\n{2,}", "\n", "\n".join(lines)).strip()


def _context(occasion: Occasion, language: str) -> dict[str, Any]:
    said = occasion.contents
    values: dict[str, Any] = dict.fromkeys(KEYS) | {key: value for key, value in said.items() if key in KEYS}
    if dose := said.get("dose"):
        values["dose"] = dict.fromkeys(_DOSE) | dose
    assumed = frozenset(said.get("assumed", ()))
    return values | {
        "mark": lambda name: MARK * (name in assumed),
        "t_mark": MARK * ("target" in assumed and not said.get("booked")),
        "row_mark": lambda row, name="it": MARK * (name in row.get("assumed", ())),
        "fatal": said.get("grade") == _DEATH or said.get("outcome") == "fatal",
        "step": occasion.step,
        "audience": occasion.audience,
        "subject": occasion.subject,
        "visit": occasion.visit,
        "visit_name": visit_name(language, occasion.visit, said.get("visit_label")),
        "why": why(language, said),
    }


@cache
def _template(step: str, audience: str, language: str, zone: ZoneInfo) -> Template:
    if audience == PARTICIPANT:
        return environment(language, zone).get_template("participant.txt")
    step = Step.read(step).text
    names = [f"{step}.{audience}.txt", f"{step}.txt", "_any.txt"]
    return environment(language, zone).select_template(names)


@cache
def environment(language: str, zone: ZoneInfo) -> Environment:
    """The templates of a language, and the filters they may use."""
    made = Environment(
        loader=FileSystemLoader(TEXTS / language),
        undefined=StrictUndefined,
        autoescape=select_autoescape(enabled_extensions=(), default=False),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(filters(language, zone))
    made.filters["missing"] = lambda rows: reasons(read_missing(rows or ()), language)
    return made
