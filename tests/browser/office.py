"""An administrator's hands on a phone: a rota and an absence on the page of duty."""

from __future__ import annotations

from tests.browser.phone import Phone

_ROTA = """
const form = document.querySelector('form[action="/duty/rota"]');
form.querySelector('[name=audience]').value = 'coordinator';
form.querySelector('[name=site]').value = '01';
form.querySelector('[name=first]').value = arguments[1];
for (const box of form.querySelectorAll('[name^="day."]')) box.checked = true;
form.querySelector(`[name="person.${arguments[0]}"]`).checked = true;
"""


def state_rota(held: Phone, person: str, first: str) -> None:
    """Put a person on duty as the coordinator of site 01 on every day, from a date on."""
    open_all(held)
    held.driver.execute_script(_ROTA, person, first)
    held.send("/duty/rota")


def state_absence(held: Phone, person: str, deputy: str) -> None:
    """Say that a person is away from today on, with a deputy."""
    open_all(held)
    form = 'form[action="/duty/absent"]'
    held.tap(f'{form} [name="person"] option[value="{person}"]')
    held.tap(f'{form} [name="deputy"] option[value="{deputy}"]')
    held.send("/duty/absent")


def open_all(held: Phone) -> None:
    """Unfold everything that is folded."""
    script = "for (const each of document.querySelectorAll('details')) each.open = true"
    held.driver.execute_script(script)
