"""Who is away and who is planned, day by day, kept by hand: nothing here is shared with the roster."""

from dataclasses import dataclass, field


@dataclass
class Book:
    """One site's coordinators, by numbers of days; the last entry for a day holds."""

    planned: dict[int, tuple[str, ...]] = field(default_factory=dict)
    away: dict[tuple[str, int], str | None] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)

    def is_away(self, person: str, day: int) -> bool:
        """Whether a person is not there on a day."""
        return person in self.gone or (person, day) in self.away

    def answering(self, day: int) -> set[str]:
        """Everybody who is planned, or answers for somebody who is planned and away."""
        return {who for each in self.planned.get(day, ()) if (who := self._for(each, day))}

    def _for(self, person: str, day: int) -> str | None:
        asked: list[str] = []
        while self.is_away(person, day):
            asked.append(person)
            deputy = (
                None if person in self.gone and (person, day) not in self.away else self.away[person, day]
            )
            if deputy is None or deputy in asked:
                return None
            person = deputy
        return person
