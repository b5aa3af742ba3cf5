"""The lead: one of a study's processes asks REDCap for what is left, until it gives no sign any more."""

from __future__ import annotations

from datetime import datetime, timedelta

from deployments.api.redcap.project import Project
from tasks.database.redcap import Book, with_book

# Longer than a round takes from one sign to the next.
LEAD = timedelta(seconds=90)


def leads(project: Project) -> bool:
    """Whether this process leads from now on, for as long as it asks every minute."""
    now, name = project.wall(), project.process

    def step(book: Book) -> bool:
        until = datetime.fromisoformat(book["leads_until"]) if "leads_until" in book else now
        if book.get("leader", name) != name and now < until <= now + LEAD:
            return False
        book |= {"leader": name, "leads_until": (now + LEAD).isoformat()}
        return True

    return with_book(project.gate.store, project.gate.address, step)


def resign(project: Project) -> None:
    """Let another process lead at once, if this one does."""

    def step(book: Book) -> None:
        if book.get("leader") == project.process:
            del book["leader"], book["leads_until"]

    with_book(project.gate.store, project.gate.address, step)
