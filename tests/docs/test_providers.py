"""The page of providers shows the table that the service goes by."""

import pytest

from tests.support.providers_page import PAGE, page

pytestmark = pytest.mark.requirement("DLV-05")


def test_the_page_of_providers_is_written_from_the_table() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m tests.support.providers_page"
