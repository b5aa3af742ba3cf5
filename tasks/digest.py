"""The daily digest: at 08:30 site time on working days, the needs of a site's people, in one notice each.

It goes through the same outbox as every notice, with one row for each site, date and audience. Making it
twice has no further effect. When there is nothing to say the row says so, and nothing is sent.
`flows.daily_digest` makes it at its time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any

import sqlalchemy as sa

from itp_events.duty.ahead import GapAhead, PlaceToday
from itp_events.protocol.model import Protocol
from tasks.board.cards import Card, VisitLine
from tasks.board.reading import fresh_cards
from tasks.database import duty
from tasks.database.contents import (
    ConsentToAsk,
    DigestContents,
    DueVisit,
    DutyLine,
    GapLine,
    Matter,
    OverdueVisit,
    RecordContents,
)
from tasks.database.schema import notices, subjects
from tasks.database.store import Store
from tasks.text.duty import write_missing

STEP = "digest"
AT = time(8, 30)
AUDIENCES = ("coordinator", "investigator")
MONITOR = "monitor"
NOTHING = "nothing to say"
_GAPS_DAYS = 7
# From these rungs on an overdue visit waits for the investigator too.
ESCALATED = ("investigator", "sponsor")


def due(store: Store, protocol: Protocol, now: datetime) -> list[tuple[str, date]]:
    """The sites, with their dates, whose digest is due at `now` and has not been made yet."""
    with store.reading() as connection:
        sites = list(connection.scalars(sa.select(subjects.c.site).distinct().order_by(subjects.c.site)))
        waiting = [
            (code, protocol.site(code).date_of(now)) for code in sites if _time_has_come(protocol, code, now)
        ]
        known = _known(connection, [key(*each, AUDIENCES[0]) for each in waiting])
    return [each for each in waiting if key(*each, AUDIENCES[0]) not in known]


def key(site: str, day: date, audience: str) -> str:
    """The digest's key in the outbox."""
    return f"{STEP}/{site}/{day}/{audience}"


def audience_of(key: str) -> str:
    """The audience of a digest, from its key in the outbox."""
    return key.rpartition("/")[2]


def _time_has_come(protocol: Protocol, code: str, now: datetime) -> bool:
    site = protocol.site(code)
    today = site.date_of(now)
    return site.workdays.is_working(today) and site.at(today, AT) <= now


def _known(connection: sa.Connection, keys: Sequence[str]) -> set[str]:
    return set(connection.scalars(sa.select(notices.c.key).where(notices.c.key.in_(keys))))


def post(
    store: Store,
    protocol: Protocol,
    site: str,
    now: datetime,
    to_monitors: Sequence[RecordContents] = (),
) -> list[str]:
    """Put a site's digest of today into the outbox, once for each audience and each monitor; return the keys
    to be sent.
    """
    today = protocol.site(site).date_of(now)
    cards = fresh_cards(store, protocol, now, site)
    amended = about_amendments(protocol, cards, _versions(store), today)
    with store.reading() as connection:
        places = duty.places_today(connection, protocol, now)
    said = about_duty([each for each in places if each.site == site], today)
    contents = {audience: content(cards, audience, today) | said for audience in AUDIENCES}
    contents["coordinator"] |= amended
    rows = [_row(protocol, site, today, audience, each, now) for audience, each in contents.items()]
    rows += [_row(protocol, site, today, f"{MONITOR}:{each['person']}", each, now) for each in to_monitors]
    return store.write(lambda connection: _post(connection, rows))


def _post(connection: sa.Connection, rows: Sequence[dict[str, Any]]) -> list[str]:
    known = _known(connection, [row["key"] for row in rows])
    new = [row for row in rows if row["key"] not in known]
    if new:
        connection.execute(notices.insert(), new)
    return [row["key"] for row in new if row["status"] == "queued"]


def _row(
    protocol: Protocol,
    site: str,
    today: date,
    audience: str,
    said: DigestContents | RecordContents,
    now: datetime,
) -> dict[str, Any]:
    where = protocol.site(site)
    # Who is on duty is something to say only beside something else.
    news = any(value for name, value in said.items() if name != "duty")
    return {
        "key": key(site, today, audience),
        "kind": "reminder",
        "step": STEP,
        "audience": audience.partition(":")[0],
        "due": where.at(today, AT),
        "until": where.midnight(today + timedelta(days=1)),
        "facts": {"site": site, "on": today.isoformat(), **said},
        "queued_at": now,
        "status": "queued" if news else "withdrawn",
        "reason": None if news else NOTHING,
        "settled_at": None if news else now,
    }


def content(cards: Sequence[Card], audience: str, today: date) -> DigestContents:
    """The contents of the digest for an audience of a site, from its subjects' cards; dates as YYYY-MM-DD."""
    waiting = _waiting(cards)
    if audience == "investigator":
        overdue = [row for row in _overdue(cards, today) if row["rung"] in ESCALATED]
        return {"today": [], "week": [], "overdue": overdue, "waiting": waiting}
    sunday = today + timedelta(days=7 - today.isoweekday())
    return {
        "today": list(_planned(cards, date.min, today)),
        "week": list(_planned(cards, today + timedelta(days=1), sunday)),
        "overdue": list(_overdue(cards, today)),
        "waiting": [],
    }


