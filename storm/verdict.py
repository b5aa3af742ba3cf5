"""Holds what arrived against what was acknowledged and decided; every fault that it finds is named.

lost         acknowledged, and not in the log; due, and never received by whom it is for
untrue       told as sent, never received
doubled      received twice, the later one not marked, though the first may have been accepted
misdirected  received by somebody whom it is not for
pointless    its send began after a client had been told that what makes it pointless is recorded
late         received more than 10 s after it was due and the last fault of the service's own was over
"""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from storm.clients import CLOCK
from storm.ledger import Ack, Json, Key, Ledger
from storm.tables import Row, Tables

MARKS = ("[possibly repeated] ", "【可能重复】")
TOLD = ("investigator", "sponsor")
LATE = timedelta(seconds=10)
# A provider that failed is asked again after a while, which is longer the more often it failed.
PROVIDER = "provider"
_AE = re.compile(r"AE-\d+-\d+")


@dataclass(frozen=True)
class Arrival:
    """One message that a recipient got; `answered` is None when the receiver did not answer it."""

    at: datetime
    audience: str
    title: str
    body: str
    answered: int | None

    @property
    def plain_title(self) -> str:
        """The title without the mark that says "possibly repeated"."""
        for mark in MARKS:
            if self.title.startswith(mark):
                return self.title.removeprefix(mark)
        return self.title

    @property
    def is_marked(self) -> bool:
        """Whether it says that it may have arrived before."""
        return self.plain_title != self.title

    @property
    def may_be_accepted(self) -> bool:
        """Whether the provider may have taken it, whatever its sender knows."""
        return self.answered is None or self.answered < 400 or self.answered in (502, 504)


@dataclass(frozen=True)
class Verdict:
    """What was wrong, by kind (nothing: the service held), and figures for people."""

    faults: Mapping[str, Sequence[object]]
    figures: Mapping[str, object]


def judge(ledger: Ledger, arrivals: Sequence[Arrival], tables: Tables, late: timedelta = LATE) -> Verdict:
    """Judge a storm that is over, when nothing due waits any more; what came after `late` came too late."""
    alerts = _Alerts(ledger, arrivals, tables)
    faults = {
        "lost": [*_lost_events(ledger, tables), *alerts.lost()],
        "untrue": _untrue(arrivals, tables),
        "doubled": _doubled(arrivals, tables),
        "misdirected": _misdirected(arrivals, tables),
        "pointless": _pointless(ledger, tables),
        "late": alerts.late(late),
    }
    figures = {
        "acknowledged": len(ledger.acks),
        "arrived": len(arrivals),
        "marked": sum(each.is_marked for each in arrivals),
        "refused": len(ledger.refused),
        "broken": dict(Counter(each.name for each in ledger.faults)),
        "unanswered": dict(ledger.errors),
        "late_s": alerts.lateness(),
    }
    return Verdict({name: found for name, found in faults.items() if found}, figures)


def _lost_events(ledger: Ledger, tables: Tables) -> list[Key]:
    logged = {(row["source"], row["id"]) for row in tables.events}
    return [each for each in ledger.acks if each not in logged]


def _untrue(arrivals: Sequence[Arrival], tables: Tables) -> list[object]:
    got = Counter((each.audience, each.plain_title) for each in arrivals)
    sent = Counter(
        (notice["audience"], notice["title"])
        for delivery in tables.deliveries
        if delivery["status"] == "sent" and (notice := tables.notices[delivery["notice"]])
    )
    return [what for what, count in sent.items() if got[what] < count]


def _doubled(arrivals: Sequence[Arrival], tables: Tables) -> list[object]:
    allowed = Counter(
        (notice["audience"], notice["title"], notice["body"]) for notice in tables.notices.values()
    )
    unmarked = Counter(
        (each.audience, each.plain_title, _body(each, tables))
        for each in arrivals
        if not each.is_marked and each.may_be_accepted
    )
    return [what[:2] for what, count in unmarked.items() if count > max(allowed[what], 1)]


def _body(arrival: Arrival, tables: Tables) -> str:
    """The text as the service keeps it, to which Apprise adds what it likes."""
    same = (
        notice["body"]
        for notice in tables.notices.values()
        if notice["body"] and notice["title"] == arrival.plain_title and notice["body"] in arrival.body
    )
    return next(same, arrival.body)


def _misdirected(arrivals: Sequence[Arrival], tables: Tables) -> list[object]:
    meant = defaultdict(set)
    for notice in tables.notices.values():
        meant[notice["title"]].add(notice["audience"])
    wrong: list[object] = [
        (each.audience, each.title) for each in arrivals if each.audience not in meant[each.plain_title]
    ]
    # Independent of what the service keeps: a serious adverse event is these two people's.
    return wrong + [
        (each.audience, each.title)
        for each in arrivals
        if _is_alert(each) and each.audience not in TOLD and _AE.search(each.body)
    ]


