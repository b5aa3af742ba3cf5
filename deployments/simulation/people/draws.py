"""Chance, one stream per subject and purpose, so that one draw never moves another."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

# Hours or days: so many that no study is cut short, and so few that every date stays in the calendar.
_MOST = 10_000
Share = Annotated[float, Field(strict=True, ge=0, le=1)]
Number = Annotated[float, Field(strict=True, ge=-_MOST, le=_MOST, allow_inf_nan=False)]
Weight = Annotated[float, Field(strict=True, ge=0, le=1e9)]
_Whole = Annotated[int, Field(ge=-_MOST, le=_MOST)]
Weights = TypeVar("Weights", bound=Mapping[Any, float])


def some_weight(weights: Weights) -> Weights:
    """The weights, of which one must be more than 0."""
    if not sum(weights.values()) > 0:
        raise ValueError("at least one weight must be more than 0")
    return weights


class Spread(BaseModel):
    """The spread of an amount, given in exactly one way. A bare number stands for itself, always."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    always: Number | None = None
    between: tuple[Number, Number] | None = None
    normal: tuple[Number, Annotated[Number, Field(ge=0)]] | None = None
    exponential: Annotated[Number, Field(gt=0)] | None = None
    weighted: Annotated[Mapping[_Whole, Weight], AfterValidator(some_weight)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _bare_number(cls, value: object) -> object:
        bare = isinstance(value, int | float) and not isinstance(value, bool)
        return {"always": value} if bare else value

    @model_validator(mode="after")
    def _one_way(self) -> Spread:
        if len(self.model_fields_set) != 1:
            raise ValueError("give one of always, between, normal, exponential, weighted")
        if self.between and self.between[0] > self.between[1]:
            raise ValueError("between: the lower end comes first")
        return self

    @property
    def least(self) -> float:
        """The least amount that it names; what a normal spread draws may lie below its mean."""
        named = (self.always, *(self.between or ()), *(self.normal or ())[:1], *(self.weighted or ()))
        return min((each for each in named if each is not None), default=0.0)

    def draw(self, chance: Random) -> float:
        """One amount, in the unit of the behaviour file's field."""
        if self.always is not None:
            return self.always
        if self.between is not None:
            return chance.uniform(*self.between)
        if self.normal is not None:
            return chance.gauss(*self.normal)
        if self.exponential is not None:
            return chance.expovariate(1 / self.exponential)
        return float(pick(self.weighted or {0: 1.0}, chance))


def _not_negative(spread: Spread) -> Spread:
    if spread.least < 0:
        raise ValueError(f"must not be negative, as {spread.least:g} is")
    return spread


Amount = Annotated[Spread, AfterValidator(_not_negative)]
Name = TypeVar("Name", bound=str | int)


def pick(weights: Mapping[Name, float], chance: Random) -> Name:
    """One of the outcomes, as often as its weight says."""
    return chance.choices(list(weights), list(weights.values()))[0]


class Draws:
    """The streams of one subject. The same seed, subject and purpose give the same draws in every run."""

    def __init__(self, seed: int, code: str) -> None:
        self._root = f"{seed}|{code}"

    def of(self, *purpose: object) -> Random:
        """The stream for a purpose, from its beginning."""
        return Random("|".join([self._root, *map(str, purpose)]))

    def happens(self, share: float, *purpose: object) -> bool:
        """Whether something that happens with probability `share` does."""
        return share > 0 and self.of(*purpose).random() < share
