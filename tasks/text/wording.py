"""The words of the texts for dates, numbers and names, in each language.

The sentences are in the templates.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from zoneinfo import ZoneInfo

from itp_events.events import plain_number
from itp_events.marks import LEGEND, MARK, marked
from itp_events.notices.content_types import NoticeContents
from itp_events.rules.deviations import WORDS
from itp_events.rules.explain import power_of_ten
from tasks.text.criteria_zh import unmet_zh

_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_WEEKDAYS_ZH = "一二三四五六日"
_CRITERIA = {
    "rescue-medication": "rescue medication taken",
    "prohibited-medication": "prohibited medication taken",
    "maintenance-changed": "maintenance dose changed",
    "missed-infusions": "infusions missed in a row",
    "lost-to-follow-up": "lost to follow-up",
    "investigator-decision": "the investigator's decision",
}
_CRITERIA_ZH = {
    "consent-withdrawn": "撤回知情同意",
    "death": "死亡",
    "pregnancy": "妊娠",
    "adverse-event": "不良事件",
    "rescue-medication": "使用补救治疗",
    "prohibited-medication": "使用禁用药物",
    "maintenance-changed": "维持治疗剂量改变",
    "missed-infusions": "连续未进行输注",
    "lost-to-follow-up": "失访",
    "investigator-decision": "研究者决定",
}
# The service's own terms; free text stays as it was written.
_TERMS_ZH = {
    "pregnancy": "妊娠",
    "pregnancy of a partner": "伴侣妊娠",
    "Pregnancy": "妊娠",
    "Death": "死亡",
    "Completed": "完成研究",
    "Consent withdrawn for the study": "撤回参加研究的知情同意",
    "Consent withdrawn for treatment": "撤回接受治疗的知情同意",
    "No infusion was given and none is left": "未进行任何输注，且无剩余输注",
}
_COUNTED_ZH = (re.compile(r"(\d+) of (\d+) infusions given"), "计划输注 {1} 次，完成 {0} 次")
# DSDECOD stays beside its Chinese name: it is what the records hold.
_DECODES_ZH = {
    "COMPLETED": "完成",
    "ADVERSE EVENT": "不良事件",
    "DEATH": "死亡",
    "LACK OF EFFICACY": "缺乏疗效",
    "LOST TO FOLLOW-UP": "失访",
    "PHYSICIAN DECISION": "研究者决定",
    "PREGNANCY": "妊娠",
    "OTHER": "其他",
    "PROTOCOL DEVIATION": "方案偏离",
    "PROTOCOL-SPECIFIED WITHDRAWAL CRITERION MET": "符合方案规定的退出标准",
    "WITHDRAWAL BY SUBJECT": "受试者撤回同意",
    "WITHDRAWAL BY PARENT/GUARDIAN": "监护人撤回同意",
}
_CATEGORIES_ZH = {
    "window": "访视超出时间窗",
    "missed": "访视未进行或被跳过",
    "dose": "输注剂量偏差超出限度",
    "on-hold": "在暂停期间或终止治疗后输注",
    "eligibility": "不符合入选标准",
    "safety-report": "安全性报告迟报或漏报",
    "consent": "操作前未取得知情同意",
}
_BECAUSE = {
    "exit": "the subject's participation ended",
    "stopped": "treatment was stopped",
    "missed": "the infusion counts as missed",
    "on-hold": "treatment is on hold until the investigator decides",
    "moved": "the date changed",
    "open": "the infusion before it is open again",
    "fatal": "a fatal adverse event is recorded, and no death yet",
}
_BECAUSE_ZH = {
    "exit": "受试者已结束研究",
    "stopped": "治疗已终止",
    "missed": "该次输注按未进行计",
    "on-hold": "治疗暂停，等待研究者决定",
    "moved": "日期已变更",
    "open": "前一次输注的记录已作废",
    "fatal": "已录入致死性不良事件，尚无死亡记录",
}
_SOURCES_ZH = {"synopsis": "方案摘要", "assumption": "待中心确认"}
_READINGS_ZH = {"calendar-months": "按日历月计", "days-after": "按天数计"}
AUDIENCES_ZH = {
    "coordinator": "协调员",
    "investigator": "研究者",
    "sponsor": "申办者",
    "cell-lab": "细胞实验室",
    "ops": "运维",
}
# The meaning of the mark of an assumption, below every text that bears one.
LEGENDS = {"en": f"{LEGEND}.", "zh-CN": f"{MARK} 为假定，须由中心确认。"}
_CHINA = ("Asia/Shanghai", "Asia/Chongqing", "Asia/Chungking", "Asia/Harbin", "PRC")
_UNITS_ZH = {"D": "天", "W": "周", "M": "个月"}

Filter = Callable[..., str]


def filters(language: str, zone: ZoneInfo) -> Mapping[str, Filter]:
    """The filters that templates of a language may use; instants are shown in `zone`."""
    own = _CHINESE if language == "zh-CN" else _ENGLISH
    instant = _instant_zh if language == "zh-CN" else _instant_en
    return {
        **_COMMON,
        **own,
        "instant": lambda value: instant(datetime.fromisoformat(value).astimezone(zone)),
    }


def is_own_term(value: str) -> bool:
    """Whether a term is the service's own, which stands without quotation marks."""
    return value in _TERMS_ZH or bool(_COUNTED_ZH[0].fullmatch(value))


