"""The words of the participants' page, in each language of a site."""

from __future__ import annotations

from typing import Literal

Language = Literal["en", "zh-CN"]
Words = dict[str, str]

PARTICIPANT: dict[Language, Words] = {
    "en": {
        "title": "Your appointment",
        "asks": "Your appointment is on {day}. Will you come?",
        "coming": "I come",
        "not-coming": "I cannot come",
        "stop": "No more reminders",
        "stop-means": "You can be reminded again at any time: tell the people who look after you.",
        "done": "Thank you",
        "said-coming": "Thank you. We expect you on {day}.",
        "said-not-coming": "Thank you for telling us. We will contact you about another day.",
        "said-stop": "You get no more reminders.",
        "over": "Nothing to answer",
        "said-over": "This message is out of date. With questions, ask the people who look after you.",
        "refused": "Not recorded",
        "said-refused": "That could not be recorded. Please call the people who look after you.",
        "link": "This link does not work. Open it from the message again.",
        "link-expired": "This link has expired.",
        "too-many": "That was pressed too often today. Please call the people who look after you.",
    },
    "zh-CN": {
        "title": "预约提醒",
        "asks": "您预约的日期是{day}。您是否前来？",
        "coming": "按时前来",
        "not-coming": "不能前来",
        "stop": "不再接收提醒",
        "stop-means": "您可随时重新接收提醒：请告知联系您的工作人员。",
        "done": "谢谢",
        "said-coming": "谢谢，{day}见。",
        "said-not-coming": "谢谢告知。我们会与您联系，另约日期。",
        "said-stop": "今后不再向您发送提醒。",
        "over": "无需答复",
        "said-over": "此提醒已失效。如有疑问，请咨询联系您的工作人员。",
        "refused": "未能记录",
        "said-refused": "未能记录。请致电联系您的工作人员。",
        "link": "此链接无效，请从提醒消息中重新打开。",
        "link-expired": "此链接已过期。",
        "too-many": "今日操作过于频繁。请致电联系您的工作人员。",
    },
}
