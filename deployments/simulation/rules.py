"""The rules by which a simulated study runs: those of the service.

A study holds them, so that it can also run by rules with a fault: a test shows that the oracle finds it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol as Interface

from itp_events.decisions import Decision, decide
from itp_events.events import Event
from itp_events.intake.batch import Judgement, judge
from itp_events.protocol.model import Protocol
from itp_events.rules.subject import Subject, fold


class Judge(Interface):
    """Judges a batch of events at an instant, given the log of their subject."""

    def __call__(
        self, protocol: Protocol, history: Sequence[Event], batch: Sequence[Event], now: datetime, /
    ) -> Judgement:
        """The verdict on each event of the batch."""


class Fold(Interface):
    """Gives the subject of a whole log."""

    def __call__(
        self, protocol: Protocol, history: Sequence[Event], handed: Collection[str] = (), /
    ) -> Subject:
        """The subject; `handed` holds the keys of the notices that left."""


class Decide(Interface):
    """Decides what is due for a subject at an instant."""

    def __call__(self, subject: Subject, now: datetime, /) -> Decision:
        """The decision."""


@dataclass(frozen=True)
class Rules:
    """The answers to three questions: which events are let in, what a log says, and what is due."""

    judge: Judge
    fold: Fold
    decide: Decide


SERVICE = Rules(judge, fold, decide)
