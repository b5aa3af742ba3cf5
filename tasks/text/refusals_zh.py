"""The sentences of refusals in Chinese. The English ones are made where the rule is (`itp_events.intake`).

A sentence is found again by its shape: `{}` stands for a code, a date or a number. A test reads the rules and
holds that each of their sentences has a shape here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache

from itp_events.marks import LEGEND, MARK
from itp_events.rules.eligibility import SENTENCES
from tasks.text.criteria_zh import unmet_zh
from tasks.text.shapes import Shapes
from tasks.text.wording import LEGENDS

_MONTHS = {
    name: number
    for number, name in enumerate(
        ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"), 1
    )
}

SHAPES: dict[str, str] = {
    "there is no account {}; itp account list shows all": "没有账户 {}",
    "there is no account {}{} itp account list shows all": "没有账户 {}{}",
    "there is no account {}; see: itp account list": "没有账户 {}",
    "there is no account {}{}; see: itp account list": "没有账户 {}{}",
    "; did you mean {}?": "；是否应为 {}？",
    "the account {} counts no more": "账户 {} 已失效",
    "an account of the role {} signs no review": "角色为 {} 的账户不能签署监查",
    "several tokens begin so: give {} letters or more of its digest; itp token list shows all": "多个令牌以此开头；"
    "请填写其指纹的前 {} 个或更多字符",
    "no token begins so: give {} letters or more of its digest; itp token list shows all": "没有令牌以此开头；"
    "请填写其指纹的前 {} 个或更多字符",
    "there is no change {}; see: itp duty log": "没有更改 {}",
    "a void cannot be taken back, as {}; see: itp duty log": "更改 {} 本身即为撤回，不能再撤回",
    "a password has {} to {} characters": "密码须为 {} 至 {} 个字符",
    "too many attempts failed: wait some minutes": "失败次数过多，请稍候几分钟",
    "code, password and second factor are not known together": "代码、密码与二次验证码不符",
    "there is no such form": "没有此表单",
    "{} has stated the same a moment ago; it counts once": "{} 刚刚已录入相同内容，只计一次",
    "this link is not one of this service's": "此链接无效",
    "this link has expired": "此链接已过期",
    "line {} of its log is damaged: {}": "日志第 {} 行已损坏（{}）",
    "{}; the service's log says more": "{}；详见系统日志",
    "an account is named in a header by the hospital's proxy alone, and this is another sender": "只有医院的代理"
    "可以指明账户，而此请求来自别处",
    "two accounts are named: the proxy must take out what a browser sends in its header": "请求同时指明了两个账户：代理须"
    "去除浏览器自行发送的标头",
    "too many bodies of more than {} bytes at once; send smaller ones, or come again": "同时提交的内容过多，请稍后再试",
    "the last day {} is before the first one {}": "末日 {} 早于首日 {}",
    "{} cannot be their own deputy": "{} 不能由本人代理",
    "the account {} is not active; see: itp account list": "账户 {} 已停用",
    "there is an account {} already": "已有账户 {}",
    "a code has letters, digits, dots, - and _ only, 64 at most, as crc.li": "代码只能含字母、数字、点、- 和 _，"
    "最多64个字符，如 crc.li",
    "nothing would change: it is so already": "没有变化：已是如此",
    "it is revoked already": "已收回",
    "the review was changed after it was signed": "签署之后内容被改动",
    "the event was changed after it was signed": "签署之后记录被改动",
    "the event was taken back after it was signed": "签署之后记录已作废",
    "the event is not in the log any more": "记录已不在日志中",
    "{} has signed {}: {} already": "{} 已签署 {}：{}",
    "line {} of {} was taken back: nobody signs it": "第 {} 条记录（{}）已作废，不能签署",
    "change {} is taken back already": "更改 {} 已撤回",
    "the source {} is the service's own; use another": "来源 {} 为系统专用，请改用其他来源",
    "time {} lies in the future; send it when it happened": "时间 {} 在将来，请在发生之后录入",
    "{} is not enrolled; record itp.subject.enrolled first": "{} 尚未入组，请先录入入组",
    "aware_at {} is later than the report itself, {}": "获知时间 {} 晚于报告时间 {}",
    "{} is enrolled since {}; to correct that, void it and state it anew in one batch": "{} 已于 {} 入组；"
    "如需更正，请在受试者页面更正该记录",
    "first_infusion_on {} lies outside the window of {}, {}": "第1次输注的约定日期 {} 不在 {} 的时间窗内：{}",
    "enrolment on {} would be after {}, done on {} ({}); correct that one too": "入组日期 {} 晚于 {} 的完成日期 {}"
    "（{}），请一并更正",
    "on {} is later than the day of its own report, {} at the site": "日期 {} 晚于录入当日（中心日期 {}）",
    "on {} is before the consent of {}": "日期 {} 早于签署知情同意的日期 {}",
    "{} ended on {} ({}); after that only adverse events, their submission, pregnancy, death, consents, "
    "assessments of deviations and voids are recorded": "{} 已于 {} 结束研究（{}）；此后仅可录入不良事件及其报告、"
    "妊娠、死亡、知情同意、偏离评估和作废",
    "{} is cancelled, for treatment was stopped; it cannot be missed": "{} 因治疗终止已取消，不能录入为未进行",
    "{} is completed on {} already ({}); void that event to correct it{}": "{} 已录入完成于 {}（{}）；"
    "如有误，请更正该记录{}",
    "{} is declared missed already ({}); void that event to correct it{}": "{} 已录入为未进行（{}）；"
    "如有误，请更正该记录{}",
    "{} cannot be recorded before treatment has ended": "治疗结束之前不能录入 {}",
    "{} cannot be recorded before {} is completed or missed": "{} 不能先于 {} 录入：后者尚未完成，也未录入为未进行",
    "{} on {} would be before {}, done on {}": "{} 的日期 {} 早于 {} 的完成日期 {}",
    "{} counts as {}; there is nothing left to book": "{} 的状态为 {}，无需再预约",
    "{} counts as {}; there is nothing left to answer": "{} 的状态为 {}，无需再答复",
    "{} is not overdue; there is nothing to acknowledge": "{} 未逾期，无需跟进",
    "until {} must be {} to {}": "跟进日期 {} 须在 {} 至 {} 之间",
    "the event (source {}, id {}) is not in the log of {}": "记录（来源 {}，编号 {}）不在 {} 的日志中",
    "the event (source {}, id {}) is the service's own decision; void the event it stands on": "记录（来源 {}，"
    "编号 {}）由系统作出；请更正其所依据的记录",
    "the event (source {}, id {}) is a void; state the event again instead": "记录（来源 {}，编号 {}）为作废记录；"
    "请重新录入原内容",
    "the event (source {}, id {}) is voided already": "记录（来源 {}，编号 {}）已作废",
    "protocol version {} is in force from {}; assign it from that day on": "方案版本 {} 自 {} 起生效；请自该日起指定",
    "protocol version {} is not installed; put its file beside the others": "方案版本 {} 未安装",
    "complete answers a missed or cancelled {} only": "仅当 {} 未进行或已取消时可选择“完成”",
    "treatment has ended already; there is nothing to stop": "治疗已经结束，无可终止",
    "no flag waits for a decision on {} at {} ({})": "{} {}（{}）时没有待决事项",
    "no flag for {} waits for a decision on {} at {} ({})": "{} 没有待决事项（{} {}，{}）",
    "{} does not fit {}: {} goes with complete, and only with it": "结束原因 {} 与决定 {} 不符：{} 仅用于“完成”",
    "the outcome is fatal, so the event is serious; state serious: true, or correct that": "转归为死亡，"
    "该事件即为严重；请选择“严重”，或更正转归",
    "grade {} is death, so the event is serious; state serious: true, or correct that": "{} 级即为死亡，"
    "该事件即为严重；请选择“严重”，或更正分级",
    "no adverse event {} (nor a pregnancy with that id) is reported": "没有编号为 {} 的不良事件（或妊娠）",
    "{} is a man; if his partner is pregnant, state partner: true": "{} 为男性；如为其伴侣妊娠，请勾选相应选项",
    "{} has no deviation {}; the nearest is {} ({}); `itp deviations --subject {}` lists them": "{} 没有偏离 {}；"
    "最接近的为 {}（{}）",
    "{} has no deviation {}, nor any other; `itp deviations --subject {}` lists them": "{} 没有偏离 {}，"
    "也没有其他偏离",
    "{} on {} is before the enrolment of {}": "{} 的日期 {} 早于入组日期 {}",
    "{} on {} must be later than {}, done on {} ({}){}": "{} 的日期 {} 须晚于 {} 的完成日期 {}（{}）{}",
    "{} on {} must be earlier than {}, done on {} ({}){}": "{} 的日期 {} 须早于 {} 的完成日期 {}（{}）{}",
    "{} on {} is before the window of {} has opened ({}); if the date is right, state confirmed: true{}": "{} 的"
    "日期 {} 早于 {} 的时间窗（{}）；如日期无误，请勾选“我已核对日期”{}",
    "{} would have no enrolment; send the void and the corrected enrolment in one batch": "作废后 {} 将没有入组记录；"
    "请改用更正",
    "refused together with (source {}, id {}): {}": "与另一条记录（来源 {}，编号 {}）一并未予记录：{}",
    "source {}, id {} names {} already; give other content an id of its own": "来源 {}、编号 {} 已用于 {}；"
    "请重新打开表单",
    "this sender states events of the source {} only": "此来源仅可录入来源为 {} 的记录",
    "this sender takes back events of the source {} only": "此来源仅可作废来源为 {} 的记录",
    "only an investigator may state {}; {}": "只有研究者可以录入 {}（{}）",
    "only an investigator may take that back; {}": "只有研究者可以作废该记录（{}）",
    "unknown visit {}; the protocol has {}": "方案中没有访视 {}；方案中的访视为 {}",
    "unknown criterion {}; the protocol has {}": "方案中没有标准 {}；方案中的标准为 {}",
    "{} cannot be read: {}": "{} 的记录无法读取：{}",
    "; was {} meant, whose window is {}?": "；是否应为 {}（时间窗 {}）？",
    "source {}, id {}": "来源 {}，编号 {}",
    "this request has the role {}": "当前角色为 {}",
    "this session has the role {}": "当前角色为 {}",
    "only an investigator decides; this token is of role {}": "只有研究者可以作出决定；此令牌的角色为 {}",
    "this token is not known": "此令牌无效",
    "this password is wrong": "密码不正确",
    "too many wrong passwords: wait some minutes": "密码错误次数过多，请稍候几分钟",
    "an account of the role {} records nothing": "角色为 {} 的账户不能录入",
    "{} is of a site that is not one of yours": "{} 属于您无权访问的中心",
    "you are signed in as {}, and cannot state what {} says: leave by out": "您以 {} 登录，不能代 {} 录入：请勿填写 by",
    "your account, token or session counts no more: sign in again": "您的账户、令牌或登录已失效，请重新登录",
    "a page of another site may not ask this service": "其他网站的页面不得向本系统发送请求",
    "this form is not of your session; open the page again, what you entered was not recorded": "此表单不属于当前登录；"
    "请重新打开页面，您填写的内容未被记录",
    "this form's id belongs to another event; it has a new one now, send it again": "此表单的编号已用于其他记录；"
    "现已更新，请重新提交",
    "this link is not one of this service's; open it from the message again": "此链接无效，请从通知中重新打开",
    "this link has expired; use the newest message about this visit": "此链接已过期，请使用关于该访视的最新通知",
    "the body is longer than {} bytes": "提交的内容过长（超过 {} 字节）",
    "the tokens cannot be read; the service's log says more": "无法读取令牌，详见系统日志",
    "this is not what a form sends": "提交的内容无法识别",
    "no token is configured, so only this machine is served; make one with itp token new": "尚未设置令牌，仅本机可用",
    "this needs a token of role {}; yours is of role {}": "此操作需要角色 {}，您的角色为 {}",
    "the study's database does not answer; nothing of this request is lost if it is sent again": "研究数据库没有响应；"
    "重新发送不会丢失任何内容",
}


def said_zh(sentence: str) -> str:
    """An English sentence of a refusal in Chinese; one that has no shape here stays as it is."""
    bare = sentence.removesuffix(f" ({LEGEND})")
    found = _not_eligible(bare) or _shaped(bare)
    if found is None:
        return sentence
    return (found if found[-1] in "。？" else f"{found}。") + (LEGENDS["zh-CN"] if bare != sentence else "")


def _not_eligible(sentence: str) -> str | None:
    """The refusal of an enrolment that fails inclusion criteria."""
    subject, said, unmet = sentence.partition(" does not meet the inclusion criteria: ")
    if not said:
        return None
    return f"{subject} 不符合入选标准：{'；'.join(map(criterion_zh, unmet.split('; ')))}"


def criterion_zh(sentence: str) -> str:
    """The sentence of one inclusion criterion that is not met; an unknown one stays as it is."""
    mark = MARK if sentence.endswith(MARK) else ""
    for rule, pattern in _criteria():
        if match := pattern.fullmatch(sentence.removesuffix(MARK)):
            return unmet_zh({"rule": rule, "mark": mark, **match.groupdict()})
    return sentence


@cache
def _criteria() -> list[tuple[str, re.Pattern[str]]]:
    by_length = sorted(SENTENCES.items(), key=lambda pair: len(pair[1]), reverse=True)
    return [(rule, re.compile(_named(sentence), re.DOTALL)) for rule, sentence in by_length]


def _named(sentence: str) -> str:
    return re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>.*?)", re.escape(sentence))


def _shaped(text: str) -> str | None:
    return _shapes().say(text)


@cache
def _shapes() -> Shapes:
    return Shapes(SHAPES, _part)


def _part(text: str) -> str:
    """A part of a sentence: a sentence itself, a date or a span of dates, else as it is."""
    if text.startswith(("; ", "source ", "this ")) or " " in text:
        found = _shaped(text)
        if found is not None:
            return found
    for pattern, words in _DATES:
        text = pattern.sub(words, text)
    return _STATUSES.get(text, text)


def _date(match: re.Match[str]) -> str:
    return f"{match[3]}年{_MONTHS[match[2]]}月{match[1]}日"


def _days(match: re.Match[str]) -> str:
    last = f"{match[4]}年{_MONTHS[match[3]]}月{match[2]}日"
    return f"{match[4]}年{_MONTHS[match[3]]}月{match[1]}日至{last}"


def _months(match: re.Match[str]) -> str:
    return f"{match[5]}年{_MONTHS[match[2]]}月{match[1]}日至{match[5]}年{_MONTHS[match[4]]}月{match[3]}日"


def _years(match: re.Match[str]) -> str:
    return f"{match[3]}年{_MONTHS[match[2]]}月{match[1]}日至{match[6]}年{_MONTHS[match[5]]}月{match[4]}日"


_NAME = "|".join(_MONTHS)
_DATES: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], str]], ...] = (
    (re.compile(rf"(\d+) ({_NAME}) (\d{{4}}) to (\d+) ({_NAME}) (\d{{4}})"), _years),
    (re.compile(rf"(\d+) ({_NAME}) to (\d+) ({_NAME}) (\d{{4}})"), _months),
    (re.compile(rf"(\d+) to (\d+) ({_NAME}) (\d{{4}})"), _days),
    (re.compile(rf"(\d+) ({_NAME}) (\d{{4}})"), _date),
)
_STATUSES: Mapping[str, str] = {
    "completed": "已完成",
    "missed": "未进行",
    "cancelled": "已取消",
    "investigator": "研究者",
    "recorder": "记录者",
    "reader": "查看者",
    "monitor": "监查员",
    "admin": "管理员",
}
