"""Events in words: every type that people may state has a sentence."""

import pytest

from deployments.api.examples import EXAMPLES
from deployments.cli.told import bleeding, stated
from itp_events.events import parse_event


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example["type"])
def test_every_type_of_event_has_a_sentence(example: dict[str, object]) -> None:
    sentence = stated(parse_event(example))
    assert sentence
    assert "None" not in sentence


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (False, "no bleeding"),
        (0, "no bleeding"),
        (True, "bleeding"),
        (1, "bleeding of WHO grade 1"),
        (4, "bleeding of WHO grade 4"),
    ],
)
def test_bleeding_is_said_with_its_grade_where_that_is_known(found: bool | int, said: str) -> None:
    assert bleeding(found) == said
