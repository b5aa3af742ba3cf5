"""A subject's page: the open matters, the plan with its reasons, the notices sent, the platelets.

It is text alone; `tasks.board.drawings` draws the timeline.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from itp_events.events import AdverseEvent, plain_number
from itp_events.marks import LEGEND, marked
from itp_events.notices.alerts import consents_asked_anew, open_consents
from itp_events.notices.assumed import notice_assumed
from itp_events.notices.wanted import WantedNotice
from itp_events.protocol.model import Protocol, Site
from itp_events.rules.assumptions import target_assumed, window_assumed
from itp_events.rules.deviations import Deviation, deviations
from itp_events.rules.explain import bleeding, counted, day, days, offset, outside
from itp_events.rules.response import WORDS, Response, response_course, responses
from itp_events.rules.windows import PlannedVisit
from itp_events.rules.withdrawal import Flag
from tasks.board import links
from tasks.board.cards import fatal_since, flagged_on, is_held, unexplained_death
from tasks.board.markdown import document, in_brackets, link, plain, section, table
from tasks.board.sent import at_site, sent
from tasks.board.story import Story
from tasks.board.words import ago, criterion, on, step

NEXT_SHOWN = 6
MARKS = {"overdue": "**OVERDUE**", "open": "**open**", "completed": "done"}


def subject_page(
    story: Story, drawing: str | None, board: str | None, run: str | None, decide: str | None = None
) -> str:
    """A subject's page as Markdown; `board` and `run` are addresses in Prefect's UI.

    `decide` is the address of the service's own page on which an investigator decides.
    """
    state, decision = story.subject_state, story.decision
    head = f"site {plain(state.subject.enrolled.site)} · enrolled {on(state.subject.enrolled.on)}"
    return document(
        [
            f"# {story.code}: {plain(decision.state)}",
            f"**{plain(_headline(story))}**",
            " · ".join([head, *_links(story.code, board, run)]),
            "## Who must do what\n\n" + "\n".join(f"- {line}" for line in open_matters(story)),
            link("Decide here, with an investigator's token", decide) if decide and _to_decide(story) else "",
            "## Plan\n\n" + _plan(story),
            f"{LEGEND}; the rest is the sponsor's synopsis. Dates are local to {_zone(state.subject.site)}.",
            f"![Timeline of {story.code}]({drawing})" if drawing else "",
            section("What comes next by itself", _next(story)),
            section("Platelets and response (IWG)", _responses(story)),
            section("Flags", _flags(story)),
            section("Deviations", _deviations(story)),
            section("Sent, to whom, and whether it arrived", sent(story)),
        ]
    )


def _zone(site: Site) -> str:
    return marked(site.time_zone, site.source == "assumption")


def _headline(story: Story) -> str:
    """The state's message. Where it is the window alone, the visit's name stands before it."""
    state, message = story.subject_state, story.decision.message
    if state.exit or state.on_hold or state.awaiting_disposition or state.current is None:
        return message
    return f"{state.current.visit.label}: window {message}"


def _links(code: str, board: str | None, run: str | None) -> Iterator[str]:
    """The links at the top of a subject's page."""
    if board:
        yield link("study board", board)
    if run:
        yield link("flow run", run)
    yield link("what happened", links.happened(code))


def _to_decide(story: Story) -> bool:
    # A fatal event is settled by the record of the death or a correction, not by a decision.
    return bool(story.subject_state.open_flags) or story.subject_state.awaiting_disposition


def open_matters(story: Story) -> Iterator[str]:
    """The open matters and their audiences, the most urgent first; never empty."""
    state = story.subject_state
    lines = [*_clocks(story), *_decisions(story), *_overdue(story), *_unassessed(story)]
    lines += [] if state.exit else _consents(story)
    if state.exit:
        lines.append(f"{'nobody else' if lines else 'nobody'}: {plain(state.phase)} on {on(state.exit.on)}")
    lines += [_coming(story, planned) for planned in state.visits if _is_next(story, planned)]
    return iter(lines)


def _is_next(story: Story, planned: PlannedVisit) -> bool:
    """Whether a visit's window is open, or it is the next one."""
    state = story.subject_state
    if state.exit or planned.outcome or not planned.firm:
        return False
    first = next((each for each in state.visits if each.outcome is None and each.firm), None)
    status = planned.status(state.today)
    return status == "open" or (status == "upcoming" and planned is first)


