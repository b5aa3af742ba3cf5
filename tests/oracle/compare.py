"""Holds the second implementation against the rules, history by history, and shrinks what disagrees."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from itp_events.errors import ItpError
from itp_events.events import Enrolled, Event, parse_event
from itp_events.intake.batch import judge
from itp_events.outputs.plan import plan
from itp_events.outputs.plan_json import document
from itp_events.protocol.model import Protocol
from tests.oracle.histories import Case, Json
from tests.oracle.reference import answer
from tests.oracle.trial import trial

ROW = ("kind", "visit", "step", "audience", "due")
PARTS: dict[str, tuple[str, ...]] = {
    "protocol": ("version",),
    "exit": ("on", "decode", "criterion"),
    "visits": (
        "code",
        "label",
        "epoch",
        "source",
        "anchor",
        "target",
        "opens",
        "closes",
        "status",
        "booked",
        "on",
        "deviation_days",
        "suggested",
        "bleeding",
        "response",
        "version",
    ),
    "consents": ("kind", "version", "since", "given_on"),
    "dispositions": ("epoch", "on", "decode"),
    "flags": ("criterion", "since", "decision"),
    "notices": ROW,
    "forecast": ROW,
    "deviations": ("category", "visit", "on", "important"),
}
UNORDERED = frozenset({"consents", "notices", "forecast", "deviations", "dispositions", "flags"})
FIELDS = ("verdicts", "status", "state", *PARTS)


@dataclass(frozen=True)
class Difference:
    """One field in which the two disagree: what the oracle says, and what the rules say."""

    field: str
    oracle: object
    rules: object

    def __str__(self) -> str:
        return f"{self.field}: oracle {self.oracle}, rules {self.rules}"


def differences(case: Case, fields: Collection[str] = FIELDS) -> list[Difference]:
    """Where the two implementations say something else of a history."""
    ours, theirs = _oracle(case), _rules(case)
    found = [each for name in FIELDS if name in fields for each in _compared(name, ours, theirs)]
    if "notices" in fields and theirs.get("doubled keys"):
        found.append(Difference("doubled keys", [], theirs["doubled keys"]))
    return found


def shrunk(case: Case, fields: Collection[str] = FIELDS) -> Case:
    """The history without every event that the disagreement does not need."""
    found = differences(case, fields)
    kind = {found[0].field.split(".")[0]} if found else set()
    size = len(case.events) // 2
    while size:
        before = len(case.events)
        for place in range(before - size, -1, -size):
            less = Case(case.events[:place] + case.events[place + size :], case.as_of)
            if less.events and differences(less, kind):
                case = less
        if size > 1 or len(case.events) == before:
            size //= 2
    return case


def _compared(name: str, ours: Json, theirs: Json) -> Iterator[Difference]:
    if name not in ours:
        return
    mine, other = _part(name, ours[name]), _part(name, theirs.get(name))
    if name == "verdicts" or not (isinstance(mine, list) and isinstance(other, list)):
        if mine != other:
            yield Difference(name, mine, other)
            if name == "verdicts":
                yield Difference("verdicts.rules", ours["rules"], theirs["rules"])
    elif name in UNORDERED:
        yield from _rows(name, mine, other)
    else:
        yield from _one_by_one(name, mine, other)


def _rows(name: str, mine: Sequence[Json], other: Sequence[Json]) -> Iterator[Difference]:
    first, second = (Counter(str(tuple(row.values())) for row in rows) for rows in (mine, other))
    only, missing = sorted((first - second).elements()), sorted((second - first).elements())
    if only or missing:
        yield Difference(name, only, missing)


def _one_by_one(name: str, mine: Sequence[Json], other: Sequence[Json]) -> Iterator[Difference]:
    for one, two in zip(mine, other, strict=True):
        for key in one:
            if one[key] != two[key]:
                yield Difference(f"{name}.{one['code']}.{key}", one[key], two[key])


def _part(name: str, value: Any) -> Any:
    if value is None or name not in PARTS:
        return value
    if isinstance(value, dict):
        return {key: value.get(key) for key in PARTS[name]}
    return [{key: _plain(key, row.get(key)) for key in PARTS[name]} for row in value]


def _plain(key: str, value: Any) -> Any:
    """A field without what is said for people."""
    return {name: value[name] for name in ("grade", "confirmed")} if key == "response" and value else value


def _oracle(case: Case) -> Json:
    found = answer(case.events, case.as_of)
    return {"verdicts": found.verdicts, "rules": found.rules, **(found.plan or dict.fromkeys(PARTS))}


def _rules(case: Case) -> Json:
    protocol = _protocol()
    read = [_parsed(event) for event in case.events]
    known = [event for event in read if event and event.time <= case.as_of]
    judgement = judge(protocol, [], known, case.as_of)
    said = iter(judgement.verdicts)
    verdicts, rules = [], []
    for event, source in zip(read, case.events, strict=True):
        rules.append("")
        if datetime.fromisoformat(source["time"]) > case.as_of:
            verdicts.append("later")
        elif event is None:
            verdicts.append("refused")
        else:
            verdict = next(said)
            verdicts.append(_verdict(verdict.status))
            rules[-1] = str(getattr(verdict.error, "rule", ""))
    if not any(isinstance(event.data, Enrolled) for event in judgement.accepted):
        return {"verdicts": verdicts, "rules": rules}
    found: Json = document(plan(protocol, judgement.accepted, case.as_of))
    keys = [row["key"] for row in (*found["notices"], *found["forecast"])]
    doubled = sorted(key for key, count in Counter(keys).items() if count > 1)
    return {"verdicts": verdicts, "rules": rules, **found, **({"doubled keys": doubled} if doubled else {})}


def _verdict(status: str) -> str:
    return status if status in ("known", "refused") else "accepted"


def _parsed(event: Json) -> Event | None:
    try:
        return parse_event(event)
    except ItpError:
        return None


@cache
def _protocol() -> Protocol:
    # The first version comes last: it is the one of new subjects.
    first, *others = [Protocol.model_validate(each.rules) for each in trial().versions.values()]
    return first.beside([*others, first])
