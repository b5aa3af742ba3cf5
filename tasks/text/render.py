"""The text of a notice: one template file per step and language, in the folder of its language.

The first line that a template gives is the title, the rest the body. A step whose text differs for one
audience has a second file, `T-3d.cell-lab.txt`. A template may name any key of FACTS; what a notice does
not carry is None there. It never gets a name: a notice knows the subject's code only. What people wrote
stands there on one line, in quotation marks (`tasks.text.free_text`): no template need see to it.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template, TemplateError, select_autoescape

from itp_events.marks import MARK
from itp_events.notices.steps import Step
from tasks.text.free_text import legible
from tasks.text.wording import LEGENDS, filters, is_own_term, visit_name, why

# Every key that `facts` of itp.notice.issued, or of the service's own alerts, may hold.
FACTS = frozenset(
    {
        # the visit and its dates
        *("visit_label", "target", "opens", "closes", "t", "booked", "on", "deviation_days"),
        # why they lie there
        *("anchor_code", "anchor_label", "anchor_on", "anchor_basis", "reason"),
        *("offset", "agreed", "target_source", "window_source", "reading"),
        # which of them rest on an assumption
        "assumed",
        # reminders, ladder and what is repeated
        *("link", "day", "attempt", "dose", "replaces", "given", "planned", "dose_for"),
        *("old_date", "new_date", "because", "treatment_ended"),
        # safety, withdrawal, eligibility
        *("ae", "term", "grade", "outcome", "hours", "deadline", "follow_up", "death"),
        *("criterion", "decode", "unmet", "shortfalls", "age_years", "from_years"),
        # the service's own alert about a channel
        *("channel", "since", "failures", "error"),
        # the daily digest of a site
        *("site", "today", "week", "overdue", "waiting"),
    }
)
DOSE = frozenset(
    {"cells", "cells_per_kg", "weight_kg", "weight_on", "weight_source", "weight_change", "source"}
)
# CTCAE's grade of an adverse event that led to death.
_DEATH = 5
_TEXTS = Path(__file__).parent
LANGUAGES = tuple(sorted(path.parent.name for path in _TEXTS.glob("*/_any.txt")))
_REPEATED = {"en": "[possibly repeated] ", "zh-CN": "【可能重复】"}
_REPEATED_WHY = {
    "en": "You may have received this message before: whether an earlier attempt arrived is not known.",
    "zh-CN": "您可能已收到过此通知：此前一次发送是否送达尚不确定。",
}


@dataclass(frozen=True, slots=True)
class Occasion:
    """What a notice is about. `visit` is a visit's code; `facts` as in itp.notice.issued."""

    step: str
    audience: str
    subject: str | None
    visit: str | None
    facts: Mapping[str, Any]


def render(occasion: Occasion, language: str, zone: ZoneInfo) -> tuple[str, str]:
    """Title and body in a language, with instants in the site's time zone.

    A notice must leave even when its facts do not fit its text: then the facts themselves are the body,
    and the error is logged.
    """
    occasion = replace(occasion, facts=legible(occasion.facts, is_own_term))
    try:
        text = _template(occasion.step, occasion.audience, language, zone).render(
            _context(occasion, language)
        )
    except (TemplateError, ValueError, TypeError):
        logging.getLogger(__name__).exception("the text of %s could not be made", occasion.step)
        facts = json.dumps(dict(occasion.facts), ensure_ascii=False, indent=1)
        return f"{occasion.subject}: {occasion.step} {occasion.visit or ''}".rstrip(), facts
    title, _, body = text.strip().partition("\n")
    return title.strip(), _tidy(f"{body}\n{LEGENDS[language] if MARK in text else ''}")


def marked_repeated(title: str, body: str, language: str) -> tuple[str, str]:
    """Title and body of a message that the recipient may have received before."""
    return _REPEATED[language] + title, f"{_REPEATED_WHY[language]}\n\n{body}"


def _tidy(body: str) -> str:
    lines = (line.strip() for line in body.splitlines())
    return re.sub(r"\n{2,}", "\n", "\n".join(lines)).strip()


def _context(occasion: Occasion, language: str) -> dict[str, Any]:
    facts = dict.fromkeys(FACTS) | {key: value for key, value in occasion.facts.items() if key in FACTS}
    if facts["dose"]:
        facts["dose"] = dict.fromkeys(DOSE) | facts["dose"]
    assumed = frozenset(facts["assumed"] or ())
    return facts | {
        "mark": lambda name: MARK * (name in assumed),
        "t_mark": MARK * ("target" in assumed and not facts["booked"]),
        "row_mark": lambda row, name="it": MARK * (name in row.get("assumed", ())),
        "fatal": facts["grade"] == _DEATH or facts["outcome"] == "fatal",
        "step": occasion.step,
        "audience": occasion.audience,
        "subject": occasion.subject,
        "visit": occasion.visit,
        "visit_name": visit_name(language, occasion.visit, facts["visit_label"]),
        "why": why(language, facts),
    }


@cache
def _template(step: str, audience: str, language: str, zone: ZoneInfo) -> Template:
    step = Step.read(step).text
    names = [f"{step}.{audience}.txt", f"{step}.txt", "_any.txt"]
    return environment(language, zone).select_template(names)


@cache
def environment(language: str, zone: ZoneInfo) -> Environment:
    """Where the templates of a language are found and what they may use."""
    made = Environment(
        loader=FileSystemLoader(_TEXTS / language),
        undefined=StrictUndefined,
        autoescape=select_autoescape(enabled_extensions=(), default=False),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(filters(language, zone))
    return made
