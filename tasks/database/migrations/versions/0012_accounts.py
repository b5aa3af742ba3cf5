"""Adds accounts, their tokens, sessions, log and signatures; notes with each event who was signed in.

Events of earlier versions keep null for the actor and the door: it is not known.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from tasks.database.triggers import refuse_changes

revision = "0012"
down_revision = "0011"

_INSTANT = sa.String(27)
_ROLES = "role IN ('reader', 'recorder', 'investigator', 'monitor', 'admin')"


def upgrade() -> None:
    for name in ("actor", "door"):
        op.add_column("events", sa.Column(name, sa.Text))
    _accounts()
    _account_log()
    _tokens()
    _sessions()
    _sign_ins()
    _signatures()
    refuse_changes(op.get_bind(), "account_log", "id = NEW.id")
    refuse_changes(op.get_bind(), "sign_ins", "id = NEW.id")
    refuse_changes(
        op.get_bind(), "signatures", "source = NEW.source AND id = NEW.id AND account = NEW.account"
    )


def _accounts() -> None:
    op.create_table(
        "accounts",
        sa.Column("code", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("sites", sa.JSON),
        sa.Column("language", sa.Text, nullable=False),
        sa.Column("speaks_for_others", sa.Boolean, nullable=False),
        sa.Column("active", sa.Boolean, nullable=False),
        sa.Column("password", sa.Text),
        sa.Column("totp", sa.Text),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("code", name="accounts_pk"),
        sa.CheckConstraint(_ROLES, name="accounts_role_ck"),
        sa.CheckConstraint("language IN ('en', 'zh-CN')", name="accounts_language_ck"),
    )
    op.create_index("accounts_folded_ix", "accounts", [sa.text("lower(code)")], unique=True)


def _account_log() -> None:
    op.create_table(
        "account_log",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("at", _INSTANT, nullable=False),
        sa.Column("actor", sa.Text),
        sa.Column("door", sa.Text, nullable=False),
        sa.Column("account", sa.Text, nullable=False),
        sa.Column("what", sa.Text, nullable=False),
        sa.Column("details", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name="account_log_pk"),
        sa.ForeignKeyConstraint(["account"], ["accounts.code"], name="account_log_account_fk"),
    )
    op.create_index("account_log_account_ix", "account_log", ["account"])


def _tokens() -> None:
    op.create_table(
        "tokens",
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("account", sa.Text, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("in_file", sa.Boolean, nullable=False),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.Column("expires_at", _INSTANT),
        sa.Column("revoked_at", _INSTANT),
        sa.PrimaryKeyConstraint("digest", name="tokens_pk"),
        sa.ForeignKeyConstraint(["account"], ["accounts.code"], name="tokens_account_fk"),
    )
    op.create_index("tokens_account_ix", "tokens", ["account"])


def _sessions() -> None:
    op.create_table(
        "sessions",
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("account", sa.Text, nullable=False),
        sa.Column("opened_at", _INSTANT, nullable=False),
        sa.Column("seen_at", _INSTANT, nullable=False),
        sa.Column("address", sa.Text, nullable=False),
        sa.Column("ended_at", _INSTANT),
        sa.PrimaryKeyConstraint("digest", name="sessions_pk"),
        sa.ForeignKeyConstraint(["account"], ["accounts.code"], name="sessions_account_fk"),
    )
    op.create_index("sessions_account_ix", "sessions", ["account"])


def _sign_ins() -> None:
    op.create_table(
        "sign_ins",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("at", _INSTANT, nullable=False),
        sa.Column("account", sa.Text),
        sa.Column("address", sa.Text, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="sign_ins_pk"),
        sa.ForeignKeyConstraint(["account"], ["accounts.code"], name="sign_ins_account_fk"),
    )
    op.create_index("sign_ins_account_at_ix", "sign_ins", ["account", "at"])
    op.create_index("sign_ins_address_at_ix", "sign_ins", ["address", "at"])


def _signatures() -> None:
    op.create_table(
        "signatures",
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("account", sa.Text, nullable=False),
        sa.Column("subject", sa.Text),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("meaning", sa.Text, nullable=False),
        sa.Column("at", _INSTANT, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("statement", sa.JSON),
        sa.PrimaryKeyConstraint("source", "id", "account", name="signatures_pk"),
        sa.ForeignKeyConstraint(["account"], ["accounts.code"], name="signatures_account_fk"),
    )
    op.create_index("signatures_subject_ix", "signatures", ["subject"])
