"""Prints the demonstration in the terminal: each change of a subject, with its page in the UI."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime

from rich.console import Console
from rich.text import Text

from itp_events.protocol.model import Site
from itp_events.rules.explain import day
from tasks.board.links import WORK_LISTS, flow_run
from tasks.database.queries import SubjectRow

# The words in a state's name, and the hint that is printed when a subject first reaches it.
_HINTS = (
    ("Awaiting disposition", "The last visit was missed: the investigator must choose; reminded until then."),
    ("Awaiting", "One flow run per subject: it waits, at no cost, until its next date."),
    ("window open", "A window has opened: the day's reminders went to the coordinator."),
    ("overdue", "A window closed with nothing recorded: the ladder climbs, coordinator first."),
    ("On hold", "A withdrawal criterion is met: infusions rest until the investigator decides."),
    ("Completed", "The last visit is done: the flow run is Completed, after the whole journey in one run."),
    ("Withdrawn", "An early exit: the run ends with its disposition as the name of its state."),
)
_COLOURS = {"overdue": "red", "On hold": "yellow", "Completed": "green", "Withdrawn": "magenta"}


@dataclass
class Narrator:
    """Tells the story to `out`; `ui` is the address of Prefect's UI."""

    out: Console
    ui: str
    site: Site
    known: dict[str, str] = field(default_factory=dict)
    hinted: set[str] = field(default_factory=set)
    completed: bool = False

    def introduce(self, api: str, log: str, today: date, journeys: str | None) -> None:
        """Print the pages to look at; `today` is the real date, by which Prefect lists runs."""
        self.out.rule("Look at these pages while it runs")
        self.out.print(f"Prefect's UI                   {self.ui}", soft_wrap=True)
        for work_list in WORK_LISTS:
            address = work_list.address(today, journeys)
            self.out.print(f"  {work_list.name:<29} {self.ui}{address}", soft_wrap=True)
        self.out.print(f"The service's own API          {api}/subjects", soft_wrap=True)
        self.out.print(f"Notices, as printed            {log}", soft_wrap=True)
        self.out.rule()

    def look(self, subjects: Iterable[SubjectRow], now: datetime, seconds: float) -> None:
        """Print the subjects whose state has changed since the last look."""
        for subject in subjects:
            if self.known.get(subject.code) != subject.state:
                self.known[subject.code] = subject.state
                self._tell(subject, now, seconds)

    def _tell(self, subject: SubjectRow, now: datetime, seconds: float) -> None:
        colour = next((found for word, found in _COLOURS.items() if word in subject.state), "")
        date = day(self.site.date_of(now))
        line = Text.assemble(
            f"{date:>11}  {subject.code}  ", (f"{subject.state:<28}", colour), f" {subject.message}"
        )
        self.out.print(line, soft_wrap=True)
        phase = next((word for word, _ in _HINTS if word in subject.state), "")
        if phase not in self.hinted:
            self.hinted.add(phase)
            self._hint(subject, dict(_HINTS).get(phase, ""))
        if subject.state == "Completed" and not self.completed:
            self.completed = True
            self.out.print(f"             first completed subject after {seconds:.0f} s", style="green")

    def _hint(self, subject: SubjectRow, hint: str) -> None:
        link = f" {self.ui}{flow_run(subject.flow_run_id)}" if subject.flow_run_id else ""
        self.out.print(f"             {hint}{link}", style="cyan", soft_wrap=True)
