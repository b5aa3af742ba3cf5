"""The inclusion criteria not met, in Chinese.

The English sentences are made by `itp_events.rules.eligibility`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_SENTENCES = {
    "consent-late": "知情同意签署于 {given}，须不晚于入组日 {on}",
    "consent-by": "{age} 岁由本人签署知情同意，未满 {of_age} 岁须由监护人签署",
    "assent-missing": "缺少受试者本人的知情赞同，满 {years} 岁须有",
    "assent-late": "知情赞同签署于 {given}，须不晚于入组日 {on}",
    "age": "年龄 {age} 岁，须为 {low} 至 {high} 岁",
    "itp-months": "ITP 病程 {months} 个月，须{limit} 个月",
    "not-refractory": "不符合难治性标准：{missing}未证实无效，脾切除亦未证实无效或复发",
    "maintenance": "{drug} 维持剂量已稳定 {weeks} 周，须{limit} 周",
    "liver": "{name} {value} x ULN，上限 {limit}",
    "kidney-missing": "缺少肌酐和肌酐清除率，至少须有一项",
    "creatinine": "肌酐 {creatinine} x ULN，须{limit}",
    "clearance": "肌酐清除率 {clearance} ml/min，须{more}",
    "kidney": "肌酐 {creatinine} x ULN，须{limit}；且肌酐清除率 {clearance} ml/min，须{more}",
    "test-missing": "缺少妊娠试验结果，育龄女性须有",
    "test": "妊娠试验{test}，须为阴性",
    "breastfeeding-missing": "缺少是否哺乳的记录，育龄女性须有",
    "breastfeeding": "正在哺乳，须未哺乳",
    "contraception-missing": "缺少避孕措施的记录，{who}须有",
    "contraception": "未同意采取避孕措施，{who}须采取",
}
_WORDS = {
    "first-line drugs": "一线药物",
    "second-line drugs": "二线药物",
    "rituximab": "利妥昔单抗",
    "bilirubin": "总胆红素",
    "positive": "阳性",
    "not-done": "未做",
    "women of childbearing age": "育龄女性",
    "fertile men": "有生育能力的男性",
}
_BOUNDS = {"at least": "不低于", "at most": "不高于", "more than": "大于"}


def unmet_zh(shortfall: Mapping[str, str]) -> str:
    """The sentence of one criterion not met."""
    words = {name: _said(value) for name, value in shortfall.items() if name != "drug"}
    sentence = _SENTENCES[shortfall["rule"]].format(**{"drug": shortfall.get("drug", ""), **words})
    return sentence + shortfall.get("mark", "")


def _said(value: str) -> str:
    value = "、".join(_WORDS.get(each, each) for each in value.split(", "))
    return re.sub("|".join(_BOUNDS), lambda match: _BOUNDS[match[0]], value)
