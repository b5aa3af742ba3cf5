"""The event log, subjects, outbox and what the service keeps beside them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_INSTANT = sa.String(27)


def upgrade() -> None:
    _subjects()
    _events()
    _screening_log()
    _notices()
    _deliveries()
    _attempts()
    _outages()
    _repairs()
    _keep_for_ever("events", "seq = NEW.seq AND subject = NEW.subject OR source = NEW.source AND id = NEW.id")
    _keep_for_ever("screening_log", "source = NEW.source AND id = NEW.id")


def _subjects() -> None:
    op.create_table(
        "subjects",
        sa.Column("code", sa.Text, nullable=False),
        sa.Column("site", sa.Text, nullable=False),
        sa.Column("protocol_version", sa.Text, nullable=False),
        sa.Column("seq", sa.Integer, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("tags", sa.JSON, nullable=False),
        sa.Column("wake_at", _INSTANT),
        sa.Column("exited", sa.Boolean, nullable=False),
        sa.Column("flow_run_id", sa.Text),
        sa.Column("enrolled_at", _INSTANT, nullable=False),
        sa.Column("advanced_at", _INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("code", name="subjects_pk"),
    )
    op.create_index("subjects_wake_at_ix", "subjects", ["wake_at"])


def _events() -> None:
    op.create_table(
        "events",
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("seq", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("time", _INSTANT, nullable=False),
        sa.Column("recorded_at", _INSTANT, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("subject", "seq", name="events_pk"),
        sa.ForeignKeyConstraint(["subject"], ["subjects.code"], name="events_subject_fk"),
        sa.UniqueConstraint("source", "id", name="events_source_id_uq"),
    )


def _screening_log() -> None:
    op.create_table(
        "screening_log",
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("on", sa.Date, nullable=False),
        sa.Column("unmet", sa.JSON, nullable=False),
        sa.Column("recorded_at", _INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("source", "id", name="screening_log_pk"),
    )


def _notices() -> None:
    op.create_table(
        "notices",
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("subject", sa.Text),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("visit", sa.Text),
        sa.Column("step", sa.Text, nullable=False),
        sa.Column("audience", sa.Text, nullable=False),
        sa.Column("due", _INSTANT, nullable=False),
        sa.Column("until", _INSTANT),
        sa.Column("facts", sa.JSON, nullable=False),
        sa.Column("queued_at", _INSTANT, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("handed_at", _INSTANT),
        sa.Column("settled_at", _INSTANT),
        sa.Column("title", sa.Text),
        sa.Column("body", sa.Text),
        sa.PrimaryKeyConstraint("key", name="notices_pk"),
        sa.ForeignKeyConstraint(["subject"], ["subjects.code"], name="notices_subject_fk"),
        sa.CheckConstraint("status IN ('queued', 'delivered', 'withdrawn')", name="notices_status_ck"),
    )
    op.create_index("notices_subject_ix", "notices", ["subject"])
    op.create_index("notices_status_ix", "notices", ["status"])


def _deliveries() -> None:
    op.create_table(
        "deliveries",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("notice", sa.Text, nullable=False),
        sa.Column("recipient", sa.Text, nullable=False),
        sa.Column("label", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("repeated", sa.Boolean, nullable=False),
        sa.Column("next_at", _INSTANT),
        sa.Column("sent_at", _INSTANT),
        sa.PrimaryKeyConstraint("id", name="deliveries_pk"),
        sa.ForeignKeyConstraint(["notice"], ["notices.key"], name="deliveries_notice_fk"),
        sa.UniqueConstraint("notice", "recipient", name="deliveries_notice_recipient_uq"),
        sa.CheckConstraint("status IN ('pending', 'sending', 'sent', 'gone')", name="deliveries_status_ck"),
    )
    op.create_index("deliveries_status_next_at_ix", "deliveries", ["status", "next_at"])


def _attempts() -> None:
    op.create_table(
        "attempts",
        sa.Column("delivery", sa.Integer, nullable=False),
        sa.Column("number", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("repeated", sa.Boolean, nullable=False),
        sa.Column("began_at", _INSTANT, nullable=False),
        sa.Column("ended_at", _INSTANT),
        sa.Column("outcome", sa.Text),
        sa.Column("error", sa.Text),
        sa.PrimaryKeyConstraint("delivery", "number", name="attempts_pk"),
        sa.ForeignKeyConstraint(["delivery"], ["deliveries.id"], name="attempts_delivery_fk"),
        sa.CheckConstraint("outcome IN ('sent', 'failed', 'unknown')", name="attempts_outcome_ck"),
    )


def _outages() -> None:
    op.create_table(
        "outages",
        sa.Column("recipient", sa.Text, nullable=False),
        sa.Column("label", sa.Text, nullable=False),
        sa.Column("since", _INSTANT, nullable=False),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("alerted", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("recipient", name="outages_pk"),
    )


def _repairs() -> None:
    op.create_table(
        "repairs",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("subject", sa.Text),
        sa.Column("what", sa.Text, nullable=False),
        sa.Column("at", _INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="repairs_pk"),
    )
    op.create_index("repairs_at_ix", "repairs", ["at"])


def _keep_for_ever(table: str, same_row: str) -> None:
    if op.get_bind().dialect.name == "sqlite":
        _keep_in_sqlite(table, same_row)
    else:
        _keep_in_postgresql(table)


def _keep_in_sqlite(table: str, same_row: str) -> None:
    refuse = f"SELECT RAISE(ABORT, '{table} is append-only')"
    for verb in ("UPDATE", "DELETE"):
        op.execute(f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} BEGIN {refuse}; END")
    # INSERT OR REPLACE deletes the row that it replaces without firing its DELETE trigger.
    op.execute(
        f"CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table} "
        f"WHEN EXISTS (SELECT 1 FROM {table} WHERE {same_row}) BEGIN {refuse}; END"
    )


def _keep_in_postgresql(table: str) -> None:
    op.execute(
        f"CREATE FUNCTION {table}_refuse_change() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{table} is append-only'; END $$"
    )
    call = f"EXECUTE FUNCTION {table}_refuse_change()"
    op.execute(f"CREATE TRIGGER {table}_no_change BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW {call}")
    op.execute(f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} FOR EACH STATEMENT {call}")
