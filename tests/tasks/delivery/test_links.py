"""A link says what was signed or sealed here; every other text is refused, whatever its letters."""

from collections.abc import Callable
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from itp_events.errors import Refused
from tasks.delivery.links import Appointment, Links
from tests.tasks.desk import ENROLLED_AT

pytestmark = pytest.mark.requirement("SUB-02")

LINKS = Links("http://127.0.0.1", b"k" * 32)
APPOINTMENT = Appointment("ITP-007", "INF1", date(2026, 1, 9), "en")
ENDS = ENROLLED_AT + timedelta(days=7)
READERS: list[Callable[[str], object]] = [
    lambda text: LINKS.read_appointment(text, ENROLLED_AT),
    lambda text: LINKS.read(text, ENROLLED_AT),
    lambda text: LINKS.read_matter(text, ENROLLED_AT),
    LINKS.read_picture,
]


def test_an_appointment_is_read_back() -> None:
    sealed = LINKS.answer(APPOINTMENT).rpartition("/")[2]
    assert LINKS.read_appointment(sealed, ENROLLED_AT) == APPOINTMENT
    with pytest.raises(Refused):
        LINKS.read_appointment(f"A{sealed}", ENROLLED_AT)


@pytest.mark.parametrize("read", READERS)
@given(text=st.text(st.characters(exclude_categories=())))
def test_a_text_that_was_not_made_here_is_refused(read: Callable[[str], object], text: str) -> None:
    with pytest.raises(Refused):
        read(text)