def audience_name(language: str, audience: str) -> str:
    """An audience in a language."""
    return AUDIENCES_ZH.get(audience, audience) if language == "zh-CN" else audience


def day_in(language: str, day: date) -> str:
    """A date in a language, with its weekday."""
    return _day_zh(day.isoformat()) if language == "zh-CN" else _day(day.isoformat())


def visit_name(language: str, code: str | None, label: str | None) -> str:
    """A visit's name with its code, as `Infusion 3 (INF3)`."""
    if code is None:
        return label or ""
    name = _label_zh(code) if language == "zh-CN" else label
    return f"{name} ({code})" if language == "en" and name else f"{name}（{code}）" if name else code


def _label_zh(code: str) -> str | None:
    patterns = ((r"INF(\d+)", "第{}次输注"), (r"FU-D(\d+)", "第{}天随访"), (r"FU-M(\d+)", "第{}个月随访"))
    matches = ((re.fullmatch(pattern, code), name) for pattern, name in patterns)
    return next((name.format(match[1]) for match, name in matches if match), None)


def why(language: str, said: NoticeContents) -> str | None:
    """The reason of a visit's dates, in one sentence; None when the notice carries none."""
    if language != "zh-CN":
        reason = said.get("reason")
        return f"{reason}." if reason else None
    return _why_zh(said) if said.get("anchor_on") else None


def _why_zh(said: NoticeContents) -> str:
    return f"{_basis_zh(said)}{_sources_zh(said)}。"


def _basis_zh(said: NoticeContents) -> str:
    on, code = _day_zh(said["anchor_on"]), said.get("anchor_code")
    offset = _span_zh(said.get("offset") or "")
    if code == "enrolment":
        if said.get("agreed"):
            return f"入组日{on}商定的日期"
        return f"自入组日{on}起{offset}" if offset else f"入组当日{on}"
    name = visit_name("zh-CN", code, said.get("anchor_label"))
    words = {
        "planned": f"{name}未进行，自其目标日期{on}起{offset}",
        "projected": f"{name}尚无记录，暂自其目标日期{on}起{offset}",
    }
    return words.get(said.get("anchor_basis", ""), f"自{name}的实际日期{on}起{offset}")


def _span_zh(text: str) -> str:
    """A duration as the protocol writes it (`P2W`), in words; nothing for none."""
    parts = re.findall(r"([1-9]\d*)([DWM])", text)
    return "".join(f"{number}{_UNITS_ZH[unit]}" for number, unit in parts)


def _sources_zh(said: NoticeContents) -> str:
    target, window = said.get("target_source"), said.get("window_source")
    if not target or not window:
        return ""
    assumed = said.get("assumed") or ()
    read = _READINGS_ZH.get(said.get("reading") or "")
    target_by = "入组时商定" if said.get("agreed") else "，".join(filter(None, (_source_zh(target), read)))
    on = marked(target_by, "target" in assumed)
    return f"（目标日期：{on}；时间窗：{marked(_source_zh(window), 'window' in assumed)}）"


