"""Who may state what: a decision is an investigator's, and so is taking one back."""

from __future__ import annotations

from itp_events.events import Event, Voided, WithdrawalDecided
from itp_events.subject import voided_key
from tasks.queries import recorded
from tasks.store import Store


def needs_investigator(store: Store, event: Event) -> bool:
    """Whether only an investigator may state an event: a decision, or the void of one."""
    if isinstance(event.data, Voided):
        voided = recorded(store, voided_key(event))
        return voided is not None and isinstance(voided.data, WithdrawalDecided)
    return isinstance(event.data, WithdrawalDecided)
