"""Events, states and visits in the words of a language, for the pages."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime
from itertools import pairwise
from typing import Any, get_args
from zoneinfo import ZoneInfo

from deployments.api.web.fields import Field, shown, thousand_millions, value_at
from deployments.api.web.forms import FORM_OF, Form, Wrong
from deployments.api.web.words import Say
from itp_events.decisions import CURRENT
from itp_events.events import Event, plain_number
from itp_events.protocol.model import DeviationCategory, Visit
from tasks.database.event_log import Origin
from tasks.text.refusals_zh import criterion_zh, said_zh
from tasks.text.repairs_zh import repair_zh
from tasks.text.wording import filters, visit_name

# What an older or newer version of the service wrote stays as it is.
_DOORS = ("api", "cli", "page", "prefect-event", "prefect-form", "redcap", "service", "webhook")
_PHASES = (
    (re.compile(r"Awaiting disposition"), "phase.disposition"),
    (re.compile(r"Awaiting (?P<visit>.+)"), "phase.awaiting"),
    (re.compile(r"(?P<visit>.+) window open"), "phase.open"),
    (re.compile(r"(?P<visit>.+) overdue"), "phase.overdue"),
    (re.compile(r"On hold: death-unrecorded"), "phase.death-unrecorded"),
    (re.compile(r"On hold: (?P<criterion>.+)"), "phase.hold"),
    (re.compile(r"Completed"), "phase.completed"),
    (re.compile(r"Withdrawn: (?P<decode>.+)"), "phase.withdrawn"),
)
_LIMITS = {
    "greater_than_equal": ("at-least", "ge"),
    "greater_than": ("more", "gt"),
    "less_than_equal": ("at-most", "le"),
    "string_too_long": ("longest", "max_length"),
}
# Parts of the sentences that every door gives.
_BARRED = re.compile(r"this needs a token of role (?P<needed>\w+); yours is of role (?P<role>\w+)")
_TOGETHER = re.compile(r"^refused together with \(source \S+, id [^)]*\): ")
_REFERENCE = re.compile(r" \(source \S+, id [^)]*\)|（来源 [^，）]+，编号 [^）]+）")
_TICK = "state confirmed: true"
_FIELD = re.compile(r"[a-z]+(?:_[a-z]+)+", re.ASCII)
# Of fewer cells a dose in thousand millions would be said in zeros.
_FEWEST_CELLS = 1_000_000
_PLAIN = {
    "missing": "missing",
    "string_too_short": "missing",
    "int_type": "whole",
    "int_parsing": "whole",
    "int_from_float": "whole",
    "float_type": "number",
    "float_parsing": "number",
    "bool_type": "choose",
    "literal_error": "choose",
    "string_pattern_mismatch": "code",
    "blank": "blank",
}


class InWords:
    """Says things of the study in one language, with instants in one time zone."""

    def __init__(self, say: Say, zone: ZoneInfo) -> None:
        self.say = say
        self.zone = zone
        self._filters = filters(say.language, zone)

    def day(self, value: date | str) -> str:
        """A date, given as such or in ISO form."""
        return self._filters["day"](value if isinstance(value, str) else value.isoformat())

    def instant(self, value: datetime | str) -> str:
        """An instant at the site, given as such or in ISO form."""
        return self._filters["instant"](value if isinstance(value, str) else value.isoformat())

    def short_instant(self, value: datetime) -> str:
        """An instant at the site, without the zone's name."""
        return f"{value.astimezone(self.zone):%Y-%m-%d %H:%M}"

    def criterion(self, name: str) -> str:
        """A withdrawal criterion."""
        return self._filters["criterion"](name)

    def decode(self, name: str) -> str:
        """A disposition."""
        return self._filters["decode"](name)

    def category(self, name: str) -> str:
        """A category of deviations."""
        return self._filters["category"](name)

    def deviation(self, identity: str) -> str:
        """A deviation, from its id: its category, and its visit where it has one."""
        for visit, category in pairwise(("", *identity.split("/")[1:])):
            if category in get_args(DeviationCategory):
                return f"{self.category(category)} {visit}".strip()
        return identity

    def audience(self, name: str) -> str:
        """An audience of notices."""
        return self._filters["audience"](name)

    def visit(self, visit: Visit | None, code: str) -> str:
        """A visit's name with its code."""
        return visit_name(self.say.language, code, visit.label if visit else None)

    def phase(self, state: str) -> str:
        """A subject's phase, from its English name (a name of the contract)."""
        for pattern, key in _PHASES:
            if match := pattern.fullmatch(state):
                values = match.groupdict()
                for name, say in (("criterion", self.criterion), ("decode", self.decode)):
                    values |= {name: say(values[name])} if name in values else {}
                return self.say(key, **values)
        return state

    def bleeding(self, value: bool | int | None) -> str:
        """Bleeding at a visit; empty for None."""
        if value is None:
            return ""
        if not value:
            return self.say("bleeding.none")
        return self.say("bleeding.some") if value is True else self.say("bleeding.grade", grade=value)

    def author(self, by: str, origin: Origin) -> str:
        """The person `by`, with the account that was signed in for them where it is another."""
        if origin.door is None or origin.actor == by:
            return by
        if origin.actor is None:
            return self.say("subject.nobody", by=by).strip()
        return self.say("subject.signed-in", by=by, actor=origin.actor)

    def door(self, door: str) -> str:
        """The door by which something came in, from its name in the log."""
        kind, _, name = door.partition(":")
        return self.say(f"door.{kind}", name=name) if kind in _DOORS else door

    def sentence(self, event: Event) -> str:
        """An event in one line: its kind, and the values that it holds."""
        kind, form = self.say(f"type.{event.type}"), FORM_OF.get(type(event.data))
        data = event.to_json()["data"]
        said = "; ".join(self._values(form, data) if form else self._others(data))
        return f"{kind}: {said}" if said else kind

    def _values(self, form: Form, data: Mapping[str, Any]) -> Iterator[str]:
        head = ("visit", "on", "deviation")
        for field in form.fields:
            value = value_at(data, field.path)
            if value is None or (field.kind == "tick" and not value):
                continue
            text = self.value(form, field, value)
            label = self._called(form, field)
            yield text if field.path in head else f"{label}: {text}" if text else label

    def _called(self, form: Form, field: Field) -> str:
        """The name of a field in a sentence, where a unit belongs to its value and not to its name."""
        own = f"named.{field.name}"
        return self.say(own) if self.say.has(own) else self.label(form, field)

    def _others(self, data: Mapping[str, Any]) -> Iterator[str]:
        for name, say in (
            ("criterion", self.criterion),
            ("on", self.day),
            ("decode", self.decode),
            ("version", str),
            ("reason", self._reason),
        ):
            if name in data:
                yield say(data[name])

    def _reason(self, text: str) -> str:
        """A reason as it was typed in; the service's own one in the reader's language."""
        return self.say("reason.current") if text == CURRENT else text

    def value(self, form: Form, field: Field, value: Any) -> str:
        """One value of an event."""
        if field.kind == "tick":
            return ""
        by_kind: dict[str, Callable[[Any], str]] = {
            "date": self.day,
            "instant": self.instant,
            "bleeding": self.bleeding,
            "cells": self.cells,
        }
        by_name: dict[str, Callable[[Any], str]] = {
            "criterion": self.criterion,
            "decode": self.decode,
            "deviation": self.deviation,
        }
        if say := by_kind.get(field.kind) or by_name.get(field.name):
            return say(value)
        text = shown(field, value, self.zone)
        return self.choice(form, field, text) if field.choices else text

    def cells(self, value: float) -> str:
        """A number of cells, as 6.15 × 10⁹; so few that nobody can mean them, plainly."""
        return f"{thousand_millions(value)} × 10⁹" if value >= _FEWEST_CELLS else plain_number(value)

    def choice(self, form: Form, field: Field, text: str) -> str:
        """The words of one value to choose from."""
        if field.kind == "yes-no":
            return self.say(text)
        if field.name == "decode":
            return self.decode(text)
        key = f"choice.{field.name}.{text}"
        return self.say(key) if self.say.has(key) else text

    def label(self, form: Form, field: Field) -> str:
        """The name of a field, on a form that may have its own."""
        own = f"field.{form.name}.{field.name}"
        return self.say(own if self.say.has(own) else f"field.{field.name}")

    def optional(self, field: Field) -> str:
        """The note beside a field that may stay empty: when it must not, where that depends on another."""
        own = f"if.{field.name}"
        return self.say(own if self.say.has(own) else "form.optional")

    def wrong(self, field: Field | None, wrong: Wrong) -> str:
        """The problem with the value of a field."""
        if wrong.kind in _LIMITS:
            key, limit = _LIMITS[wrong.kind]
            number = wrong.values.get(limit)
            return self.say(f"wrong.{key}", limit=f"{number:g}" if isinstance(number, float) else number)
        if field is not None and field.kind == "cells" and _PLAIN.get(wrong.kind) in ("number", "whole"):
            return self.say("wrong.cells")
        if wrong.kind == "value_error" and field is not None and field.kind in ("date", "instant"):
            return self.say(f"wrong.{field.kind}")
        if wrong.kind == "missing" and field is not None and field.choices:
            return self.say("wrong.choose")
        return self.say(f"wrong.{_PLAIN.get(wrong.kind, 'other')}")

    def unmet(self, sentence: str) -> str:
        """A criterion of enrolment that was not met, from its English sentence."""
        return criterion_zh(sentence) if self.say.language == "zh-CN" else sentence

    def repair(self, line: str) -> str:
        """A line of the repairs log, from its English sentence."""
        return repair_zh(line, self.phase) if self.say.language == "zh-CN" else line

    def told(self, sentence: str) -> str:
        """A refusal for the person who meets it: without names and ids that only programs know."""
        if barred := _BARRED.fullmatch(sentence):
            needed, own = (self.say(f"{key}.{barred[key]}") for key in ("needed", "role"))
            return self.say("error.role", needed=needed, role=own)
        reason = _TOGETHER.sub("", sentence)
        said = _REFERENCE.sub("", self.refusal(reason)).replace(_TICK, self.say("error.confirmed"))
        return _FIELD.sub(self._quoted, said)

    def _quoted(self, name: re.Match[str]) -> str:
        key = f"field.{name[0]}"
        return self.say("error.field", name=self.say(key)) if self.say.has(key) else name[0]

    def refusal(self, sentence: str) -> str:
        """A refusal, from the sentence that every door gives."""
        return said_zh(sentence) if self.say.language == "zh-CN" else sentence
