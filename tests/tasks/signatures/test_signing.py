"""A signature is made with its event or later, says what it means, and breaks with what was signed."""

from datetime import timedelta
from functools import partial

import pytest
import sqlalchemy as sa

from itp_events.errors import Refused
from itp_events.events import Event
from tasks.advance import record
from tasks.database.queries import log_lines
from tasks.database.schema import accounts, events, signatures
from tasks.senders import Anybody
from tasks.signatures import signing
from tasks.signatures.meaning import meaning
from tasks.signatures.signing import Signature, Signer
from tests.support.study import Study
from tests.tasks.desk import ENROLLED_AT, Desk

pytestmark = pytest.mark.requirement("WHO-10")

WANG = Signer("inv.wang", "Investigator One")
LATER = ENROLLED_AT + timedelta(days=3)


@pytest.fixture(autouse=True)
def _investigators(desk: Desk) -> None:
    named = (("inv.wang", "Investigator One"), ("inv.zhao", "Investigator Two"))
    rest = {"role": "investigator", "language": "en", "speaks_for_others": False, "active": True}
    with desk.store.writing() as connection:
        rows = [{"code": code, "name": name, "created_at": ENROLLED_AT, **rest} for code, name in named]
        connection.execute(accounts.insert(), rows)


@pytest.fixture
def decision(desk: Desk, study: Study) -> Event:
    """A decision about a subject of whom the study has a serious, related event; it is not recorded yet."""
    desk.take(study.enrol())
    desk.take(study.adverse_event("2026-01-06", serious=True, related=True))
    return study.decided("continue", "2026-01-07", criterion="adverse-event")


def _sign(desk: Desk, event: Event, signer: Signer = WANG) -> None:
    with desk.store.writing() as connection:
        signing.sign(signer, connection, [event], LATER)


def _signatures(desk: Desk) -> list[Signature]:
    log = [line.event for line in log_lines(desk.store, "ITP-001")]
    return signing.signatures_of(desk.store, "ITP-001", log)


def test_a_decision_is_signed_in_the_transaction_that_records_it(desk: Desk, decision: Event) -> None:
    sender = Anybody(signing=partial(signing.sign, WANG))
    [answer] = record(desk.store, desk.protocol, [decision], LATER, sender=sender)
    assert answer.status == "recorded"
    [signature] = _signatures(desk)
    assert (signature.account, signature.name, signature.at) == ("inv.wang", "Investigator One", LATER)
    assert signature.key == decision.key
    assert "decide: treatment and follow-up go on (criterion: adverse-event)" in signature.meaning
    assert signature.broken is None


def test_a_refused_event_is_not_signed(desk: Desk, decision: Event) -> None:
    signed: list[object] = []

    def sign(connection: sa.Connection, stated: object, now: object) -> None:
        signed.append(stated)

    other = Study(code="ITP-002")
    answers = record(
        desk.store,
        desk.protocol,
        [other.event("itp.subject.died", "2026-01-07")],
        LATER,
        sender=Anybody(signing=sign),
    )
    assert answers[0].status == "refused"
    assert signed == []


def test_an_event_is_signed_later_by_several_people_and_once_by_each(desk: Desk, decision: Event) -> None:
    desk.take(decision)
    _sign(desk, decision)
    _sign(desk, decision, Signer("inv.zhao", "Investigator Two", "zh-CN"))
    with pytest.raises(Refused, match=r"inv\.wang has signed"):
        _sign(desk, decision)
    assert {each.account: each.meaning for each in _signatures(desk)} == {
        "inv.wang": meaning(decision, "en"),
        "inv.zhao": "我已审阅受试者 ITP-001 的现有资料，决定：治疗及随访继续（标准：adverse-event）。",
    }


def test_nothing_is_signed_that_is_not_recorded(desk: Desk, decision: Event) -> None:
    with pytest.raises(Refused, match="record it first"):
        _sign(desk, decision)


def test_a_signature_on_what_was_taken_back_since_is_broken(
    desk: Desk, study: Study, decision: Event
) -> None:
    desk.take(decision)
    _sign(desk, decision)
    desk.take(study.voided(decision, "2026-01-09"))
    [signature] = _signatures(desk)
    assert signature.broken == "the event was taken back after it was signed"


def test_a_signature_on_what_takes_another_entry_back_holds(
    desk: Desk, study: Study, decision: Event
) -> None:
    void = study.voided(decision, "2026-01-09")
    desk.take(decision, void)
    _sign(desk, void)
    [signature] = _signatures(desk)
    assert signature.broken is None


@pytest.mark.parametrize("column", ["body", "actor", "door", "time", "type"])
def test_a_signature_on_a_line_that_somebody_changed_is_broken(
    desk: Desk, decision: Event, column: str
) -> None:
    desk.take(decision)
    _sign(desk, decision)
    changed = {"body": decision_saying(desk, "other words"), "time": ENROLLED_AT}.get(column, "changed")
    _tamper(desk, events.update().where(events.c.id == decision.id).values({column: changed}))
    [signature] = _signatures(desk)
    assert signature.broken == "the event was changed after it was signed"


def decision_saying(desk: Desk, reason: str) -> str:
    """The line of the decision as it stands, with another reason."""
    with desk.store.reading() as connection:
        query = sa.select(events.c.body).where(events.c.type == "itp.withdrawal.decided")
        body: str = connection.execute(query).scalar_one()
    return body.replace("judged by the investigator", reason)


def test_a_signature_carried_over_to_another_event_is_broken(
    desk: Desk, study: Study, decision: Event
) -> None:
    desk.take(decision)
    other = study.contact("2026-01-07", reached=True)
    desk.take(other)
    _sign(desk, decision)
    _tamper(desk, signatures.update().values(source=other.source, id=other.id), "signatures")
    [signature] = _signatures(desk)
    assert signature.broken == "the event was changed after it was signed"


def test_a_review_is_signed_with_its_content_and_breaks_with_it(desk: Desk) -> None:
    content = {"until": "2026-01-08T03:00:00Z", "found": 12, "by": "mon.sun"}
    with desk.store.writing() as connection:
        signing.sign_review(connection, "2026-01", content, WANG, LATER)
    with desk.store.reading() as connection:
        [review] = signing.reviews_in(connection)
    assert (review.statement, review.broken) == (content, None)
    assert "up to 2026-01-08T03:00:00Z" in review.meaning

    _tamper(desk, signatures.update().values(statement={**content, "found": 0}), "signatures")
    with desk.store.reading() as connection:
        [review] = signing.reviews_in(connection)
    assert review.broken == "the review was changed after it was signed"


def _tamper(desk: Desk, statement: sa.Update, table: str = "events") -> None:
    """Change what triggers protect, as somebody with the database in their hands can."""
    with desk.store.writing() as connection:
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql(f"ALTER TABLE {table} DISABLE TRIGGER ALL")
        else:
            query = sa.text("SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = :table")
            for name in connection.scalars(query, {"table": table}).all():
                connection.exec_driver_sql(f'DROP TRIGGER "{name}"')
        connection.execute(statement)