def _is_alert(arrival: Arrival) -> bool:
    # The daily digest names adverse events too, and no subject in its title.
    return "ST-" in arrival.title


def _pointless(ledger: Ledger, tables: Tables) -> list[object]:
    voided = {ledger.acks[each].event["data"].get("ae"): ack.at for each, ack in _of_known(ledger)}
    found: list[object] = []
    for attempt in tables.attempts:
        since = voided.get(_about(tables.notices[attempt["notice"]]))
        if since is not None and datetime.fromisoformat(attempt["began_at"]) > since:
            found.append((attempt["notice"], attempt["began_at"]))
    return found


def _of_known(ledger: Ledger) -> list[tuple[Key, Ack]]:
    return [(each, ack) for each, ack in ledger.voids().items() if each in ledger.acks]


def _about(notice: Row) -> str:
    """The adverse event that a notice speaks of."""
    facts = notice["facts"]
    found = json.loads(facts) if isinstance(facts, str) else facts
    return str((found or {}).get("ae", "of nobody"))


class _Alerts:
    """The alerts that the acknowledged serious adverse events call for, and those that arrived."""

    def __init__(self, ledger: Ledger, arrivals: Sequence[Arrival], tables: Tables) -> None:
        self._ledger = ledger
        self._steps = {
            (notice["audience"], notice["title"]): notice["step"] for notice in tables.notices.values()
        }
        self._first: dict[tuple[str, str, str], datetime] = {}
        for each in sorted(arrivals, key=lambda arrival: arrival.at):
            step = self._steps.get((each.audience, each.plain_title), "")
            for ae in set(_AE.findall(each.body)) if _is_alert(each) and each.may_be_accepted else ():
                self._first.setdefault((ae, step, each.audience), each.at)
        self._wanted = list(self._due())

    def _due(self) -> list[tuple[str, str, str, datetime]]:
        voided, maybe = self._ledger.voids(), self._ledger.maybe_voided()
        due = []
        for event, ack in self._ledger.acks.items():
            is_serious = ack.event["type"] == "itp.adverse-event.reported"
            if is_serious and event not in voided and event not in maybe:
                for step, at in _clock(ack):
                    due += [(ack.event["data"]["ae"], step, audience, at) for audience in TOLD]
        return due

    def lost(self) -> list[object]:
        """Alerts that were due and reached nobody."""
        return [
            each[:3] for each in self._wanted if each[:3] not in self._first and not self._is_overtaken(each)
        ]

    def _is_overtaken(self, wanted: tuple[str, str, str, datetime]) -> bool:
        """Whether the first alert gave way to the reminder, because a fault kept it until that was due."""
        ae, step, audience, due = wanted
        reminded = self._first.get((ae, "sae-20h", audience))
        if step != "sae" or reminded is None:
            return False
        return any(each.began < reminded and each.ended > due - LATE for each in self._ledger.faults)

    def late(self, bound: timedelta) -> list[object]:
        """Alerts that came later than they may after they were due, and after the last fault was over."""
        return [
            (*each[:3], round(seconds, 1))
            for each, seconds in self._seconds()
            if seconds > bound.total_seconds()
        ]

    def lateness(self) -> dict[str, float]:
        """How late, in seconds."""
        late = sorted(seconds for _, seconds in self._seconds())
        if not late:
            return {}
        return {"p50": round(late[len(late) // 2], 2), "max": round(late[-1], 2)}

    def _seconds(self) -> list[tuple[tuple[str, str, str, datetime], float]]:
        found = []
        for each in self._wanted:
            arrived = self._first.get(each[:3])
            if arrived is not None:
                since = self._over(each[3], arrived)
                if since is not None:
                    found.append((each, (arrived - since).total_seconds()))
        return found

    def _over(self, due: datetime, arrived: datetime) -> datetime | None:
        """When it was due and nothing was broken any more; None behind a provider that failed."""
        felt = [each for each in self._ledger.faults if each.began < arrived and each.ended > due - LATE]
        if any(each.name.startswith(PROVIDER) for each in felt):
            return None
        return max([due, *(min(each.ended, arrived) for each in felt)])


def _clock(ack: Ack) -> list[tuple[str, datetime]]:
    """What an event calls for, and when: at once, and when its clock has run for 20 hours."""
    reminded = datetime.fromisoformat(_data(ack.event)["aware_at"]) + CLOCK
    # Recorded when its time has come already, the reminder alone is of use.
    at_once = [("sae", ack.at)] if reminded > ack.at else []
    return [*at_once, ("sae-20h", max(reminded, ack.at))]


def _data(event: Json) -> Json:
    data: Json = event["data"]
    return data
