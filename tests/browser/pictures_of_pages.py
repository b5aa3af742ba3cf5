"""Takes the pictures of the pages in docs/ from a study of thirty subjects: part of `make screenshots`."""

import sys
import tempfile
from datetime import timedelta
from http import HTTPStatus
from pathlib import Path

from deployments.bootstrap.clock import Clock
from tasks.database.queries import subject_in
from tasks.delivery.links import Appointment, Matter
from tests.browser.office import state_absence, state_rota
from tests.browser.phone import Phone, phone
from tests.browser.screenshots import DOCS, shrink
from tests.deployments.api.web.test_forms import eligible
from tests.support.api import Door, event, served
from tests.support.gallery import gallery
from tests.support.participants import reminding_file
from tests.support.people import with_password, with_tokens

FLAGGED, NEW = "ITP-019", "ITP-030"


def main() -> None:
    """Fill the study, serve it, and save what a phone sees."""
    with tempfile.TemporaryDirectory(prefix="itp-pictures-") as directory:
        data = Path(directory) / "study"
        data.mkdir()
        found = gallery(data, Clock().now())
        found.fill()
        found.store.close()
        protocol = reminding_file(Path(directory) / "protocol.yaml")
        with served(data, protocol=protocol) as door, phone(str(door.client.base_url)) as held:
            _coordinator(door, held)
            _participant(door, held)
            _investigator(door, held)
            _administrator(door, held)
            _monitor(door, held)


def _coordinator(door: Door, held: Phone) -> None:
    held.sign_in("crc.li", _token(door, "recorder"))
    held.open("/today")
    _save(held, "pages-today")
    notice = door.api.links.open(Matter(NEW, "INF2", "T-7d"), door.now + timedelta(days=1))
    held.open(notice.removeprefix(door.api.links.base))
    _save(held, "pages-notice")
    held.open("/enrol")
    held.write(**eligible("ITP-101", f"{door.now.date()}", screening__bilirubin_x_uln="9"))
    held.send("/enrol")
    _save(held, "pages-enrol")
    held.open(f"/s/{NEW}/book?visit=INF2")
    held.send(f"/s/{NEW}/book")
    _save(held, "pages-subject")
    held.open("/today")
    held.tap('form[action="/sign-out"] button')


def _participant(door: Door, held: Phone) -> None:
    with door.study.store.reading() as connection:
        row = subject_in(connection, NEW)
    assert row is not None
    at, day = door.now, door.study.protocol.site(row.site).date_of(door.now) + timedelta(days=7)
    agreed = event("contact.agreed", NEW, at, {"agreed": True, "on": f"{at.date()}"})
    booked = event("visit.booked", NEW, at, {"visit": "INF2", "on": f"{day}"})
    answer = door.post([agreed, booked], headers=door.token("recorder"))
    assert answer.status_code == HTTPStatus.CREATED, answer.text
    held.open(door.api.links.answer(Appointment(NEW, "INF2", day, "zh-CN")).removeprefix(door.api.links.base))
    _save(held, "pages-participant")


def _investigator(door: Door, held: Phone) -> None:
    token = _token(door, "investigator")
    held.theme("dark")
    held.sign_in("inv.wu", token)
    held.open(f"/s/{FLAGGED}/decide")
    _save(held, "pages-decide")


def _administrator(door: Door, held: Phone) -> None:
    people = with_tokens(door, [("adm.qian", "admin"), ("crc.li", "recorder"), ("crc.wang", "recorder")])
    _sign_out(held)
    held.theme("light")
    held.sign_in("adm.qian", people["adm.qian"].token)
    held.open("/duty")
    state_rota(held, "crc.li", f"{door.study.protocol.site('01').date_of(door.now)}")
    state_absence(held, "crc.li", "crc.wang")
    _save(held, "pages-duty")


def _monitor(door: Door, held: Phone) -> None:
    with_password(door, "mon.sun", "monitor", "a sentence for monitoring")
    _sign_out(held)
    held.sign_in("mon.sun", "a sentence for monitoring")
    held.open("/review?since=")
    _save(held, "pages-review")


def _sign_out(held: Phone) -> None:
    held.open("/duty")
    held.tap('form[action="/sign-out"] button')


def _token(door: Door, role: str) -> str:
    return door.token(role)["Authorization"].removeprefix("Bearer ")  # type: ignore[arg-type]


def _save(held: Phone, name: str) -> None:
    path = DOCS / f"{name}.png"
    held.picture(str(path))
    shrink(path, part=1)
    sys.stdout.write(f"{path.name}: {path.stat().st_size // 1024} KB\n")


if __name__ == "__main__":
    main()
