"""A behaviour file is checked on load, and a wrong one is refused with the field named."""

from pathlib import Path
from random import Random

import pytest

from deployments.simulation.people.behaviour_file import NAMES, SCENARIOS, load_behaviour
from deployments.simulation.people.draws import Draws, Spread
from itp_events.errors import BadInput

pytestmark = pytest.mark.requirement("SIM-01")


@pytest.mark.parametrize("name", NAMES)
def test_each_named_scenario_loads_and_bears_its_name(name: str) -> None:
    assert load_behaviour(name).name == name


def test_every_scenario_file_can_be_named() -> None:
    assert {file.stem for file in SCENARIOS.glob("*.yaml")} == set(NAMES)


def test_an_unknown_scenario_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(BadInput, match="perfect, typical, holiday-season, unreliable, outage"):
        load_behaviour("chaos")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("like: typical\n\nbooking: {probability: 1.5}", "behaviour.yaml:3: booking.probability: must be"),
        ("like: typical\nbooking: {probability: yes}", "booking.probability: must be a number"),
        ("like: typical\nbooking: {no_show: 0, no_show: 1}", "'no_show' is given twice"),
        ("like: typical\nbooking: {days_ahead: -3}", "days_ahead: must not be negative"),
        ("like: typical\nbooking: {days_ahead: {between: [9, 3]}}", "the lower end comes first"),
        ("like: typical\ndata_entry: {hours: .inf}", "hours: must be a finite number"),
        ("like: typical\ndata_entry: {hours: 1.0e+12}", "hours: must be less than"),
        ("like: typical\nadverse_events: {grade: {1: 0}}", "grade: at least one weight"),
        ("like: typical\nanswers: {decide: {choice: {}}}", "choice: at least one weight"),
        ("like: typical\nper_month: {death: 1.0e+9}", "per_month.death: must be less"),
        ("like: typical\nstart: 9999-12-30", "start: must be less"),
        ("like: typical\nstart: soon", "start: must be a date"),
        ("like: typical\nname: ''", "name: must not be empty"),
        ("like: typical\nvisits: {screening: {}}", "visits.screening: unknown field"),
        ("like: typical\nbookings: {}", "bookings: unknown field"),
        ("like: typical\ndelivery_hours: {between: [1, 2], always: 3}", "delivery_hours: give one of"),
        ("like: typical\nadverse_events: {grade: {9: 1}}", "grade.9"),
        ("like: nobody", "'nobody' is no scenario"),
        ("name: half", "this field is required"),
        ("[1, 2]", "must be a mapping"),
        ("a: [", "is not YAML"),
    ],
)
def test_a_wrong_file_is_refused_in_one_line_that_names_the_field(
    tmp_path: Path, text: str, said: str
) -> None:
    file = tmp_path / "behaviour.yaml"
    file.write_text(text)
    with pytest.raises(BadInput, match=said) as error:
        load_behaviour(file)
    assert "\n" not in str(error.value)


def test_a_file_states_only_what_differs_from_the_scenario_it_begins_from(tmp_path: Path) -> None:
    file = tmp_path / "behaviour.yaml"
    file.write_text("like: typical\nname: ours\nbooking: {probability: 0.1}\n")
    ours, typical = load_behaviour(file), load_behaviour("typical")
    assert ours.booking.probability == 0.1
    assert ours.booking.days_ahead == typical.booking.days_ahead
    assert ours.per_month == typical.per_month


def test_a_spread_replaces_the_one_before_it_whole(tmp_path: Path) -> None:
    file = tmp_path / "behaviour.yaml"
    file.write_text("like: typical\nbooking: {days_ahead: {normal: [5, 1]}}\n")
    assert load_behaviour(file).booking.days_ahead == Spread(normal=(5, 1))


@pytest.mark.parametrize(
    ("spread", "low", "high"),
    [
        (Spread(always=3), 3, 3),
        (Spread(between=(2, 4)), 2, 4),
        (Spread(weighted={1: 1, 7: 2}), 1, 7),
        (Spread(exponential=2), 0, 100),
        (Spread(normal=(5, 0)), 5, 5),
    ],
)
def test_a_spread_draws_what_it_says(spread: Spread, low: float, high: float) -> None:
    chance = Random(1)
    assert all(low <= spread.draw(chance) <= high for _ in range(200))


def test_one_purpose_draws_the_same_whatever_else_was_drawn() -> None:
    first, second = Draws(1, "SIM-0001"), Draws(1, "SIM-0001")
    first.of("INF1", "lateness").random()
    assert first.of("INF2", "lateness").random() == second.of("INF2", "lateness").random()
    assert first.of("INF2", "lateness").random() != Draws(2, "SIM-0001").of("INF2", "lateness").random()
