"""Clients that state events about subjects of their own, and repeat each until it is answered."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx

from deployments.example_subject import ELIGIBLE
from storm.ledger import Json, Ledger, now

# The safety clock reminds after 20 hours: of an event of which the site learned so long ago, in some seconds.
CLOCK = timedelta(hours=20)
SUBJECTS = 4
ASK_SECONDS = 10.0


class Client(threading.Thread):
    """One sender: a site's own system, as an example. `door` gives the address that it asks next."""

    def __init__(
        self,
        number: int,
        seed: int,
        ledger: Ledger,
        door: Callable[[], str],
        pause: float,
        token: str = "",
    ) -> None:
        super().__init__(name=f"client-{number}", daemon=True)
        self._number = number
        self._random = random.Random(f"{seed}/{number}")
        self._ledger, self._door, self._pause = ledger, door, pause
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._http = httpx.Client(trust_env=False, verify=False, timeout=ASK_SECONDS, headers=headers)
        self._codes = [f"ST-{number:02}{each:02}" for each in range(SUBJECTS)]
        self._count = 0
        self._ended = threading.Event()

    def run(self) -> None:
        """Enrol the subjects, then state what happens to them, until `stop`."""
        yesterday = f"{(now() - timedelta(days=1)).date()}"
        for code in self._codes:
            # Each in a site of its own, so that each brings a digest.
            data = {"on": yesterday, "site": code, "consent_on": yesterday, "weight_kg": 60.0}
            self._state("subject.enrolled", code, data | {"screening": dict(ELIGIBLE)})
        while not self._ended.is_set():
            self._step(yesterday)
            self._ended.wait(self._random.expovariate(1 / self._pause))
        self._http.close()

    def stop(self) -> None:
        """Begin nothing more; what is under way is repeated no further."""
        self._ended.set()

    def _step(self, on: str) -> None:
        kind = self._random.choices(("serious", "void", "repeat", "contact"), (50, 25, 10, 15))[0]
        # What is reported right after a void may be its correction, of which nobody is told again: voids have
        # a subject of their own.
        code = self._codes[0] if kind == "void" else self._random.choice(self._codes[1:])
        if kind == "contact":
            self._state("contact.attempted", code, {"on": on, "reached": True})
            return
        event = self._serious(code, on)
        if kind == "repeat":
            self._send(event)
        elif kind == "void" and event is not None:
            self._ended.wait(self._random.choice((0.0, 0.002, 0.05, 0.5, 3.0)))
            reference = {"source": event["source"], "id": event["id"]}
            self._state("event.voided", code, {"event": reference, "reason": "typing error"})

    def _serious(self, code: str, on: str) -> Json:
        aware = now() - CLOCK + timedelta(seconds=self._random.uniform(8, 30))
        data = {"ae": f"AE-{self._number}-{self._count + 1}", "term": "bleeding", "grade": 3, "on": on}
        known = {"serious": True, "related": False, "aware_at": aware.isoformat()}
        return self._state("adverse-event.reported", code, data | known)

    def _state(self, kind: str, code: str, data: dict[str, Any]) -> Json:
        self._count += 1
        event = {
            "specversion": "1.0",
            "id": f"{self._number}-{self._count}",
            "source": "storm",
            "type": f"itp.{kind}",
            "subject": code,
            "time": now().isoformat(),
            "data": {"by": "crc-01"} | data,
        }
        self._send(event)
        return event

    def _send(self, event: Json) -> None:
        self._ledger.asked(event)
        while not self._ended.is_set():
            try:
                answer = self._http.post(f"{self._door()}/events", json=event)
            except httpx.TransportError as problem:
                self._ledger.failed(type(problem).__name__)
                self._ended.wait(self._random.uniform(0.05, 0.3))
                continue
            if answer.status_code < 500:
                self._ledger.answered(event, answer.status_code)
                return
            self._ledger.failed(str(answer.status_code))
            self._ended.wait(self._random.uniform(0.1, 0.5))
