"""Which events of one file are let in: each is accepted, known already, or refused with its rule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from tests.oracle.history import History
from tests.oracle.pairs import Pair, about, alike, pairs
from tests.oracle.rules import rule_broken
from tests.oracle.said import ENROLLED, Said
from tests.oracle.trial import Trial

ACCEPTED, KNOWN, REFUSED = "accepted", "known", "refused"


@dataclass
class Verdicts:
    """What became of each event by its place, and the history that the accepted ones make."""

    history: History
    kinds: dict[int, str] = field(default_factory=dict)
    rules: dict[int, str] = field(default_factory=dict)


def judged(trial: Trial, events: Sequence[Said], now: datetime) -> Verdicts:
    """Judges the events of one file together.

    The first content of an id in the file has it; when that one is refused, the next content may have it.
    A restatement that comes later and is refused takes its void with it.
    """
    nameless: set[int] = set()
    undone: set[int] = set()
    while True:
        judging = _Judging(trial, events, nameless, undone, now)
        verdicts = judging.verdicts()
        more = {place for place in _owners(events, nameless).values() if verdicts.kinds[place] == REFUSED}
        shared = {place for place in more if _has_rival(events, place, nameless)}
        taken = judging.taken_along() - undone
        if not shared and not taken:
            return verdicts
        nameless |= shared
        undone |= taken | judging.voids_of(shared)


def _owners(events: Sequence[Said], nameless: set[int]) -> dict[tuple[str, str], int]:
    found: dict[tuple[str, str], int] = {}
    for said in events:
        if said.place not in nameless:
            found.setdefault(said.name, said.place)
    return found


def _has_rival(events: Sequence[Said], place: int, nameless: set[int]) -> bool:
    owner = next(said for said in events if said.place == place)
    return any(
        said.name == owner.name and said.content() != owner.content() and said.place not in nameless
        for said in events
    )


class _Judging:
    def __init__(
        self, trial: Trial, events: Sequence[Said], nameless: set[int], undone: set[int], now: datetime
    ) -> None:
        self._trial = trial
        self._found = Verdicts(History())
        self._owners = _owners(events, nameless)
        self._nameless = nameless
        self._undone = undone
        self._events = events
        self._now = now
        self._pairs: list[Pair] = []

    def verdicts(self) -> Verdicts:
        """Judges one event after the other, a void together with its restatement."""
        named = [said for said in self._events if self._owners.get(said.name) == said.place]
        self._pairs = pairs(named)
        at_once = {pair.void: pair for pair in self._pairs if pair.at_once}
        along = {pair.said for pair in at_once.values()}
        turn = [(_turn(said), said) for said in named if said not in along and said not in at_once]
        turn += [((True, *pair.order), pair.void) for pair in at_once.values()]
        turn = [(self._behind_its_rivals(said, own), said) for own, said in turn]
        for _, said in sorted(turn, key=lambda each: each[0]):
            if said.place in self._undone:
                self._refuse(said, "restatement-refused")
                if said in at_once:
                    # Its restatement was another content under the same id, and has been refused.
                    self._judge(at_once[said].said)
            elif said in at_once:
                self._judge_pair(at_once[said])
            else:
                self._judge(said)
        for said in self._events:
            self._name(said)
        return self._found

    def _behind_its_rivals(self, said: Said, own: tuple[object, ...]) -> tuple[object, ...]:
        """When an event is judged: not before those that had its id in the file before it, and lost it."""
        for rival in self._events:
            if rival.name == said.name and rival.place < said.place and rival.place in self._nameless:
                own = max(own, (*_turn(rival), 1))
        return own

    def taken_along(self) -> set[int]:
        """The voids whose restatement came later and was refused."""
        kinds = self._found.kinds
        return {
            pair.void.place for pair in self._pairs if not pair.at_once and kinds[pair.said.place] == REFUSED
        }

    def voids_of(self, places: set[int]) -> set[int]:
        """The voids whose restatement is one of the events at some places."""
        return {pair.void.place for pair in self._pairs if pair.said.place in places}

    def _name(self, said: Said) -> None:
        """Answer an event that does not have its id: the same again as at first, others with a refusal."""
        owner = self._owners.get(said.name)
        if said.place in self._nameless:
            self._refuse(said, "refused-before")
        elif owner is not None and owner != said.place:
            same = self._content(owner) == said.content()
            if not same:
                self._refuse(said, "id-reused")
            elif self._found.kinds[owner] == REFUSED:
                self._refuse(said, self._found.rules[owner])
            else:
                self._found.kinds[said.place] = KNOWN

    def _content(self, place: int | None) -> object:
        return next(said.content() for said in self._events if said.place == place)

    def _judge(self, said: Said) -> None:
        history = self._found.history
        before = continued(history, said)
        broken = rule_broken(self._trial, history, said, before, self._now)
        if broken:
            self._refuse(said, broken)
            return
        self._accept(history.plus(said, corrects={said: before} if before else None), said)

    def _judge_pair(self, pair: Pair) -> None:
        void, said = pair.void, pair.said
        history = self._found.history
        broken = rule_broken(self._trial, history, void, None, self._now, restated=True)
        if broken:
            self._refuse(void, broken)
            self._judge(said)
            return
        gone = _voided(history, void)
        after = history.plus(void)
        broken = rule_broken(self._trial, after, said, gone, self._now)
        if not broken:
            self._accept(after.plus(said, corrects={said: gone}), void, said)
            return
        self._refuse(said, broken)
        self._refuse(void, "restatement-refused")

    def _accept(self, history: History, *said: Said) -> None:
        self._found.history = history
        for each in said:
            self._found.kinds[each.place] = ACCEPTED

    def _refuse(self, said: Said, rule: str) -> None:
        self._found.kinds[said.place] = REFUSED
        self._found.rules[said.place] = rule


def _turn(said: Said) -> tuple[object, ...]:
    # Of two enrolments the one that was reported first.
    return (False, said.time, said.place) if said.type == ENROLLED else (True, *said.order)


def _voided(history: History, void: Said) -> Said:
    name = (void.data["event"]["source"], void.data["event"]["id"])
    return next(said for said in history.accepted if said.name == name)


def continued(history: History, said: Said) -> Said | None:
    """The voided event that this one restates later: under the same visit or adverse event."""
    restated = set(history.corrects.values())
    gone = [
        each
        for each in history.accepted
        if each.name in history.voided and each not in restated and _same_thing(each, said)
    ]
    return gone[-1] if gone else None


def _same_thing(before: Said, said: Said) -> bool:
    if not alike(said, before):
        return False
    if said.type == ENROLLED:
        return True
    return bool(about(said)) and about(said) == about(before)
