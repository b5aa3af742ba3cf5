"""Which event of a file restates what a void of the same file took back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from tests.oracle.history import resting_on
from tests.oracle.said import COMPLETED, ENROLLED, MISSED, VOID, Said

AROUND = timedelta(seconds=300)


@dataclass(frozen=True)
class Pair:
    """A void and its restatement; `later` says that the restatement came on its own, after the void."""

    void: Said
    said: Said
    gone: Said
    later: bool
    before: Pair | None = None

    @property
    def at_once(self) -> bool:
        """Whether the two are judged in one: they came together, or the date lies before the void."""
        return not self.later or self.said.order < self.void.order

    @property
    def order(self) -> tuple[object, ...]:
        """Where the two stand: at the restatement's date, though never before what they correct.

        A first enrolment comes before everything, whatever its date.
        """
        if self.gone.type == ENROLLED and self.before is None:
            return self.said.order
        gone = self.before.order if self.before and self.before.at_once else self.gone.order
        return max(self.said.order, (*gone, 1))


def pairs(events: Sequence[Said]) -> list[Pair]:
    """The voids of a file, each with its restatement.

    A restatement is of the same type. In the first place it says the same of what follows from it, beside its
    void; else it is about the same visit or adverse event and is
    reported at the void's time or up to 300 s around it; else about another one, up to 300 s after it;
    else it comes later about the same one, or is an enrolment; else about another one, up to 300 s before.
    """
    found: list[Pair] = []
    for may in (_near_and_unchanged, _near_and_same, _soon, _later, _near):
        for void in _first_voids(events):
            gone = _gone(events, void)
            if gone is None or any(pair.void is void for pair in found):
                continue
            taken = {pair.said for pair in found} | {gone}
            offers = [said for said in events if said not in taken and may(void, gone, said)]
            if offers:
                nearest = min(
                    offers, key=lambda said: (abs(said.time - void.time), abs(said.place - void.place))
                )
                found.append(Pair(void, nearest, gone, may is _later and gone.type != ENROLLED))
    return _linked(found)


def _linked(found: Sequence[Pair]) -> list[Pair]:
    """The pairs, each with the pair that it corrects once more."""
    by_said = {pair.said: pair for pair in found}

    def linked(pair: Pair) -> Pair:
        before = by_said.get(pair.gone)
        return replace(pair, before=linked(before) if before else None)

    return [linked(pair) for pair in found]


def _first_voids(events: Sequence[Said]) -> list[Said]:
    """Of several voids of one event the first: the others are refused."""
    found: dict[tuple[str, str], Said] = {}
    for void in sorted((said for said in events if said.type == VOID), key=lambda said: said.order):
        found.setdefault((void.data["event"]["source"], void.data["event"]["id"]), void)
    return list(found.values())


def _gone(events: Sequence[Said], void: Said) -> Said | None:
    name = (void.data["event"]["source"], void.data["event"]["id"])
    return next((said for said in events if said.name == name and said.type != VOID), None)


def alike(said: Said, gone: Said) -> bool:
    """Whether one may correct the other: of one kind, or a visit that was missed, or done after all."""
    return said.type == gone.type or {said.type, gone.type} == {COMPLETED, MISSED}


def _near(void: Said, gone: Said, said: Said) -> bool:
    return alike(said, gone) and said.time >= gone.time and abs(said.time - void.time) <= AROUND


def _soon(void: Said, gone: Said, said: Said) -> bool:
    return _near(void, gone, said) and said.time >= void.time


def _near_and_unchanged(void: Said, gone: Said, said: Said) -> bool:
    return _near_and_same(void, gone, said) and resting_on(said) == resting_on(gone)


def _near_and_same(void: Said, gone: Said, said: Said) -> bool:
    return _near(void, gone, said) and about(said) == about(gone)


def _later(void: Said, gone: Said, said: Said) -> bool:
    if not alike(said, gone) or said.time <= void.time:
        return False
    return said.type == ENROLLED or (bool(about(said)) and about(said) == about(gone))


def about(said: Said) -> tuple[str, ...]:
    """The visit or the adverse event that an event is about."""
    return tuple(str(said.data[name]) for name in ("visit", "ae") if name in said.data)
