"""The words about duty in the text of a notice: why it comes to somebody for whom it was not meant first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

from itp_events.duty.answering import Gap
from itp_events.duty.roster import Missing
from tasks.text.wording import audience_name, day_in

_NOBODY = {
    "en": "You get this because nobody is on duty as {audience}{why}.",
    "zh-CN": "您收到此通知，是因为{audience}目前无人值班{why}。",
}
_TO_ONE = {
    "en": "This is for {person}, who has no address in the Apprise configuration: please pass it on.",
    "zh-CN": "此通知的收件人是 {person}，但 Apprise 配置中没有其地址：请代为转达。",
}
_MISSING = {
    "en": {
        "away": "{person} is away{until} and no deputy is there",
        "until": " until {day}",
        "inactive": "the account {person} is not active",
        "no-address": "{person} has no address in the Apprise configuration",
        "planned": "the rota names nobody for this day",
    },
    "zh-CN": {
        "away": "{person} {until}不在岗，且无代理人在岗",
        "until": "在{day}之前（含当日）",
        "inactive": "账户 {person} 已停用",
        "no-address": "Apprise 配置中没有 {person} 的地址",
        "planned": "排班表中当日未安排人员",
    },
}


def standing_in(title: str, body: str, language: str, gaps: Sequence[Gap]) -> tuple[str, str]:
    """Title and body of a message that comes to stand-ins, with the reason before everything else."""
    return title, "\n".join([*(_said(gap, language) for gap in gaps), "", body])


def _said(gap: Gap, language: str) -> str:
    if gap.missing and gap.audience == "ops" and gap.missing[0].why == "no-address":
        return _TO_ONE[language].format(person=gap.missing[0].person)
    why = reasons(gap.missing, language)
    bracket = f": {why}" if language == "en" else f"（{why}）"
    return _NOBODY[language].format(audience=audience_name(language, gap.audience), why=bracket)


def reasons(missing: Sequence[Missing], language: str) -> str:
    """The reason why nobody is on duty, in words."""
    words = _MISSING[language]
    if not missing:
        return words["planned"]
    separator = ", " if language == "en" else "，"
    return separator.join(_reason(each, words, language) for each in missing)


def _reason(missing: Missing, words: Mapping[str, str], language: str) -> str:
    until = words["until"].format(day=day_in(language, missing.until)) if missing.until else ""
    return words[missing.why].format(person=missing.person, until=until)


def write_missing(missing: Sequence[Missing]) -> list[dict[str, str]]:
    """The people of a gap, as the outbox keeps them."""
    return [
        {"person": each.person, "why": each.why} | ({"until": each.until.isoformat()} if each.until else {})
        for each in missing
    ]


def read_missing(rows: Sequence[Mapping[str, str]]) -> list[Missing]:
    """The people of a gap as the outbox keeps them."""
    return [
        Missing(row["person"], row["why"], date.fromisoformat(row["until"]) if "until" in row else None)  # type: ignore[arg-type]
        for row in rows
    ]