def _source_zh(source: str) -> str:
    return _SOURCES_ZH.get(source, source)


def _day(value: str) -> str:
    day = date.fromisoformat(value)
    return f"{_WEEKDAYS[day.weekday()]} {day.day} {_MONTHS[day.month - 1]} {day.year}"


def _day_zh(value: str) -> str:
    day = date.fromisoformat(value)
    return f"{day.year}年{day.month}月{day.day}日（周{_WEEKDAYS_ZH[day.weekday()]}）"


def _instant_en(local: datetime) -> str:
    name = "Beijing time" if str(local.tzinfo) in _CHINA else str(local.tzinfo)
    return f"{_day(local.date().isoformat())}, {local:%H:%M} ({name})"


def _instant_zh(local: datetime) -> str:
    name = "北京时间" if str(local.tzinfo) in _CHINA else f"当地时间（{local.tzinfo}）"
    return f"{name}{_day_zh(local.date().isoformat())}{local:%H:%M}"


def _cells(value: float | None) -> str:
    return "?" if value is None else power_of_ten(value)


def _cells_zh(value: float | None) -> str:
    return _cells(value).replace(" ", "")


def _kg(value: float | None) -> str:
    return "?" if value is None else plain_number(value)


def _change(value: float) -> str:
    return f"{'risen' if value > 0 else 'fallen'} by {abs(value):.0%}"


def _change_zh(value: float) -> str:
    return f"{'增加' if value > 0 else '下降'} {abs(value):.0%}"


def _difference(value: float) -> str:
    return f"{abs(value):.0%} {'more' if value > 0 else 'less'} than planned"


def _difference_zh(value: float) -> str:
    return f"比计划{'多' if value > 0 else '少'} {abs(value):.0%}"


def _deviation(days: int) -> str:
    side = "after the window's last day" if days > 0 else "before the window's first day"
    return f"{abs(days)} day{'s' if abs(days) != 1 else ''} {side}"


def _deviation_zh(days: int) -> str:
    return f"比时间窗{'晚' if days > 0 else '早'}{abs(days)}天"


def _event_name_zh(value: str) -> str:
    return "入组" if value == "enrolment" else visit_name("zh-CN", value, None)


def _term_zh(value: str) -> str:
    pattern, words = _COUNTED_ZH
    match = pattern.fullmatch(value)
    return words.format(*match.groups()) if match else str(_TERMS_ZH.get(value, value))


def _sourced(source: str) -> str:
    return marked(source, source == "assumption")


_COMMON: dict[str, Filter] = {"kg": _kg, "years": _kg}
_ENGLISH: dict[str, Filter] = {
    "cells": _cells,
    "change": _change,
    "difference": _difference,
    "audience": str,
    "day": _day,
    "deviation": _deviation,
    "criterion": lambda value: str(_CRITERIA.get(value, (value or "not given").replace("-", " "))),
    "category": lambda value: str(WORDS.get(value, value)),
    "because": lambda value: str(_BECAUSE.get(value, value)),
    "decode": str,
    "term": str,
    "source": _sourced,
    "event_name": str,
}
_CHINESE: dict[str, Filter] = {
    "cells": _cells_zh,
    "change": _change_zh,
    "difference": _difference_zh,
    "audience": lambda value: str(AUDIENCES_ZH.get(value, value)),
    "day": _day_zh,
    "deviation": _deviation_zh,
    "criterion": lambda value: str(_CRITERIA_ZH.get(value, value or "未注明")),
    "category": lambda value: str(_CATEGORIES_ZH.get(value, value)),
    "because": lambda value: str(_BECAUSE_ZH.get(value, value)),
    "decode": lambda value: (
        f"{_DECODES_ZH.get(value, '')}（{value}）" if value in _DECODES_ZH else str(value)
    ),
    "term": _term_zh,
    "source": lambda value: marked(_source_zh(value), value == "assumption"),
    "event_name": _event_name_zh,
    "unmet": unmet_zh,
}
