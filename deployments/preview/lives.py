"""The typical lives of subjects in the preview; together they bring about every notice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from deployments.preview.life import Life
from itp_events.protocol.model import Eligibility, Limit

Words = dict[str, str]


@dataclass(frozen=True)
class Typical:
    """A kind of life: its title in each language, and the function that leads a subject through it.

    `live` takes the free text that people write in a language.
    """

    title: Words
    live: Callable[[Life, Words], object]


def _typical(live: Callable[[Life, Words], object], en: str, zh: str) -> Typical:
    return Typical({"en": en, "zh-CN": zh}, live)


# The free text of people, in each language.
FREE_TEXT: dict[str, Words] = {
    "en": {
        "event": "Anaphylaxis",
        "bleeding": "Intracranial haemorrhage",
        "fever": "Fever",
        "drug": "prednisone",
        "detail": "1 mg/kg for 5 days",
        "maintenance": "danazol",
        "changed": "200 mg daily instead of 400 mg",
        "away": "travelling",
        "mistake": "entered in error",
        "goes on": "the benefit outweighs the risk",
        "no use": "no response after three infusions",
        "moved": "has moved to another city",
    },
    "zh-CN": {
        "event": "过敏性休克",
        "bleeding": "颅内出血",
        "fever": "发热",
        "drug": "泼尼松",
        "detail": "1 mg/kg，连用 5 天",
        "maintenance": "达那唑",
        "changed": "由每日 400 mg 减为 200 mg",
        "away": "外出",
        "mistake": "录入错误",
        "goes on": "获益大于风险",
        "no use": "三次输注后仍无效",
        "moved": "已迁居外地",
    },
}


def _booked(life: Life, _: Words) -> None:
    life.enrol(first_infusion_on=life.today + timedelta(days=5))
    life.attend()
    life.attend(weight_kg=70.5)
    life.wait(2)
    life.book(life.next.target + timedelta(days=1))
    life.attend(1)
    life.attend(life.next.visit.after.days)
    life.treated()
    life.attend()
    life.wait(1)
    life.book(life.next.target)
    life.attend_all(life.protocol.visits[-1].code)
    life.attend()


def _reminded(life: Life, _: Words) -> None:
    life.enrol()
    life.attend()
    for language in ("en", "zh-CN"):
        life.state("contact.agreed", agreed=True, language=language, on=life.today)
        life.wait(1)
        life.book(life.next.target)
        life.until(life.next.target - timedelta(days=1))
        life.attend()
    life.state("contact.agreed", agreed=True, on=life.today)
    life.wait(1)
    life.book(life.next.target)
    life.state("visit.answered", visit=life.next.code, on=life.next.day, answer="not-coming")


def _nobody_agreed(life: Life, _: Words) -> None:
    life.enrol()
    life.until(life.next.closes)


def _overdue(life: Life, _: Words) -> None:
    life.enrol()
    life.attend()
    life.silent_for(10)


def _overdue_follow_up(life: Life, _: Words) -> None:
    life.enrol()
    life.treated()
    life.attend()
    life.silent_for(10)


def _late(life: Life, _: Words) -> None:
    life.enrol()
    life.attend()
    life.attend(life.next.visit.after.days + 2)
    life.wait(1)
    life.book(life.next.closes + timedelta(days=2))
    life.silent_for(4)


def _early(life: Life, _: Words) -> None:
    life.enrol()
    life.attend()
    life.attend()
    life.attend(-life.next.visit.before.days - 1)


def _no_show(life: Life, _: Words) -> None:
    life.enrol()
    life.attend()
    life.attend()
    life.wait(1)
    life.book(life.next.target - timedelta(days=1))
    life.until(life.next.target + timedelta(days=1))


def _moved(life: Life, _: Words) -> None:
    life.enrol()
    life.attend()
    life.attend()
    life.until(life.next.target - timedelta(days=2))
    life.book(life.next.target + timedelta(days=3))
    life.wait(2)


def _missed(life: Life, words: Words) -> None:
    life.enrol()
    life.attend()
    for _ in range(2):
        life.until(life.next.target - timedelta(days=1))
        life.state("visit.missed", visit=life.next.code, reason=words["away"])
    for _ in range(3):
        life.wait(2)
    life.state("withdrawal.decided", decision="continue", on=life.today, reason=words["goes on"])
    life.until(life.next.target)


def _weight(life: Life, _: Words) -> None:
    life.enrol()
    life.attend()
    life.until(life.next.target - timedelta(days=1))
    life.attend(weight_kg=52.0, cells_given=6.15e9)
    life.until(life.next.target)


def _dose_corrected(life: Life, words: Words) -> None:
    life.enrol()
    life.attend()
    life.attend()
    life.until(life.next.target - timedelta(days=2))
    enrolment = {"weight_kg": 54.0, "on": life.log[0].data.on}  # type: ignore[attr-defined]
    _restated(life, words, enrolment)
    life.until(life.next.target)


def _restated(life: Life, words: Words, changed: dict[str, Any]) -> None:
    """The enrolment was wrong: it is voided, and stated anew with other content."""
    first = life.log[0]
    data = {**first.to_json()["data"], **changed}
    reference = {"source": first.source, "id": first.id}
    life.state_together(
        ("event.voided", {"event": reference, "reason": words["mistake"]}), ("subject.enrolled", data)
    )


def _not_eligible(life: Life, words: Words) -> None:
    life.enrol()
    life.attend()
    screening = life.log[0].to_json()["data"]["screening"]
    wrong = {"ast_x_uln": 3.4, "bilirubin_x_uln": 1.8, "itp_months": 2}
    _restated(life, words, {"screening": {**screening, **wrong}})


def _adverse(life: Life, words: Words, grade: int, *, serious: bool = True, event: str = "event") -> None:
    life.state(
        "adverse-event.reported",
        ae="AE-1",
        term=words[event],
        grade=grade,
        serious=serious,
        related=True,
        on=life.today,
    )


def _serious(life: Life, words: Words) -> None:
    life.enrol()
    life.attend()
    life.until(life.next.target - timedelta(days=1))
    _adverse(life, words, 3)
    life.wait(2)
    life.state("sae.submitted", ae="AE-1", on=life.today)
    life.wait(6)
    life.state(
        "withdrawal.decided",
        criterion="adverse-event",
        decision="stop-treatment",
        on=life.today,
        reason=words["event"],
    )


def _worse(life: Life, words: Words) -> None:
    life.enrol()
    life.attend()
    _adverse(life, words, 3)
    life.state("sae.submitted", ae="AE-1", on=life.today)
    life.state("withdrawal.decided", decision="continue", on=life.today, reason=words["goes on"])
    life.until(life.next.target - timedelta(days=1))
    _adverse(life, words, 4)
    life.wait(2)


def _fatal(life: Life, words: Words) -> None:
    life.enrol()
    life.attend()
    life.until(life.next.target - timedelta(days=2))
    _adverse(life, words, 5, event="bleeding")
    life.wait(4)
    life.state("subject.died", on=life.today, ae="AE-1")
    life.wait(1)


def _died(life: Life, _: Words) -> None:
    life.enrol()
    life.treated()
    life.attend()
    life.state("subject.died", on=life.today)
    life.wait(2)


def _on_hold(life: Life, words: Words) -> None:
    life.enrol()
    life.attend()
    _adverse(life, words, 4, serious=False, event="fever")
    life.attend()
    life.wait(1)


def _pregnant(life: Life, _: Words) -> None:
    life.enrol({"sex": "female"})
    life.attend()
    life.until(life.next.target - timedelta(days=2))
    life.state("pregnancy.reported", on=life.today)
    life.wait(2)


def _partner_pregnant(life: Life, _: Words) -> None:
    life.enrol()
    life.treated()
    life.state("pregnancy.reported", on=life.today, partner=True)
    life.wait(2)


def _guardian_withdraws(life: Life, _: Words) -> None:
    life.enrol({"age_years": 12}, consent_by="guardian", assent_on=life.today - timedelta(days=10))
    life.attend()
    life.attend()
    life.until(life.next.target - timedelta(days=2))
    life.state("consent.withdrawn", on=life.today, scope="treatment", guardian=True)
    life.wait(1)
    life.state("consent.withdrawn", on=life.today, scope="study", guardian=True)


def _subject_withdraws(life: Life, _: Words) -> None:
    life.enrol()
    life.attend()
    life.until(life.next.target - timedelta(days=2))
    life.state("consent.withdrawn", on=life.today, scope="study")


def _rescue(life: Life, words: Words) -> None:
    life.enrol()
    for _ in range(3):
        life.attend()
    life.state("medication.changed", kind="rescue", drug=words["drug"], detail=words["detail"], on=life.today)
    life.wait(1)
    life.state("withdrawal.decided", decision="withdraw", on=life.today, reason=words["no use"])


def _maintenance(life: Life, words: Words) -> None:
    life.enrol()
    life.treated()
    life.attend()
    life.state(
        "medication.changed",
        kind="maintenance",
        drug=words["maintenance"],
        detail=words["changed"],
        on=life.today,
    )
    life.wait(6)


def _lost(life: Life, words: Words) -> None:
    life.enrol()
    life.treated()
    life.silent_for(14)
    for _ in range(3):
        life.state("contact.attempted", on=life.today, reached=False)
        life.wait(1)
    life.wait(6)
    life.state("withdrawal.decided", decision="withdraw", on=life.today, reason=words["moved"])


def _last_missed(life: Life, words: Words) -> None:
    life.enrol()
    life.treated()
    life.attend_all(life.protocol.visits[-1].code)
    life.until(life.next.closes)
    life.state("visit.missed", visit=life.next.code, reason=words["away"])
    life.wait(20)
    life.state("withdrawal.decided", decision="complete", on=life.today, reason=words["moved"])


def _one_missed(life: Life, words: Words) -> None:
    life.enrol()
    life.attend()
    life.until(life.next.target)
    life.state("visit.missed", visit=life.next.code, reason=words["away"])
    life.until(life.next.closes)


def _minor(reaches: Callable[[Eligibility], Limit]) -> Callable[[Life, Words], object]:
    """The life of a minor who is a year younger than an age of the protocol's."""

    def live(life: Life, _: Words) -> None:
        rules = life.protocol.eligibility
        age = int(reaches(rules).at_least or 0) - 1
        assent = {"assent_on": life.today - timedelta(days=10)} if rules.assent_years.holds(age) else {}
        life.enrol({"age_years": age}, consent_by="guardian", **assent)

    return live