def _overdue(story: Story) -> Iterator[str]:
    state = story.subject_state
    for planned in state.visits:
        if planned.status(state.today) == "overdue":
            late = counted((state.today - planned.closes).days, "day")
            held = is_held(state, planned)
            yield (
                f"**coordinator**: {planned.code} is {late} overdue "
                f"(window {_window(story, planned)}): "
                + ("on hold until the investigator decides" if held else "do it, or declare it missed")
            )


def _decisions(story: Story) -> Iterator[str]:
    state = story.subject_state
    for flag in state.open_flags:
        waits = ago((state.today - flagged_on(state, flag)).days)
        yield (
            f"**investigator**: may the subject go on? Withdrawal criterion “{_criterion(story, flag)}”, "
            f"flagged {on(flagged_on(state, flag))} (waits {waits})"
        )
    if since := fatal_since(state):
        yield (
            "**investigator**: a fatal adverse event stands and no death is recorded: record the death, or "
            f"correct the event (since {on(since)})"
        )
    if since := unexplained_death(story):
        yield f"**investigator**: report the serious adverse event that led to the death (asked {on(since)})"
    if state.awaiting_disposition:
        yield f"**investigator**: choose a disposition, since {state.visits[-1].code} will not be done"


def _clocks(story: Story) -> Iterator[str]:
    hours = story.subject_state.protocol.alerts["sae"].clock_hours[-1]
    due = {
        wanted.event: (wanted.due, _ae(wanted))
        for wanted in story.decision.wanted_notices
        if wanted.alert == "sae" and wanted.number == hours
    }
    for deadline, ae in due.values():
        late = "; that time has **PASSED**" if deadline <= story.subject_state.now else ""
        by = at_site(story.subject_state.subject.site, deadline)
        assumed = story.subject_state.protocol.alerts["sae"].source == "assumption"
        report = f"the safety report{in_brackets(ae)}"
        yield f"**investigator**: submit {report} by {marked(by, assumed)}{late}"


def _unassessed(story: Story) -> Iterator[str]:
    waiting = [each for each in deviations(story.subject_state) if each.waits]
    if waiting:
        named = ", ".join(plain(each.id) for each in waiting)
        yield f"**investigator**: assess {counted(len(waiting), 'important deviation')}: {named}"


def _coming(story: Story, planned: PlannedVisit) -> str:
    if is_held(story.subject_state, planned):
        target = _target(story, planned)
        return f"**coordinator**: {planned.code} must wait until that is settled (target {target})"
    if planned.booked:
        past = ": record it, or book anew" if planned.booked < story.subject_state.today else ""
        return f"**coordinator**: {planned.code} is booked for {on(planned.booked)}{past}"
    suggested = story.subject_state.suggested(planned)
    propose = f"; {on(suggested)} is a working day that suits" if suggested else ""
    return f"**coordinator**: book {planned.code}, window {_window(story, planned)}{propose}"


def _window(story: Story, planned: PlannedVisit) -> str:
    return marked(days(planned.opens, planned.closes), window_assumed(planned, story.subject_state.visits))


def _target(story: Story, planned: PlannedVisit) -> str:
    return marked(on(planned.target), target_assumed(planned, story.subject_state.visits))


def _criterion(story: Story, flag: Flag) -> str:
    assumed = story.subject_state.protocol.criteria[flag.criterion].source == "assumption"
    return marked(criterion(flag.criterion), assumed)


def _consents(story: Story) -> Iterator[str]:
    words = {"assent": "assent", "majority": "consent in their own name"}
    for asked in consents_asked_anew(story.subject_state):
        yield f"**coordinator**: obtain and record the {plain(str(asked))}"
    for kind in open_consents(story.subject_state):
        yield f"**coordinator**: plan the subject's {words[kind]}, since they reach that age during the study"


def _plan(story: Story) -> str:
    columns = ("Visit", "Status", "Target", "Window", "Done", "Deviation", "Why")
    return table(columns, (_visit(story, planned) for planned in story.subject_state.visits))


def _visit(story: Story, planned: PlannedVisit) -> tuple[str, ...]:
    status, visits = planned.status(story.subject_state.today), story.subject_state.visits
    booked = f"booked {_short(planned.booked)}" if planned.booked and not planned.outcome else ""
    return (
        f"**{planned.code}**",
        MARKS.get(status, status),
        marked(day(planned.target), target_assumed(planned, visits)),
        marked(f"{_short(planned.opens)} to {_short(planned.closes)}", window_assumed(planned, visits)),
        _short(planned.on) if planned.on else booked,
        _deviation(planned.deviation_days),
        _why(planned),
    )


