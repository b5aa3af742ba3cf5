"""What the pages for people say, in the language of the subject's site."""

from __future__ import annotations

from typing import Literal

Language = Literal["en", "zh-CN"]
Words = dict[str, str]

ACKNOWLEDGE: dict[Language, Words] = {
    "en": {
        "title": "Take on an overdue visit",
        "asks": "The window of {visit} of subject {subject} has closed with nothing recorded.",
        "means": "By pressing the button you say that you look after it. The messages pause until the date "
        "below and then go on, unless the visit is recorded by then.",
        "until": "Until",
        "by": "Who looks after it",
        "press": "I look after it",
        "done": "Acknowledged",
        "said": "{visit} of subject {subject} is acknowledged until {until} by {by}. Thank you.",
        "again": "{visit} of subject {subject} was acknowledged already, until {until} by {by}; "
        "nothing has changed.",
        "nothing": "Nothing to take on",
        "refused": "Not acknowledged",
        "link": "This link is not one of this service's; open it from the message again.",
        "link-expired": "This link has expired; use the newest message about this visit.",
    },
    "zh-CN": {
        "title": "跟进逾期访视",
        "asks": "受试者 {subject} 的访视 {visit} 时间窗已关闭，尚无记录。",
        "means": "按下按钮即表示由您负责跟进。在下列日期之前暂停发送通知；届时如仍无记录，将继续发送。",
        "until": "跟进至",
        "by": "跟进人",
        "press": "由我跟进",
        "done": "已确认",
        "said": "受试者 {subject} 的访视 {visit} 已由 {by} 确认跟进至 {until}。您可以关闭此页面。",
        "again": "受试者 {subject} 的访视 {visit} 此前已由 {by} 确认跟进至 {until}，没有变化。",
        "nothing": "无需跟进",
        "refused": "未能确认",
        "link": "此链接无效，请从通知中重新打开。",
        "link-expired": "此链接已过期，请使用关于该访视的最新通知。",
    },
}

DECIDE: dict[Language, Words] = {
    "en": {
        "title": "An investigator's decision",
        "about": "For subject {subject}. What you state here is recorded as itp.withdrawal.decided, in your "
        "name, for good.",
        "criterion": "About",
        "every": "every open flag, or a decision of your own",
        "decision": "Decision",
        "choose": "choose",
        "continue": "treatment and visits go on",
        "stop-treatment": "no more infusions, follow-up goes on",
        "withdraw": "the subject leaves the study",
        "complete": "after a missed last visit, the study counts as completed",
        "decode": "Disposition (DSDECOD)",
        "own": "as the criterion says",
        "on": "On",
        "reason": "Reason",
        "by": "Who decides",
        "token": "Your token",
        "which": "A token of role investigator; this makes one:",
        "press": "Record the decision",
        "done": "Recorded",
        "said": "Recorded for {subject}: {decision}. You may close this page.",
        "known": "Nothing has changed",
        "again": "This form was sent before, and what it said then stands: {decision}. To state something "
        "else, open the link in the message again.",
        "refused": "Not recorded",
    },
    "zh-CN": {
        "title": "研究者决定",
        "about": "受试者 {subject}。您在此作出的决定将以您的名义永久记录为 itp.withdrawal.decided。",
        "criterion": "针对",
        "every": "所有待决标记，或研究者自行决定",
        "decision": "决定",
        "choose": "请选择",
        "continue": "治疗和访视继续",
        "stop-treatment": "不再输注，继续随访",
        "withdraw": "受试者退出研究",
        "complete": "末次访视缺失后，视为完成研究",
        "decode": "终止原因 (DSDECOD)",
        "own": "按标准默认",
        "on": "日期",
        "reason": "理由",
        "by": "决定人",
        "token": "您的令牌",
        "which": "需要 investigator 角色的令牌；生成命令：",
        "press": "记录决定",
        "done": "已记录",
        "said": "已为受试者 {subject} 记录：{decision}。您可以关闭此页面。",
        "known": "没有变化",
        "again": "此表单此前已提交，当时的内容有效：{decision}。如需另作决定，请从通知中重新打开链接。",
        "refused": "未能记录",
    },
}
