"""The sentence that a signer sees, and signs: what the signature means (21 CFR 11.50(a)(3)).

English and Simplified Chinese. A sentence names the decision, and no reason: the reason stands in the event.
"""

from __future__ import annotations

from itp_events.events import DeviationAssessed, Event, ProtocolAssigned, Voided, WithdrawalDecided

_DECISIONS = {
    "en": {
        "continue": "treatment and follow-up go on",
        "stop-treatment": "no more infusions are given, and follow-up goes on",
        "withdraw": "the subject leaves the study",
        "complete": "the subject has completed the study",
    },
    "zh-CN": {
        "continue": "治疗及随访继续",
        "stop-treatment": "不再输注，随访继续",
        "withdraw": "受试者退出研究",
        "complete": "受试者已完成研究",
    },
}
_WORDS = {
    "en": {
        "decided": "I have reviewed what is known of {subject}, and decide: {decision}{criterion}.",
        "criterion": " (criterion: {criterion})",
        "assessed": "I have reviewed the deviation {deviation} of {subject}, and assess it as {weight}.",
        "important": "important",
        "unimportant": "not important",
        "voided": "I have reviewed what is known of {subject}, and take back the statement {id} ({source}).",
        "assigned": "I have reviewed what protocol version {version} changes for {subject}, and assign it.",
        "stated": "I have reviewed this statement about {subject}, and answer for it.",
        "review": "I have reviewed the records of the study up to {until}.",
    },
    "zh-CN": {
        "decided": "我已审阅受试者 {subject} 的现有资料，决定：{decision}{criterion}。",
        "criterion": "（标准：{criterion}）",
        "assessed": "我已审阅受试者 {subject} 的偏离 {deviation}，判定为{weight}。",
        "important": "重要偏离",
        "unimportant": "非重要偏离",
        "voided": "我已审阅受试者 {subject} 的现有资料，撤销记录 {id}（{source}）。",
        "assigned": "我已审阅方案版本 {version} 对受试者 {subject} 的影响，并指定该版本。",
        "stated": "我已审阅受试者 {subject} 的此项记录，并对其负责。",
        "review": "我已审阅本研究截至 {until} 的记录。",
    },
}


def meaning(event: Event, language: str) -> str:
    """The sentence under which an event is signed, in `en` or `zh-CN`."""
    words, data, said = _WORDS[language], event.data, {"subject": event.subject}
    if isinstance(data, WithdrawalDecided):
        criterion = words["criterion"].format(criterion=data.criterion) if data.criterion else ""
        decision = _DECISIONS[language][data.decision]
        return words["decided"].format(**said, decision=decision, criterion=criterion)
    if isinstance(data, DeviationAssessed):
        weight = words["important" if data.important else "unimportant"]
        return words["assessed"].format(**said, deviation=data.deviation, weight=weight)
    if isinstance(data, Voided):
        return words["voided"].format(**said, id=data.event.id, source=data.event.source)
    if isinstance(data, ProtocolAssigned):
        return words["assigned"].format(**said, version=data.version)
    return words["stated"].format(**said)


def review_meaning(until: str, language: str) -> str:
    """The sentence under which a review of the study's records is signed; `until` is an ISO 8601 instant."""
    return _WORDS[language]["review"].format(until=until)
