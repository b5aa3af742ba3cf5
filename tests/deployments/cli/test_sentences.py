"""Events in words: every type that people may state has a sentence."""

import pytest

from deployments.api.http.examples import EXAMPLES
from deployments.cli.output.sentences import stated
from itp_events.events import parse_event

pytestmark = pytest.mark.requirement("API-02")


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example["type"])
def test_every_type_of_event_has_a_sentence(example: dict[str, object]) -> None:
    sentence = stated(parse_event(example))
    assert sentence
    assert "None" not in sentence
