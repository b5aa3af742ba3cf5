"""The hints beside a form's fields, from the subject's own plan."""

from __future__ import annotations

from collections.abc import Mapping

from deployments.api.web.forms import Form
from deployments.api.web.in_words import InWords
from itp_events.events import Booked, Completed, plain_number
from itp_events.marks import marked
from itp_events.rules.assumptions import window_assumed
from itp_events.rules.dose import planned_cells, weighing_at, weighings
from itp_events.rules.state import SubjectState
from itp_events.rules.windows import PlannedVisit


def hints(form: Form, state: SubjectState, words: InWords, entered: Mapping[str, str]) -> dict[str, str]:
    """The hints of a form by field, for the visit that it names."""
    planned = next((each for each in state.visits if each.code == entered.get("visit")), None)
    if planned is not None and form.data is Completed and planned.visit.epoch == "treatment":
        return {"cells_given": _dose(state, words, planned)}
    if planned is not None and form.data is Booked:
        return {"on": _window(state, words, planned)}
    return {}


def _window(state: SubjectState, words: InWords, planned: PlannedVisit) -> str:
    assumed = window_assumed(planned, state.visits)
    opens, closes = (marked(words.day(each), assumed) for each in (planned.opens, planned.closes))
    said = words.say("hint.window", visit=planned.code, opens=opens, closes=closes)
    return f"{said} {words.say('subject.assumed')}" if assumed else said


def _dose(state: SubjectState, words: InWords, planned: PlannedVisit) -> str:
    done = planned.event if planned.event and isinstance(planned.event.data, Completed) else None
    weighing = weighing_at(state.subject, done) if done else weighings(state.subject)[-1]
    cells = words.cells(planned_cells(state, weighing, planned))
    return words.say("hint.cells_given", cells=cells, kg=plain_number(weighing.kg))
