"""Prefect 3.9 has two interfaces, between which everybody chooses: the forms work in both."""

from datetime import UTC, date, datetime

import pytest
from prefect.utilities.callables import parameter_schema
from selenium.webdriver import Chrome

from flows.forms import FORMS
from tests.browser.forms import V1, V2, asked, fill_in_contact, open_form, sent
from tests.support.service import Service
from tests.support.waiting import wait_until

pytestmark = pytest.mark.requirement("RUN-10")

BOTH = pytest.mark.parametrize("ui", [V1, V2], ids=["V1", "V2"])
ZONES = ("Asia/Shanghai", "America/Los_Angeles")
FIELDS = {form.name: set(parameter_schema(form).properties) for form in FORMS}


@BOTH
@pytest.mark.parametrize("form", FIELDS)
def test_a_form_asks_for_each_of_its_fields(running: Service, browser: Chrome, form: str, ui: str) -> None:
    open_form(browser, running, form, ui)
    wait_until(lambda: FIELDS[form] <= asked(browser, ui), f"the fields of {form}", every=0.5)


@BOTH
@pytest.mark.parametrize("zone", ZONES)
def test_a_form_states_the_day_that_was_picked_wherever_the_browser_is(
    running: Service, browser: Chrome, ui: str, zone: str
) -> None:
    browser.execute_cdp_cmd("Emulation.setTimezoneOverride", {"timezoneId": zone})
    # In every zone the calendar shows the month of this day.
    day = datetime.now(UTC).date().replace(day=15)  # noqa: TID251 - the browser shows the machine's month
    code = f"ITP-{ZONES.index(zone) + 1}{1 if ui == V1 else 2}0"
    open_form(browser, running, "contact-attempt", ui)
    fill_in_contact(browser, ui, code, day)
    values = wait_until(lambda: sent(running, "contact-attempt", code), "the form to be sent", every=0.5)
    assert values == {"subject": code, "by": "crc-01", "on": f"{day}", "reached": True}
    assert date.fromisoformat(values["on"]) == day
