"""Requirements and regulations as data: `requirements/*.yaml` and `regulations.yaml`, read and checked."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

HERE = Path(__file__).parent
PROTOCOL = HERE.parent / "itp_events" / "protocol" / "nct06813157.yaml"
# Parts of the protocol file that name the trial and hold no rule.
_NAMES = {"id", "version", "title"}

Level = Annotated[int, Field(ge=1, le=3)]
Class = Literal["high", "medium", "low"]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Risk(_Entry):
    """What a failure would mean, before anything guards against it; each level from 1, the least, to 3."""

    severity: Level  # 3: a subject may come to harm. 2: treatment or data suffer. 1: work is lost.
    probability: Level  # 3: it would happen every week. 2: every few months. 1: hardly ever.
    detectability: Level  # 3: nobody would notice. 2: somebody would, late. 1: at once.
    why: str

    @property
    def priority(self) -> int:
        """The product of the three levels: 1 to 27."""
        return self.severity * self.probability * self.detectability

    @property
    def kind(self) -> Class:
        """High from 12 on, or where a subject may come to harm that nobody notices; medium from 6 on."""
        if self.priority >= 12 or (self.severity == 3 and self.detectability == 3):
            return "high"
        return "medium" if self.priority >= 6 else "low"


class Requirement(_Entry):
    """One thing that the service must do."""

    id: Annotated[str, Field(pattern=r"^[A-Z]{3}-\d\d$")]
    says: str
    source: str | list[str]
    protocol: list[str] = []  # the rules of the protocol file that it covers, as `visits.INF2`
    risk: Risk
    area: str = ""  # the file that holds it

    @property
    def sources(self) -> list[str]:
        """Where it comes from: the synopsis, an assumption, the service itself, or a standard."""
        return [self.source] if isinstance(self.source, str) else self.source


class Point(_Entry):
    """One point of a regulation: what the service does for it, and what is left to the site's procedures."""

    point: str
    asks: str
    service: str | None = None
    site: str | None = None
    requirements: list[str] = []


class Regulation(_Entry):
    """A regulation with those of its points that software can meet."""

    name: str
    points: list[Point]


@cache
def requirements() -> list[Requirement]:
    """All requirements, in the order of their files.

    Raises:
        pydantic.ValidationError: an entry lacks a field, or has one too many.
    """
    return [entry for path in sorted((HERE / "requirements").glob("*.yaml")) for entry in _of(path)]


def _of(path: Path) -> list[Requirement]:
    entries = [{**entry, "area": path.stem} for entry in _read(path)]
    return TypeAdapter(list[Requirement]).validate_python(entries)


@cache
def regulations() -> list[Regulation]:
    """All regulations with their points.

    Raises:
        pydantic.ValidationError: an entry lacks a field, or has one too many.
    """
    return TypeAdapter(list[Regulation]).validate_python(_read(HERE / "regulations.yaml"))


def _read(path: Path) -> Any:
    return yaml.load(path.read_text(encoding="utf-8"), yaml.CSafeLoader)


@cache
def protocol_rules() -> list[str]:
    """The path of each rule in the protocol file, as `visits.INF2`, `reminders.treatment.T-7d` or `dose`."""
    return [
        path for name, value in _read(PROTOCOL).items() if name not in _NAMES for path in _rules(name, value)
    ]


def _rules(path: str, value: Any) -> Iterator[str]:
    """A rule has a source, or is a mere value; one with a list of rules inside is read part by part."""
    if _holds_rules(value):
        yield from (f"{path}.{_called(entry)}" for entry in value)
    elif isinstance(value, dict) and ("source" not in value or any(map(_holds_rules, value.values()))):
        for name, inner in value.items():
            if name != "source":
                yield from _rules(f"{path}.{name}", inner)
    else:
        yield path


def _holds_rules(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(entry, dict) for entry in value)


def _called(entry: dict[str, Any]) -> str:
    return str(entry.get("code") or entry.get("step") or entry.get("criterion"))
