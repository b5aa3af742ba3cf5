"""The words of the pages for people, in each language of a site."""

from __future__ import annotations

from typing import Literal

from tasks.text.wording import LEGENDS

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
        "instead": "Or state what happened (you sign in first):",
        "took_place": "It took place",
        "booked": "A date is agreed",
        "missed": "It was missed",
        "done": "Acknowledged",
        "taken": "Somebody looks after it already",
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
        "instead": "或直接录入（须先登录）：",
        "took_place": "访视已完成",
        "booked": "已约定日期",
        "missed": "访视未进行",
        "done": "已确认",
        "taken": "已有人跟进",
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
        "where": "This page shows nothing of the subject. What waits for a decision stands in the message "
        "that led you here, and on the subject's page in Prefect.",
        "kept": "Nothing was recorded. What you entered is kept below; your token is not, give it again.",
        "criterion": "About",
        "every": "every open flag, or a decision of your own",
        "named": "{name} ({code}){mark}",
        "legend": LEGENDS["en"],
        "criterion-means": "Choose a criterion only while its flag waits, to answer that flag alone. Lost to "
        "follow-up may also be chosen to withdraw after a missed last visit.",
        "decision": "Decision",
        "when-continue": "Only while a flag waits: that of the criterion above, or any.",
        "when-stop-treatment": "While an infusion is left to give.",
        "when-withdraw": "At any time before the subject has left the study.",
        "when-complete": "Only after the last visit, {last}, was missed or cancelled.",
        "decode-means": "Leave it as it is, unless the record should say something else. It counts with "
        "stop-treatment and withdraw; complete is always recorded as COMPLETED.",
        "usual": "What the criteria say",
        "rare": "Usually stated with an event of its own",
        "says": "What each criterion says",
        "continue": "treatment and visits go on",
        "stop-treatment": "no more infusions, follow-up goes on",
        "withdraw": "the subject leaves the study",
        "complete": "the study counts as completed although its last visit was not done",
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
        "where": "本页不显示受试者的任何信息。待决事项请见引导您到此页的通知，或 Prefect 中的受试者页面。",
        "kept": "未作任何记录。您填写的内容保留如下；令牌不予保留，请重新输入。",
        "criterion": "针对",
        "every": "所有待决标记，或研究者自行决定",
        "named": "{name}（{code}）{mark}",
        "legend": LEGENDS["zh-CN"],
        "criterion-means": "仅当某一标准的标记待决、且只就该标记作出决定时选择。"
        "末次访视未进行而决定退出研究时，也可选择“失访”。",
        "decision": "决定",
        "when-continue": "仅在有标记待决时可选：上面所选标准的标记，或任一标记。",
        "when-stop-treatment": "尚有输注未进行时可选。",
        "when-withdraw": "受试者退出研究之前随时可选。",
        "when-complete": "仅在末次访视 {last} 未进行或取消后可选。",
        "decode-means": "除非记录需另有说明，请保持不变。仅对 stop-treatment 和 withdraw 有效；"
        "complete 一律记录为 COMPLETED。",
        "usual": "各标准的默认值",
        "rare": "通常由专门的事件记录",
        "says": "各标准的默认结束原因",
        "refused-token": "此令牌无效。",
        "refused-role": "只有研究者可以作出决定；此令牌不是 investigator 角色。",
        "continue": "治疗和访视继续",
        "stop-treatment": "不再输注，继续随访",
        "withdraw": "受试者退出研究",
        "complete": "虽未进行末次访视，仍视为完成研究",
        "decode": "结束原因（DSDECOD）",
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
