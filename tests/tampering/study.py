"""The study that is tampered with: some months of several subjects, with messages that went out, sealed."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path

from itp_events.duty.changes import Rota
from tasks.accounts import changing, passwords, sessions, tokens
from tasks.accounts.account import Account, Role
from tasks.accounts.changing import By
from tasks.accounts.passwords import use_step
from tasks.archive.protocols import installed_protocols
from tasks.board import keeping as board
from tasks.board.reading import Shown
from tasks.board.story import story
from tasks.database import custody, dead_letters, duty, service_log
from tasks.database.event_log import Origin as EventOrigin
from tasks.database.event_log import history
from tasks.database.protocol_files import note_files
from tasks.database.queries import all_subjects
from tasks.database.redcap import Origin, remember_origin
from tasks.database.repairs import note_repair
from tasks.database.store import Store
from tasks.integrity.keeping import keep
from tasks.integrity.sealing import seal
from tasks.integrity.stamps import Authority, stamp_newest, trusted_roots
from tasks.integrity.verify import verify
from tasks.signatures.signing import Signer, sign
from tests.support.postgres import fresh_database, postgres_server
from tests.support.receiver import Receiver
from tests.support.stamping import stamping_authority
from tests.support.study import Study
from tests.tasks.desk import Desk

AT = datetime(2026, 6, 1, 1, tzinfo=UTC)
_AUDIENCES = ("coordinator", "investigator", "sponsor", "cell-lab", "ops")


@dataclass(frozen=True)
class SealedStudy:
    """The study, with the number of findings before anything was done to it."""

    store: Store
    untouched: int
    rows: int
    subjects: int


@contextmanager
def sealed_study(kind: str, folder: Path, subjects: int = 5) -> Iterator[SealedStudy]:
    """A study that lived in a database of a kind, `sqlite` or `pg`, at rest."""
    with ExitStack() as stack:
        if kind == "sqlite":
            url = f"sqlite:///{folder / 'study.db'}"
        else:
            database = stack.enter_context(fresh_database(stack.enter_context(postgres_server())))
            url = database.render_as_string(hide_password=False)
        receiver = stack.enter_context(Receiver())
        desk = lived_study(url, folder, receiver, subjects)
        stack.callback(desk.store.close)
        report = verify(desk.store)
        yield SealedStudy(desk.store, len(report.findings), report.rows, report.subjects)


def lived_study(url: str, folder: Path, receiver: Receiver, subjects: int) -> Desk:
    """A study of some months, registered and sealed several times."""
    desk = Desk.open(url)
    desk.configure(folder / "apprise.txt", *(f"{name}={receiver.apprise_url(name)}" for name in _AUDIENCES))
    note_files(desk.store, installed_protocols(None), AT)
    with desk.store.writing() as connection:
        custody.note_restored(connection, "0123456789abcdef", "kept.zip", AT)
    _people(desk.store)
    for number in range(1, subjects + 1):
        _live(desk, receiver, number)
        keep(desk.store, AT + timedelta(hours=number))
        seal(desk.store, AT + timedelta(hours=number))
    dead_letters.keep(desk.store, "redcap", "form", [("no such field", {"a": 1})], AT)
    dead_letters.keep(desk.store, "redcap", "form", [], AT)
    _office(desk)
    keep(desk.store, AT + timedelta(days=1))
    seal(desk.store, AT + timedelta(days=1))
    # The tail that no seal binds yet.
    late = Study(code="ITP-001")
    late.last_id = 9000
    desk.take(late.event("itp.visit.unscheduled", "2026-05-30", reason="bruises"))
    keep(desk.store, AT + timedelta(days=2))
    if shutil.which("openssl"):
        _stamp(desk.store, folder / "authority")
    return desk


def _stamp(store: Store, folder: Path) -> None:
    """Have the two newest seals time-stamped."""
    with stamping_authority(folder) as here:
        authority = Authority(here.url, trusted_roots(here.roots))
        for hours in (1, 2):
            at = AT + timedelta(days=2, hours=hours)
            assert stamp_newest(store, authority, at) is not None
            note_repair(store, f"stamped {hours}", at)
            keep(store, at)
            seal(store, at)
    keep(store, AT + timedelta(days=3))


def _office(desk: Desk) -> None:
    """Rotas, refused events, an export, repairs, signatures, and the subjects' cards."""
    for first in (4, 11):
        rota = Rota(audience="coordinator", days=(1, 2), people=("crc.li",), first=date(2026, 5, first))
        duty.state(desk.store, rota, AT, actor="os:root", door="cli")
    late = Study(code="ITP-001")
    late.last_id = 8000
    for visit in ("INF1", "INF2"):
        assert desk.take(late.event("itp.visit.completed", "2026-05-30", visit=visit))[0].status == "refused"
    signer = Signer("pi.wang", "Name of pi.wang")
    with desk.store.writing() as connection:
        service_log.note(connection, "exported", "2026-05", EventOrigin("os:root", "cli"), AT, {"rows": 7})
        log = [each for each in history(connection, "ITP-001") if not each.own]
        sign(signer, connection, log[:2], AT)
    note_repair(desk.store, "the flow run was missing, and was made anew", AT, "ITP-001")
    for account in ("pi.wang", "crc.li"):
        desk.store.write(partial(use_step, account=Account(account, "", "recorder"), step=58_000_000, at=AT))
    for row in all_subjects(desk.store):
        board.keep(desk.store, story(desk.store, desk.protocol, row.code, AT), Shown(), AT)


