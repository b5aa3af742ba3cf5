"""Each event keeps the account that was signed in and the door by which it came in."""

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from flows.study.roles import Speaker
from tasks.advance import record
from tasks.database.event_log import NOT_KNOWN, Origin
from tasks.database.queries import log_lines
from tests.support.study import Study
from tests.tasks.desk import Desk

pytestmark = pytest.mark.requirement("WHO-01")

AT_THE_DOOR = Speaker(actor="crc.li", door="api")


def test_an_event_keeps_its_actor_and_its_door_and_the_service_s_own_have_no_actor(
    desk: Desk, study: Study
) -> None:
    enrolled = study.enrol()
    record(desk.store, desk.protocol, [enrolled], enrolled.time, sender=AT_THE_DOOR)
    lines = log_lines(desk.store, "ITP-001")
    assert len(lines) > 1
    assert {line.origin for line in lines if not line.event.own} == {Origin("crc.li", "api")}
    assert {line.origin for line in lines if line.event.own} == {Origin(None, "service")}


def test_of_an_event_that_a_program_states_without_a_door_nothing_is_known(desk: Desk, study: Study) -> None:
    desk.take(study.enrol())
    assert log_lines(desk.store, "ITP-001")[0].origin == NOT_KNOWN


@pytest.mark.parametrize("table", ["account_log", "sign_ins", "signatures"])
def test_nobody_changes_what_is_kept_of_accounts(desk: Desk, table: str) -> None:
    account = (
        "INSERT INTO accounts (code, name, role, language, speaks_for_others, active, created_at) "
        "VALUES ('crc.li', 'Li', 'recorder', 'en', {false}, {true}, '2026')"
    )
    rows = {
        "account_log": "(id, at, door, account, what, details) "
        "VALUES (1, '2026', 'cli', 'crc.li', 'added', '{}')",
        "sign_ins": "(id, at, account, address, outcome) VALUES (1, '2026', 'crc.li', 'here', 'signed-in')",
        "signatures": "(source, id, account, name, meaning, at, digest) "
        "VALUES ('a', 'b', 'crc.li', 'Li', 'I decide', '2026', 'd')",
    }
    is_sqlite = desk.store.engine.dialect.name == "sqlite"
    with desk.store.writing() as connection:
        truth = {"true": "1", "false": "0"} if is_sqlite else {"true": "true", "false": "false"}
        connection.execute(sa.text(account.format(**truth)))
        connection.exec_driver_sql(f"INSERT INTO {table} {rows[table]}")
    for change in (f"UPDATE {table} SET account = 'x'", f"DELETE FROM {table}"):
        with pytest.raises(DBAPIError, match="append-only"), desk.store.writing() as connection:
            connection.execute(sa.text(change))
