"""Renders one page for each language: every text as it is sent, by audience. The page needs no network."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import get_args
from zoneinfo import ZoneInfo

from deployments.html_page import templates
from deployments.preview.occasions import Example
from itp_events.notices.steps import Step
from itp_events.protocol.model import PARTICIPANT, Audience
from tasks.text.render import render

_WORDS = {
    "en": {
        "title": "What people will receive",
        "about": "Every text of every step as it is sent, for typical subjects by the service's own rules. "
        "What people write themselves stays as they wrote it.",
        "audience": "To: {}",
        "count": "{} texts",
        "coordinator": "coordinator",
        "investigator": "investigator",
        "sponsor": "sponsor",
        "cell-lab": "cell laboratory",
        "ops": "operations",
        "participant": "the subject",
    },
    "zh-CN": {
        "title": "相关人员将收到的通知",
        "about": "各步骤的全部通知文本，以典型受试者为例，按本服务的规则生成，与实际发送的内容一致。"
        "人员自行填写的文字按原文显示。",
        "audience": "收件人：{}",
        "count": "共 {} 条",
        "coordinator": "协调员",
        "investigator": "研究者",
        "sponsor": "申办者",
        "cell-lab": "细胞实验室",
        "ops": "运维",
        "participant": "受试者本人",
    },
}
_ORDER = (*get_args(Audience), PARTICIPANT)


@dataclass(frozen=True)
class Text:
    """One text as it is sent, and the titles of its lives."""

    life: str
    step: str
    title: str
    body: str


def page(examples: tuple[Example, ...], language: str, zone: ZoneInfo, head: str) -> str:
    """The page of a language; `head` names the protocol. The same occasions give the same bytes."""
    environment = templates(Path(__file__).parent)
    made = {audience: _steps(examples, audience, language, zone) for audience in _ORDER}
    parts = {audience: steps for audience, steps in made.items() if steps}
    return environment.get_template("page.html.j2").render(
        language=language, w=_WORDS[language], head=head, parts=parts, count=len(examples)
    )


def _steps(
    examples: tuple[Example, ...], audience: str, language: str, zone: ZoneInfo
) -> dict[str, list[Text]]:
    """The texts for an audience, by step; numbered repeats count as one step."""
    found: dict[str, list[Text]] = {}
    for each in examples:
        if each.occasion.audience == audience:
            text = _text(each, language, zone)
            found.setdefault(Step.read(each.occasion.step).text, []).append(text)
    return found


def _text(example: Example, language: str, zone: ZoneInfo) -> Text:
    title, body = render(example.occasion, example.occasion.contents.get("language", language), zone)
    return Text(example.life, example.occasion.step, title, body)
