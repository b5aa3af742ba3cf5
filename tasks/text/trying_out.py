"""The text of a test message: marked as a test, in the language of its readers."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.text.wording import AUDIENCES_ZH

_TITLE = {"en": "[test] {study}: a message of no consequence", "zh-CN": "【测试】{study}：此消息无需处理"}
_BODY = {
    "en": (
        "This is a test of the messages of study {study}. Nothing has happened, and nothing is to be done.",
        "Through this channel come the messages to: {audiences}.",
        "It was sent by itp notify test on {place}.",
        "Messages may hold a link. If this one opens, so do they: {link}",
    ),
    "zh-CN": (
        "这是研究 {study} 的测试消息。未发生任何事件，无需处理。",
        "此渠道接收发给以下角色的消息：{audiences}。",
        "由 {place} 上的 itp notify test 发送。",
        "消息中可能带有链接。此链接若能打开，其他链接亦可打开：{link}",
    ),
}
_AND = {"en": ", ", "zh-CN": "、"}
# A recipient may bear Apprise's own tag for everything, which is no audience.
_NAMES_ZH = AUDIENCES_ZH | {"always": "全部"}


def test_message(
    language: str, study: str, audiences: Sequence[str], place: str, link: str
) -> tuple[str, str]:
    """The title and the body; `audiences` are the tags of the recipient, `place` the machine that sends."""
    known = language if language in _TITLE else "en"
    named = [_named(each) if known == "zh-CN" else each for each in audiences]
    given = {"study": study, "audiences": _AND[known].join(named), "place": place, "link": link}
    return _TITLE[known].format(**given), "\n".join(_BODY[known]).format(**given)


def _named(tag: str) -> str:
    """A tag in Chinese; the code of a site stays behind the audience's name."""
    for audience, name in _NAMES_ZH.items():
        if tag == audience:
            return name
        if tag.startswith(f"{audience}-"):
            return f"{name}（{tag.removeprefix(f'{audience}-')}）"
    return tag