def _why(planned: PlannedVisit) -> str:
    """The anchor of a visit's dates, short enough for a cell; `itp show` says it in a sentence."""
    anchor = planned.anchor
    on = _short(anchor.on)
    words = {"actual": on, "planned": f"missed, target {on}", "projected": f"if {on}"}
    return f"{offset(planned.visit)} {anchor.code} ({words[anchor.basis]})"


def _short(value: date) -> str:
    """A date without its year, which the target in the same row shows."""
    return f"{value.day} {value:%b}"


def _deviation(value: int | None) -> str:
    if value is None:
        return ""
    return outside(value) if value else "in window"


def _next(story: Story) -> str:
    state, site = story.subject_state, story.subject_state.subject.site
    wanted_notices = [
        (each.due, _duty(state.protocol, site, each))
        for each in story.decision.wanted_notices
        if each.due > state.now
    ]
    missed = marked("counts as missed", state.protocol.ladder.source == "assumption")
    lapses = [
        (at, (at_site(site, at), planned.code, missed, ""))
        for planned in state.visits
        if planned.outcome is None and planned.firm and planned.climb and (at := planned.climb.missed_at)
    ]
    ahead = sorted([*wanted_notices, *lapses], key=lambda row: row[0])
    return table(("When (site)", "Visit", "What", "To"), [row for _, row in ahead[:NEXT_SHOWN]])


def _duty(protocol: Protocol, site: Site, wanted: WantedNotice) -> tuple[str, ...]:
    epoch = wanted.planned.visit.epoch if wanted.planned else None
    what = marked(step(wanted.step), notice_assumed(protocol, wanted.kind, wanted.step, epoch))
    return at_site(site, wanted.due), wanted.visit or "", what + in_brackets(_ae(wanted)), wanted.audience


def _ae(wanted: WantedNotice) -> str | None:
    """The number of the adverse event that a notice is about; a subject may have several."""
    told = wanted.fact.data if wanted.fact else None
    return told.ae if isinstance(told, AdverseEvent) else None


def _responses(story: Story) -> str:
    baseline = story.subject_state.subject.enrolled.baseline_platelets
    baseline_said = (
        f"Baseline: {plain_number(baseline)} × 10⁹/L." if baseline is not None else "Baseline: not recorded."
    )
    rows = [_response(each, each.on) for each in responses(story.subject_state) if each.on]
    if not rows:
        return ""
    columns = ("Visit", "Date", "Platelets", "Bleeding", "Response", "Why")
    said = "\n".join(f"- {line}" for line in response_course(story.subject_state).in_words())
    return "\n\n".join(filter(None, (baseline_said, table(columns, rows), said)))


def _response(response: Response, on: date) -> tuple[str, ...]:
    return (
        response.visit,
        day(on),
        "" if response.platelets is None else plain_number(response.platelets),
        bleeding(response.bleeding),
        WORDS[response.grade],
        response.why,
    )


def _flags(story: Story) -> str:
    rows = []
    for flag in story.subject_state.flags:
        decided = getattr(flag.decision.data, "decision", "") if flag.decision else ""
        answer = (
            f"{decided} on {on(story.subject_state.subject.happened(flag.decision))}"
            if flag.decision
            else "**open**"
        )
        rows.append((_criterion(story, flag), on(flagged_on(story.subject_state, flag)), answer))
    return table(("Criterion", "Since", "Decision"), rows)


def _deviations(story: Story) -> str:
    rows = [
        (day(each.on), plain(each.term), _importance(story, each), plain(each.id))
        for each in deviations(story.subject_state)
    ]
    return table(("Since", "What", "Important", "Id"), rows)


def _importance(story: Story, deviation: Deviation) -> str:
    """The importance of a deviation, and the investigator's assessment with how it came in."""
    said, word = deviation.assessment, "yes" if deviation.important else "no"
    if said is None or deviation.assessed is None:
        return f"**{word}, to be assessed**" if deviation.waits else word
    more = [
        f"{name}: {plain(text)}" for name, text in (("cause", said.cause), ("action", said.action)) if text
    ]
    by = story.record.origin(deviation.assessed).after(said.by)
    return "; ".join([f"{word}, assessed by {plain(by)}", *more])
