"""A subject's page: who must do what next, the plan with its reasons, what was sent, platelets."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from itp_events.marks import LEGEND, marked
from itp_events.notices.alerts import open_consents
from itp_events.notices.wanted import Duty
from itp_events.protocol.model import Protocol, Site
from itp_events.rules.assumptions import notice_assumed, target_assumed, window_assumed
from itp_events.rules.deviations import Deviation, deviations
from itp_events.rules.explain import bleeding, day, days, offset, outside
from itp_events.rules.response import WORDS, Response, course, responses
from itp_events.rules.windows import PlannedVisit
from itp_events.rules.withdrawal import Flag
from tasks.board import links
from tasks.board.cards import Story, fatal_since, flagged_on, is_held, unexplained_death
from tasks.board.markdown import counted, document, link, plain, table
from tasks.board.sent import at_site, sent
from tasks.board.words import ago, criterion, on, step

NEXT_SHOWN = 6
MARKS = {"overdue": "**OVERDUE**", "open": "**open**", "completed": "done"}


def subject_page(
    story: Story, drawing: str | None, board: str | None, run: str | None, decide: str | None = None
) -> str:
    """A subject's page as Markdown; `board` and `run` are addresses in Prefect's UI.

    `decide` is the service's own page on which an investigator answers what waits for them.
    """
    seen, decision = story.seen, story.decision
    head = f"site {plain(seen.subject.enrolled.site)} · enrolled {on(seen.subject.enrolled.on)}"
    return document(
        [
            f"# {story.code}: {plain(decision.state)}",
            f"**{plain(_headline(story))}**",
            " · ".join([head, *_links(story.code, board, run)]),
            "## Who must do what\n\n" + "\n".join(f"- {line}" for line in waiting(story)),
            link("Decide here, with an investigator's token", decide) if decide and _to_decide(story) else "",
            "## Plan\n\n" + _plan(story),
            f"{LEGEND}; the rest is the sponsor's synopsis. Dates are local to {_zone(seen.subject.site)}.",
            f"![Timeline of {story.code}]({drawing})" if drawing else "",
            _section("What comes next by itself", _next(story)),
            _section("Platelets and response (IWG)", _responses(story)),
            _section("Flags", _flags(story)),
            _section("Deviations", _deviations(story)),
            _section("Sent, to whom, and whether it arrived", sent(story)),
        ]
    )


def _zone(site: Site) -> str:
    return marked(site.time_zone, site.source == "assumption")


def _headline(story: Story) -> str:
    """The state's message, which is the window alone for who waits for a visit, with the visit's name."""
    seen, message = story.seen, story.decision.message
    if seen.exit or seen.on_hold or seen.awaiting_disposition or seen.current is None:
        return message
    return f"{seen.current.visit.label}: window {message}"


def _links(code: str, board: str | None, run: str | None) -> Iterator[str]:
    """Where to go from a subject's page."""
    if board:
        yield link("study board", board)
    if run:
        yield link("flow run", run)
    yield link("what happened", links.happened(code))


def _to_decide(story: Story) -> bool:
    # A fatal event is settled by the record of the death or a correction, not by a decision.
    return bool(story.seen.open_flags) or story.seen.awaiting_disposition


def _section(title: str, body: str) -> str:
    return f"## {title}\n\n{body}" if body else ""


def waiting(story: Story) -> Iterator[str]:
    """What waits for whom, the most urgent first; never empty."""
    seen = story.seen
    lines = [*_clocks(story), *_decisions(story), *_overdue(story), *_unassessed(story)]
    lines += [] if seen.exit else _consents(story)
    if seen.exit:
        lines.append(f"{'nobody else' if lines else 'nobody'}: {plain(seen.state)} on {on(seen.exit.on)}")
    lines += [_coming(story, planned) for planned in seen.visits if _is_next(story, planned)]
    return iter(lines)


def _is_next(story: Story, planned: PlannedVisit) -> bool:
    """Whether a visit's window is open, or it is the next one."""
    seen = story.seen
    if seen.exit or planned.outcome or not planned.firm:
        return False
    first = next((each for each in seen.visits if each.outcome is None and each.firm), None)
    status = planned.status(seen.today)
    return status == "open" or (status == "upcoming" and planned is first)


def _overdue(story: Story) -> Iterator[str]:
    seen = story.seen
    for planned in seen.visits:
        if planned.status(seen.today) == "overdue":
            late = counted((seen.today - planned.closes).days, "day")
            held = is_held(seen, planned)
            yield (
                f"**coordinator**: {planned.code} is {late} overdue "
                f"(window {_window(story, planned)}): "
                + ("on hold until the investigator decides" if held else "do it, or declare it missed")
            )


def _decisions(story: Story) -> Iterator[str]:
    seen = story.seen
    for flag in seen.open_flags:
        waits = ago((seen.today - flagged_on(seen, flag)).days)
        yield (
            f"**investigator**: may the subject go on? Withdrawal criterion “{_criterion(story, flag)}”, "
            f"flagged {on(flagged_on(seen, flag))} (waits {waits})"
        )
    if since := fatal_since(seen):
        yield (
            "**investigator**: a fatal adverse event stands and no death is recorded: record the death, or "
            f"correct the event (since {on(since)})"
        )
    if since := unexplained_death(story):
        yield f"**investigator**: report the serious adverse event that led to the death (asked {on(since)})"
    if seen.awaiting_disposition:
        yield f"**investigator**: choose a disposition, since {seen.visits[-1].code} will not be done"