def _people(store: Store) -> None:
    """Accounts with secrets, tokens and sessions, each of them changed at least once."""
    roles: dict[str, Role] = {"crc.li": "recorder", "pi.wang": "investigator", "cra.chen": "monitor"}
    by = By("os:root", "cli", AT)
    for code, role in roles.items():
        account = Account(code, f"Name of {code}", role, ("01",), "zh-CN")
        with store.writing() as connection:
            changing.add(connection, account, by)
            passwords.set_password(connection, account, passwords.hashed("correct horse battery"), by)
            for note in ("laptop", "EDC"):
                tokens.add(connection, account, tokens.digest(f"{code} {note}"), note, by, expires_at=AT)
        sessions.open_session(store, account, "10.0.0.7", AT, "signed-in")
        cookie = sessions.open_session(store, account, "10.0.0.7", AT, "signed-in")
        sessions.end(store, tokens.digest(cookie), account, "10.0.0.7", AT + timedelta(minutes=5))
    with store.writing() as connection:
        passwords.set_up_totp(connection, Account("pi.wang", "", "investigator"), "JBSWY3DPEHPK3PXP", by)
        changing.change(connection, "cra.chen", by, active=False)
        tokens.revoke(connection, tokens.digest("crc.li EDC"), by)


def _live(desk: Desk, receiver: Receiver, number: int) -> None:
    study = Study(code=f"ITP-{number:03}")
    study.last_id = 100 * number
    chance = random.Random(number)
    desk.take(study.enrol("2026-01-05", first_infusion_on="2026-01-06"))
    desk.take(study.done("INF1", "2026-01-06", platelets=chance.randint(5, 90), weight_kg=61.5))
    if number % 2:
        desk.take(study.done("INF2", "2026-01-13", platelets=chance.randint(5, 90)))
    refused = Study(code=f"ITP-9{number:02}")
    refused.last_id = 5000 + number
    desk.take(refused.enrolment("2026-01-06", screening={"age_years": 3}, at="2026-01-06"))
    remember_origin(desk.store, ("redcap", f"r#{number}"), Origin(str(number), "42/e/visit/1"))
    for day in (12, 20, 40, 80):
        now = datetime(2026, 1, 1, 3, tzinfo=UTC) + timedelta(days=day)
        if day == 40:
            receiver.fail()
        desk.wake(study.code, now)
        desk.hand_over(now, study.code)
        receiver.succeed()
