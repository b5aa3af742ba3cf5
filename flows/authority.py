"""Who may state what: decisions and assessments are an investigator's, and so is taking one back."""

from __future__ import annotations

from itp_events.events import INVESTIGATORS, Event, Voided
from itp_events.subject import voided_key
from tasks.queries import recorded
from tasks.store import Store


def needs_investigator(store: Store, event: Event) -> bool:
    """Whether only an investigator may state an event: a decision, an assessment, or the void of one."""
    if isinstance(event.data, Voided):
        voided = recorded(store, voided_key(event))
        return voided is not None and isinstance(voided.data, INVESTIGATORS)
    return isinstance(event.data, INVESTIGATORS)
