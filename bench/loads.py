"""What clients do to the doors in a measurement: enrol, state one event after another, and many at once."""

from __future__ import annotations

import asyncio
import itertools
import time
import uuid
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import httpx

from bench.receiving import ReceiverApart
from bench.stage import SCREENING
from bench.waiting import until

Json = dict[str, Any]
Load = TypeVar("Load")

CLIENTS = 64
ARRAY, ARRAY_CLIENTS = 100, 4
SERIOUS_NOTICES = 2
# Between two events that are stated one after the other: no event waits for the one before.
PAUSE_SECONDS = 0.06
ARRIVED_SECONDS = 60.0


class Clients:
    """Clients of one or more doors, side by side; `acknowledged` holds the ids of the events taken in."""

    def __init__(self, doors: Sequence[str]) -> None:
        # One connection each: a pool of many looks at all its idle ones for every request.
        one = httpx.Limits(max_connections=1)
        self._idle = deque(
            httpx.AsyncClient(base_url=door, limits=one, timeout=120, trust_env=False, verify=False)
            for door in itertools.islice(itertools.cycle(doors), CLIENTS)
        )
        self.acknowledged: set[str] = set()

    async def close(self) -> None:
        """Close every connection."""
        for client in self._idle:
            await client.aclose()

    async def enrol(self, codes: Sequence[str]) -> float:
        """Enrol subjects one by one; how many a second."""
        return await self._rate(len(codes), [_enrolment(code) for code in codes], CLIENTS)

    async def enrol_in_arrays(self, codes: Sequence[str]) -> float:
        """Enrol subjects in arrays of 100; how many a second."""
        stated = [_enrolment(code) for code in codes]
        arrays = [stated[first : first + ARRAY] for first in range(0, len(stated), ARRAY)]
        return await self._rate(len(codes), arrays, ARRAY_CLIENTS)

    async def contacts(self, codes: Sequence[str]) -> float:
        """State an event for each subject that tells nobody anything; events a second."""
        stated = [_event("contact.attempted", code, {"on": _today(), "reached": True}) for code in codes]
        return await self._rate(len(codes), stated, CLIENTS)

    async def serious(self, codes: Sequence[str]) -> float:
        """State an event with two notices for each subject; events a second."""
        return await self._rate(len(codes), [_serious(code) for code in codes], CLIENTS)

    async def one_by_one(self, codes: Sequence[str], receiver: ReceiverApart) -> list[float]:
        """State one serious event after another; the seconds until each is in the log, in order of size."""
        late = []
        for code in codes:
            before, stated, began = len(receiver.requests), _serious(code), time.perf_counter()
            await self._post(stated)
            late.append(time.perf_counter() - began)
            await arrived(receiver, before + SERIOUS_NOTICES, every=0.002)
            await asyncio.sleep(PAUSE_SECONDS)
        return sorted(late)

    async def _rate(self, count: int, loads: Sequence[Json | list[Json]], clients: int) -> float:
        began = time.perf_counter()
        await side_by_side(loads, self._post, clients)
        return count / (time.perf_counter() - began)

    async def _post(self, stated: Json | list[Json]) -> None:
        client = self._idle.popleft()
        try:
            answered = await client.post("/events", json=stated)
        finally:
            self._idle.append(client)
        assert answered.status_code == httpx.codes.CREATED, answered.text
        events = stated if isinstance(stated, list) else [stated]
        self.acknowledged |= {event["id"] for event in events}


async def side_by_side(loads: Iterable[Load], do: Callable[[Load], Awaitable[None]], clients: int) -> None:
    """Let so many clients share the loads, each taking the next when it is done with one."""
    waiting = iter(loads)

    async def client() -> None:
        for load in waiting:
            await do(load)

    await asyncio.gather(*(client() for _ in range(clients)))


async def arrived(
    receiver: ReceiverApart, count: int, seconds: float = ARRIVED_SECONDS, every: float = 0.05
) -> None:
    """Wait until so many notices have arrived; raises TimeoutError when they do not."""
    await until(lambda: len(receiver.requests) >= count, f"{count} notices", seconds, every)


def told_again(receiver: ReceiverApart, before: int) -> tuple[int, int]:
    """How many notices since `before` came again, marked as possibly repeated, and how many unmarked."""
    said = [f"{request.path} {request.body}" for request in receiver.requests[before:]]
    marked = [each for each in said if "repeat" in each.lower()]
    others = Counter(each for each in said if "repeat" not in each.lower())
    return len(marked), sum(number - 1 for number in others.values())


def _enrolment(code: str) -> Json:
    on = f"{(_now() - timedelta(days=1)).date()}"
    data = {"on": on, "consent_on": on, "site": "01", "weight_kg": 60.0, "screening": SCREENING}
    return _event("subject.enrolled", code, data)


def _serious(code: str) -> Json:
    name = f"AE-{time.monotonic_ns()}"
    data = {"ae": name, "term": "bleeding", "grade": 3, "serious": True, "related": False, "on": _today()}
    return _event("adverse-event.reported", code, data)


def _event(kind: str, code: str, data: Json) -> Json:
    return {
        "specversion": "1.0",
        "id": uuid.uuid4().hex,
        "source": "bench",
        "type": f"itp.{kind}",
        "subject": code,
        "time": _now().isoformat(),
        "data": {"by": "bench"} | data,
    }


def _today() -> str:
    return f"{(_now() - timedelta(days=1)).date()}"


def _now() -> datetime:
    return datetime.now(UTC)  # noqa: TID251 - a measurement
