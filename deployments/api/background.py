"""Sends notices and updates Prefect after a door has answered, behind the request.

Neither can be lost: the service's loop sends what was not sent here, and its repair shows what Prefect was
not told.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager

from deployments.api.hand_overs import HandOvers
from deployments.api.showing import Showing
from flows.study.recording import follow_up
from flows.study.runtime import Runtime
from tasks.advance import Answer
from tasks.delivery.claims import NOTHING, Claimed


class Background:
    """Does what follows an answer, for the doors of this process."""

    def __init__(self, study: Runtime) -> None:
        self._hand_overs = HandOvers(study)
        self._showing = Showing(study)

    def places(self, subjects: int) -> AbstractContextManager[bool]:
        """Keep a sender ready for each of so many subjects while a door records; False when some are busy."""
        return self._hand_overs.places(subjects)

    def follow(self, answers: Iterable[Answer], claimed: Claimed = NOTHING) -> None:
        """Begin to send what these answers made due and to show the new waits; return at once.

        `claimed` are the claims made when the events were recorded.
        """
        follow_up(
            answers,
            lambda code: self._hand_overs.begin(code, claimed.get(code, ())),
            self._showing.add,
            claimed=claimed,
        )

    def close(self) -> bool:
        """Let the hand-overs that have begun end, for 10 s at most, and show nothing more.

        False when some hand-over did not end.
        """
        self._showing.close()
        have_ended = self._hand_overs.close()
        self._showing.join()
        return have_ended