LIVES: tuple[Typical, ...] = (
    _typical(_booked, "Visits are booked and done in time", "按时预约并完成访视"),
    _typical(_nobody_agreed, "No first infusion was agreed", "入组时未商定首次输注日期"),
    _typical(_overdue, "An infusion is not recorded", "输注无记录"),
    _typical(_overdue_follow_up, "A follow-up visit is not recorded", "随访无记录"),
    _typical(_late, "An infusion is late", "输注晚于时间窗"),
    _typical(_early, "An infusion is early", "输注早于时间窗"),
    _typical(_no_show, "A subject does not come", "受试者未按预约前来"),
    _typical(_moved, "A booking moves after the cells were ordered", "细胞制备开始后改期"),
    _typical(_one_missed, "One infusion is missed", "一次输注未进行"),
    _typical(_missed, "Two infusions in a row are missed", "连续两次输注未进行"),
    Typical(
        {"en": "The weight has changed, other cells were given", "zh-CN": "体重变化，细胞数不符"}, _weight
    ),
    Typical(
        {"en": "A weight is corrected after the order", "zh-CN": "制备要求发出后更正体重"}, _dose_corrected
    ),
    _typical(_not_eligible, "A corrected enrolment fails criteria", "更正后不符合入选标准"),
    _typical(_serious, "A serious adverse event", "严重不良事件"),
    _typical(_worse, "A serious adverse event grows worse", "严重不良事件加重"),
    _typical(_fatal, "A fatal adverse event, then the death", "致死性不良事件，随后录入死亡"),
    _typical(_died, "A death without its adverse event", "死亡而无相应不良事件"),
    _typical(_on_hold, "An infusion is given while on hold", "暂停期间进行输注"),
    _typical(_pregnant, "A pregnancy", "妊娠"),
    _typical(_partner_pregnant, "A partner's pregnancy", "伴侣妊娠"),
    _typical(_guardian_withdraws, "A guardian withdraws consent", "监护人撤回同意"),
    _typical(_subject_withdraws, "A subject withdraws consent", "受试者撤回同意"),
    _typical(_rescue, "Rescue medication, then withdrawal", "使用补救治疗后退出"),
    _typical(_maintenance, "Maintenance changed during follow-up", "随访期间维持治疗改变"),
    _typical(_lost, "Lost to follow-up", "失访"),
    _typical(_last_missed, "The last visit is missed", "末次访视未进行"),
    Typical(
        {"en": "A child who may reach the age of assent", "zh-CN": "可能达到知情赞同年龄的儿童"},
        _minor(lambda rules: rules.assent_years),
    ),
    _typical(_minor(lambda rules: rules.consent_of_age), "A subject who may come of age", "可能成年的受试者"),
)

# Lived where the protocol has reminders to the subjects themselves.
REMINDED = _typical(_reminded, "A subject agreed to be reminded", "受试者同意接收提醒")
