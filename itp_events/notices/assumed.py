"""Finding the rules behind a notice, and the parts of its contents, that rest on an assumption.

This module does not mark them: the texts and the tables do.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from itp_events.notices.content_types import NoticeContents
from itp_events.notices.steps import Step
from itp_events.notices.wanted import WantedNotice
from itp_events.protocol.model import Epoch, ParticipantReminder, Protocol, Reminder, Rung
from itp_events.rules.assumptions import target_assumed, window_assumed
from itp_events.rules.state import SubjectState


def assumed_in(state: SubjectState, wanted: WantedNotice, said: NoticeContents) -> Iterator[str]:
    """The names of the parts of a notice that rest on an assumption; the texts mark these parts.

    `target` and `window` are the visit's dates. `ladder` is the day and the audience of an escalation.
    `clock` is the hours and the limit of a safety report. `criterion` is the withdrawal criterion. `age` is
    the age from which a consent is needed.
    """
    protocol, rules = state.protocol, state.protocol.eligibility
    if wanted.planned and target_assumed(wanted.planned, state.visits):
        yield "target"
    if wanted.planned and window_assumed(wanted.planned, state.visits):
        yield "window"
    if wanted.kind == "escalation" and protocol.ladder.source == "assumption":
        yield "ladder"
    if "hours" in said and protocol.alerts["sae"].source == "assumption":
        yield "clock"
    criterion = protocol.criteria.get(said.get("criterion", ""))
    if criterion and criterion.source == "assumption":
        yield "criterion"
    age = {"majority": rules.consent_of_age, "assent": rules.assent_years}.get(wanted.alert or "")
    if age and age.assumed:
        yield "age"


def notice_assumed(protocol: Protocol, kind: str, step: str, epoch: Epoch | None) -> bool:
    """Whether the rule by which a notice is sent, at that time and to that audience, is an assumption.

    `epoch` is the epoch of the notice's visit; a reminder always has one.
    """
    if kind == "reminder" and epoch:
        ours = protocol.participant.reminders if protocol.participant else ()
        rules: Iterable[Reminder | ParticipantReminder | Rung] = (*protocol.reminders[epoch], *ours)
    elif kind == "escalation":
        rules = protocol.ladder.rungs
    else:
        family = Step.read(step).family
        return any(alert.source == "assumption" for name, alert in protocol.alerts.items() if name == family)
    return any(rule.step == step and rule.source == "assumption" for rule in rules)
