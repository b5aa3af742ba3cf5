"""How the people of a simulated study behave: a YAML file, checked on load, with named scenarios.

A file begins from another scenario with `like:` and states what differs. docs/simulation.md describes every
field; scenarios/typical.yaml holds all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from deployments.simulation.draws import Share, Spread
from itp_events.errors import BadInput
from itp_events.protocol import Epoch

SCENARIOS = Path(__file__).parent / "scenarios"
NAMES = ("perfect", "typical", "holiday-season", "unreliable", "outage")

Rate = Annotated[float, Field(ge=0)]
Weight = Annotated[float, Field(ge=0)]
_WEIGHTS = ("choice", "lost", "grade")


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Enrolment(_Part):
    """How many subjects a week are screened, and the share of them that fails an inclusion criterion."""

    per_week: Annotated[float, Field(gt=0)]
    screen_failures: Share
    minors: Share


class Attendance(_Part):
    """The visits of one epoch: the share that nobody comes to, and days from the target for the others."""

    missed: Share
    lateness_days: Spread


class Booking(_Part):
    """Dates agreed ahead, and what becomes of them."""

    probability: Share
    days_ahead: Spread
    no_show: Share
    comes_days_later: Spread


class Travel(_Part):
    """Who is away around long public holidays (five days or more without work), and for how long."""

    share: Share
    days_before: Annotated[int, Field(ge=0)]
    days_after: Annotated[int, Field(ge=0)]


class DataEntry(_Part):
    """How long after a visit it is recorded, and how often a record turns out wrong."""

    hours: Spread
    late: Share
    late_days: Spread
    corrected: Share


class Results(_Part):
    """What visits find: weight changes between visits, and cells given over cells planned."""

    weight_change: Spread
    cells_given: Spread
    bleeding: Share


class Answer(_Part):
    """Whether somebody answers at all, and after how many hours."""

    probability: Share
    hours: Spread


class Acknowledge(Answer):
    """Taking care of an overdue visit, until so many days later (0: say no date)."""

    until_days: Spread


class Decide(Answer):
    """The investigator's decision on a flag, by weights; `lost` is for subjects lost to follow-up."""

    choice: Mapping[Literal["continue", "stop-treatment", "withdraw"], Weight]
    lost: Mapping[Literal["continue", "stop-treatment", "withdraw"], Weight]


class Dispose(Answer):
    """The investigator's choice after a missed last visit, by weights."""

    choice: Mapping[Literal["complete", "withdraw"], Weight]


class Answers(_Part):
    """How people answer what the service tells them."""

    acknowledge: Acknowledge
    declare_missed: Answer
    decide: Decide
    disposition: Dispose
    submit_sae: Answer


class Contact(_Part):
    """Attempts to reach a subject who did not come."""

    attempts: Annotated[int, Field(ge=0)]
    every_days: Annotated[int, Field(ge=1)]
    reached: Share
    comes: Share


class PerMonth(_Part):
    """What happens to a subject by chance, per month in the study (30.44 days)."""

    adverse_events: Rate
    lost: Rate
    consent_withdrawn: Rate
    treatment_consent_withdrawn: Rate
    death: Rate
    pregnancy: Rate
    rescue_medication: Rate
    prohibited_medication: Rate
    maintenance_changed: Rate
    unscheduled_visits: Rate


class AdverseEvents(_Part):
    """What adverse events are like, and how many hours pass until the site reports them."""

    grade: Mapping[Annotated[int, Field(ge=1, le=5)], Weight]
    serious: Share
    related: Share
    reported_hours: Spread
    voided: Share


class Outage(_Part):
    """The service is down for so many days, from a day of the study (0: its first); doors are shut too."""

    from_day: Annotated[int, Field(ge=0)]
    days: Annotated[float, Field(gt=0)]


class Behaviour(_Part):
    """A whole behaviour file."""

    name: str
    about: str
    start: date
    enrolment: Enrolment
    visits: Mapping[Epoch, Attendance]
    booking: Booking
    travel: Travel
    data_entry: DataEntry
    results: Results
    answers: Answers
    contact: Contact
    per_month: PerMonth
    adverse_events: AdverseEvents
    infusion_despite_hold: Share
    delivery_hours: Spread
    outages: tuple[Outage, ...]


def load_behaviour(source: str | Path = "typical") -> Behaviour:
    """The behaviour of a named scenario, or of a file.

    Raises:
        BadInput: names the file, the field and what is wrong with it.
    """
    path = _path(source)
    try:
        return Behaviour.model_validate(_read(path, ()))
    except ValidationError as error:
        first, *more = error.errors(include_url=False)
        field = ".".join(str(part) for part in first["loc"])
        problem = "unknown field" if first["type"] == "extra_forbidden" else first["msg"]
        rest = f" (and {len(more)} more)" if more else ""
        raise BadInput(f"{field}: {problem.removeprefix('Value error, ')}{rest}", str(path)) from error


def _path(source: str | Path) -> Path:
    if isinstance(source, str):
        if source not in NAMES:
            raise BadInput(f"{source!r} is no scenario; there are {', '.join(NAMES)}", "scenario")
        return SCENARIOS / f"{source}.yaml"
    return source


def _read(path: Path, seen: tuple[Path, ...]) -> dict[str, Any]:
    try:
        value = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise BadInput(f"cannot be read: {' '.join(str(error).split())}", str(path)) from error
    if not isinstance(value, dict):
        raise BadInput("must be a mapping, as scenarios/typical.yaml is", str(path))
    like = value.pop("like", None)
    if like is None:
        return value
    base = _path(str(like))
    if base in seen:
        raise BadInput(f"like: {like} leads back to itself", str(path))
    return _merged(_read(base, (*seen, path)), value)


def _merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """`over` wins; groups of fields are merged, spreads and weights are replaced whole."""
    merged = dict(base)
    for key, value in over.items():
        before = base.get(key)
        if isinstance(value, dict) and isinstance(before, dict) and not _whole(key, before):
            merged[key] = _merged(before, value)
        else:
            merged[key] = value
    return merged


def _whole(key: str, value: dict[str, Any]) -> bool:
    return key in _WEIGHTS or (len(value) == 1 and next(iter(value)) in Spread.model_fields)