def _clocks(story: Story) -> Iterator[str]:
    hours = story.seen.protocol.alerts["sae"].clock_hours[-1]
    due = {duty.event: duty.due for duty in story.decision.duties if duty.step == f"sae-{hours}h"}
    for deadline in due.values():
        late = "; that time has **PASSED**" if deadline <= story.seen.now else ""
        by = at_site(story.seen.subject.site, deadline)
        assumed = story.seen.protocol.alerts["sae"].source == "assumption"
        yield f"**investigator**: submit the safety report by {marked(by, assumed)}{late}"


def _unassessed(story: Story) -> Iterator[str]:
    waiting = [each for each in deviations(story.seen) if each.waits]
    if waiting:
        named = ", ".join(plain(each.id) for each in waiting)
        yield f"**investigator**: assess {counted(len(waiting), 'important deviation')}: {named}"


def _coming(story: Story, planned: PlannedVisit) -> str:
    if is_held(story.seen, planned):
        target = _target(story, planned)
        return f"**coordinator**: {planned.code} must wait until that is settled (target {target})"
    if planned.booked:
        past = ": record it, or book anew" if planned.booked < story.seen.today else ""
        return f"**coordinator**: {planned.code} is booked for {on(planned.booked)}{past}"
    suggested = story.seen.suggested(planned)
    propose = f"; {on(suggested)} is a working day that suits" if suggested else ""
    return f"**coordinator**: book {planned.code}, window {_window(story, planned)}{propose}"


def _window(story: Story, planned: PlannedVisit) -> str:
    return marked(days(planned.opens, planned.closes), window_assumed(planned, story.seen.visits))


def _target(story: Story, planned: PlannedVisit) -> str:
    return marked(on(planned.target), target_assumed(planned, story.seen.visits))


def _criterion(story: Story, flag: Flag) -> str:
    assumed = story.seen.protocol.criteria[flag.criterion].source == "assumption"
    return marked(criterion(flag.criterion), assumed)


def _consents(story: Story) -> Iterator[str]:
    words = {"assent": "assent", "majority": "consent in their own name"}
    for kind in open_consents(story.seen):
        yield f"**coordinator**: plan the subject's {words[kind]}, since they reach that age during the study"


def _plan(story: Story) -> str:
    columns = ("Visit", "Status", "Target", "Window", "Done", "Deviation", "Why")
    return table(columns, (_visit(story, planned) for planned in story.seen.visits))


def _visit(story: Story, planned: PlannedVisit) -> tuple[str, ...]:
    status, visits = planned.status(story.seen.today), story.seen.visits
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
    """What the dates hang on, short enough for a cell; `itp show` says it in a sentence."""
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
    seen, site = story.seen, story.seen.subject.site
    duties = [
        (each.due, _duty(seen.protocol, site, each)) for each in story.decision.duties if each.due > seen.now
    ]
    missed = marked("counts as missed", seen.protocol.ladder.source == "assumption")
    lapses = [
        (at, (at_site(site, at), planned.code, missed, ""))
        for planned in seen.visits
        if planned.outcome is None and planned.firm and planned.climb and (at := planned.climb.missed_at)
    ]
    ahead = sorted([*duties, *lapses], key=lambda row: row[0])
    return table(("When (site)", "Visit", "What", "To"), [row for _, row in ahead[:NEXT_SHOWN]])


def _duty(protocol: Protocol, site: Site, duty: Duty) -> tuple[str, ...]:
    epoch = duty.planned.visit.epoch if duty.planned else None
    what = marked(step(duty.step), notice_assumed(protocol, duty.kind, duty.step, epoch))
    return at_site(site, duty.due), duty.visit or "", what, duty.audience


def _responses(story: Story) -> str:
    baseline = story.seen.subject.enrolled.baseline_platelets
    found = f"Baseline: {baseline:g} × 10⁹/L." if baseline is not None else "Baseline: not recorded."
    rows = [_response(each, each.on) for each in responses(story.seen) if each.on]
    if not rows:
        return ""
    columns = ("Visit", "Date", "Platelets", "Bleeding", "Response", "Why")
    said = "\n".join(f"- {line}" for line in course(story.seen).in_words())
    return "\n\n".join(filter(None, (found, table(columns, rows), said)))


def _response(found: Response, on: date) -> tuple[str, ...]:
    return (
        found.visit,
        day(on),
        "" if found.platelets is None else f"{found.platelets:g}",
        bleeding(found.bleeding),
        WORDS[found.grade],
        found.why,
    )


def _flags(story: Story) -> str:
    rows = []
    for flag in story.seen.flags:
        decided = getattr(flag.decision.data, "decision", "") if flag.decision else ""
        answer = (
            f"{decided} on {on(story.seen.subject.happened(flag.decision))}" if flag.decision else "**open**"
        )
        rows.append((_criterion(story, flag), on(flagged_on(story.seen, flag)), answer))
    return table(("Criterion", "Since", "Decision"), rows)


def _deviations(story: Story) -> str:
    rows = [
        (day(each.on), plain(each.term), _importance(each), plain(each.id)) for each in deviations(story.seen)
    ]
    return table(("Since", "What", "Important", "Id"), rows)


def _importance(found: Deviation) -> str:
    """Whether a deviation is important, and what the investigator said of it."""
    said, word = found.assessment, "yes" if found.important else "no"
    if said is None:
        return f"**{word}, to be assessed**" if found.waits else word
    more = [
        f"{name}: {plain(text)}" for name, text in (("cause", said.cause), ("action", said.action)) if text
    ]
    return "; ".join([f"{word}, assessed by {plain(said.by)}", *more])
