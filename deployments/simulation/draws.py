"""Chance, one stream per subject and purpose, so that one draw never moves another."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

Share = Annotated[float, Field(ge=0, le=1)]


class Spread(BaseModel):
    """How an amount is spread; exactly one way. A bare number means that it is always that number."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    always: float | None = None
    between: tuple[float, float] | None = None
    normal: tuple[float, float] | None = None
    exponential: Annotated[float, Field(gt=0)] | None = None
    weighted: Mapping[int, Annotated[float, Field(ge=0)]] | None = None

    @model_validator(mode="before")
    @classmethod
    def _bare_number(cls, value: object) -> object:
        bare = isinstance(value, int | float) and not isinstance(value, bool)
        return {"always": value} if bare else value

    @model_validator(mode="after")
    def _one_way(self) -> Spread:
        if len(self.model_fields_set) != 1:
            raise ValueError("give one of always, between, normal, exponential, weighted")
        if self.weighted is not None and not sum(self.weighted.values()) > 0:
            raise ValueError("weighted: at least one weight must be more than 0")
        return self

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
