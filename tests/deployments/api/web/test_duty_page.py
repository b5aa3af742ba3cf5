"""The page of duty: an administrator states rotas and absences; everybody sees who answers, and the gaps."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from tasks.accounts.account import Role
from tasks.database import duty
from tests.support.api import Door, served
from tests.support.pages import Person, said
from tests.support.people import with_tokens

pytestmark = pytest.mark.requirement("DTY-01")

PEOPLE: tuple[tuple[str, Role], ...] = (
    ("adm.qian", "admin"),
    ("crc.li", "recorder"),
    ("crc.wang", "recorder"),
)


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    with served(Path(tmp_path_factory.mktemp("duty")) / "data") as door:
        yield door


@pytest.fixture(scope="module")
def signed_in(door: Door) -> dict[str, Person]:
    """The study's people, each with a token of their own account."""
    return with_tokens(door, PEOPLE)


def test_an_absence_with_a_deputy_is_stated_once_and_taken_back(
    door: Door, signed_in: dict[str, Person]
) -> None:
    admin, today = signed_in["adm.qian"], door.study.protocol.site("01").date_of(door.now)
    rota = {f"day.{number}": "yes" for number in range(1, 8)} | {"person.crc.li": "yes"}
    first = {"audience": "coordinator", "site": "01", "first": f"{today}"}
    admin.open("/duty")
    page = admin.answered(admin.client.post("/duty/rota", data=admin.last | rota | first))
    assert "Recorded" in page
    away = {"person": "crc.li", "deputy": "crc.wang", "first": f"{today}", "last": f"{today}"}
    assert "crc.wang for crc.li" in admin.answered(admin.again("/duty/absent", **away))
    again = admin.answered(admin.again("/duty/absent", **away))
    assert "nothing has changed" in again
    stated = duty.changes(door.study.store)
    assert [each.change.what for each in stated] == ["rota", "absent"]
    assert {(each.actor, each.door) for each in stated} == {("adm.qian", "page")}
    page = said(admin.again("/duty/back", person="crc.wang", on=f"{today}"))
    assert "crc.wang is not away on this day" in page
    page = admin.answered(admin.again("/duty/void", change=str(stated[-1].id), reason="the wrong week"))
    assert "crc.wang for crc.li" not in page


def test_a_refusal_names_the_field_and_keeps_what_was_entered(
    door: Door, signed_in: dict[str, Person]
) -> None:
    admin, today = signed_in["adm.qian"], door.now.date()
    before = len(duty.changes(door.study.store))
    answer = admin.send("/duty/absent", "/duty", person="crc.li")
    assert answer.status_code == 422
    assert "First day: is needed" in said(answer)
    answer = admin.again("/duty/absent", person="crc.li", first="5 January")
    assert "First day: must be a date" in said(answer)
    assert 'value="5 January"' in answer.text
    earlier = f"{today - timedelta(days=3)}"
    answer = admin.again("/duty/absent", person="crc.li", first=f"{today}", last=earlier)
    assert "before the first one" in said(answer)
    assert f'value="{earlier}"' in answer.text
    answer = admin.again("/duty/absent", person="crc.li", first=f"{today}", deputy="crc.li")
    assert "cannot be their own deputy" in said(answer)
    assert len(duty.changes(door.study.store)) == before


def test_others_see_the_duty_and_change_nothing(door: Door, signed_in: dict[str, Person]) -> None:
    page = signed_in["crc.li"].open("/duty")
    assert "An administrator changes this" in page
    assert signed_in["crc.li"].again("/duty/back", person="crc.li", on="2026-01-05").status_code == 403
    assert signed_in["adm.qian"].client.get("/").headers["location"] == "/duty"
    assert signed_in["adm.qian"].client.get("/today").status_code == 403