def about_amendments(
    protocol: Protocol, cards: Sequence[Card], versions: Mapping[str, str], today: date
) -> DigestContents:
    """The digest's lines about amendments: consents to ask for, and a version to which subjects may be moved.

    `versions` says which version each subject follows. Empty where there is nothing of the kind.
    """
    consents: list[ConsentToAsk] = [
        {"subject": card["code"], "kind": each["kind"], "version": each["version"]}
        for card in cards
        for each in card["consents"]
        if each["version"] is not None and each["kind"] != "majority"
    ]
    newest = protocol.in_force(today)
    behind = [card["code"] for card in cards if not card["exit"] and versions[card["code"]] != newest.version]
    since = newest.effective_on
    said: DigestContents = {"consents": consents} if consents else {}
    if behind and since:
        said["versions"] = [
            {"version": newest.version, "since": since.isoformat(), "subjects": behind},
        ]
    return said


def _versions(store: Store) -> dict[str, str]:
    query = sa.select(subjects.c.code, subjects.c.protocol_version)
    with store.reading() as connection:
        return {row.code: row.protocol_version for row in connection.execute(query)}


def about_duty(places: Sequence[PlaceToday], today: date) -> DigestContents:
    """The digest's lines about duty at a site; empty where no rota stands.

    A gap is told from a week before its first day on, until its last.
    """
    if not places:
        return {}
    soon = today + timedelta(days=_GAPS_DAYS)
    return {
        "duty": [_on_duty(each) for each in places if each.on_duty.planned is not None],
        "gaps": [_gap(gap) for each in places for gap in each.gaps if gap.first <= soon],
    }


def _on_duty(place: PlaceToday) -> DutyLine:
    covers = place.on_duty.covers
    people = [{"person": who} | ({"away": planned} if who != planned else {}) for who, planned in covers]
    return {"asked": place.audience, "people": people, "missing": write_missing(place.on_duty.missing)}


def _gap(gap: GapAhead) -> GapLine:
    first, last = gap.first.isoformat(), gap.last.isoformat()
    return {"asked": gap.audience, "first": first, "last": last, "missing": write_missing(gap.missing)}


def _visits(cards: Sequence[Card], *statuses: str) -> Iterator[tuple[Card, VisitLine]]:
    for card in cards:
        for visit in card["visits"]:
            if visit["status"] in statuses:
                yield card, visit


def _planned(cards: Sequence[Card], first: date, last: date) -> Iterator[DueVisit]:
    due = [
        (visit["day"], card["code"], card, visit)
        for card, visit in _visits(cards, "upcoming", "open")
        if visit["firm"] and first.isoformat() <= visit["day"] <= last.isoformat() and not card["exit"]
    ]
    for _, _, card, visit in sorted(due, key=lambda each: each[:2]):
        yield {
            "subject": card["code"],
            "visit": visit["code"],
            "day": visit["day"],
            "closes": visit["closes"],
            "booked": visit["booked"],
            "held": visit["held"],
            "assumed": visit["assumed"],
        }


def _overdue(cards: Sequence[Card], today: date) -> Iterator[OverdueVisit]:
    for card, visit in sorted(
        _visits(cards, "overdue"), key=lambda pair: (pair[1]["closes"], pair[0]["code"])
    ):
        late = (today - date.fromisoformat(visit["closes"])).days
        yield {
            "subject": card["code"],
            "visit": visit["code"],
            "days": late,
            "rung": visit["rung"],
            "held": visit["held"],
            "assumed": visit["assumed"],
        }


def _waiting(cards: Sequence[Card]) -> list[Matter]:
    """The matters that wait for the investigator: reports by their deadline, then the others by age."""
    return [
        *sorted((row for card in cards for row in _reports(card)), key=lambda row: row["by"]),
        *sorted((row for card in cards for row in _decisions(card)), key=lambda row: row["since"]),
        *sorted((row for card in cards for row in _unassessed(card)), key=lambda row: row["since"]),
    ]


def _reports(card: Card) -> Iterator[Matter]:
    for clock in card["clocks"]:
        yield {
            "subject": card["code"],
            "what": "report",
            "about": clock["what"],
            "by": clock["deadline"],
            "assumed": _it(assumed=clock["assumed"]),
        }


def _decisions(card: Card) -> Iterator[Matter]:
    for flag in card["flags"]:
        yield {
            "subject": card["code"],
            "what": "flag",
            "about": flag["criterion"],
            "since": flag["since"],
            "assumed": _it(assumed=flag["assumed"]),
        }
    if card["fatal"]:
        yield {"subject": card["code"], "what": "fatal", "about": "", "since": card["fatal"]}
    if card["disposition"]:
        last = card["visits"][-1]
        yield {
            "subject": card["code"],
            "what": "disposition",
            "about": "",
            "since": last["closes"],
            "assumed": _it(assumed="closes" in last["assumed"]),
        }


def _it(*, assumed: bool) -> list[str]:
    """The parts of a matter's line that rest on an assumption: the matter itself, named `it`, or none."""
    return ["it"] if assumed else []


def _unassessed(card: Card) -> Iterator[Matter]:
    for each in card["deviations"]:
        yield {
            "subject": card["code"],
            "what": "deviation",
            "about": each["category"],
            "visit": each["visit"],
            "id": each["id"],
            "since": each["since"],
        }
