"""The session cookie: only one that was made here, is whole and has not ended is believed."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.api.web import session
from tests.tasks.desk import ENROLLED_AT

pytestmark = pytest.mark.requirement("WHO-02")

KEY = b"k" * 32
BEGUN = session.begin("crc.one", None, ENROLLED_AT)
COOKIE = session.seal(BEGUN, KEY)


def test_a_session_lasts_half_an_hour_without_a_page() -> None:
    assert session.unseal(COOKIE, KEY, ENROLLED_AT + timedelta(minutes=29)) == BEGUN
    assert session.unseal(COOKIE, KEY, ENROLLED_AT + timedelta(minutes=31)) is None
    assert session.unseal(COOKIE, b"another key", ENROLLED_AT) is None


@given(st.text())
def test_a_cookie_says_what_was_sealed_here_or_nothing(text: str) -> None:
    body, _, signature = COOKIE.partition(".")
    assert session.unseal(text, KEY, ENROLLED_AT) is None
    # Base64 may be written in several ways; what it says is what is signed.
    for value in (f"{body}.{text}", f"{text}.{signature}", f"{body}{text}.{signature}"):
        assert session.unseal(value, KEY, ENROLLED_AT) in (None, BEGUN)
