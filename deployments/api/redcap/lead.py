"""The lead: one of a study's processes asks REDCap for what is left, until it gives no sign any more."""

from __future__ import annotations

from datetime import datetime, timedelta

from deployments.api.redcap.project import Project
from tasks.database.redcap import Book, with_book
from tasks.database.store import Store

# Longer than a round takes from one sign to the next.
LEAD = timedelta(seconds=150)


def leads(store: Store, project: Project, name: str) -> bool:
    """Whether the process of this name leads from now on, for as long as it asks every minute."""
    now = project.wall()

    def step(book: Book) -> bool:
        until = datetime.fromisoformat(book["leads_until"]) if "leads_until" in book else now
        if book.get("leader", name) != name and now < until <= now + LEAD:
            return False
        book |= {"leader": name, "leads_until": (now + LEAD).isoformat()}
        return True

    return with_book(store, project.gate.address, step)
