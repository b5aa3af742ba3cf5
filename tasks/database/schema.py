"""The tables of the study's database, the same on SQLite and PostgreSQL.

Instants are kept as UTC text of one width (`2026-01-12T02:20:00.000000Z`): readable, exact to the
microsecond, and sorted by time on both databases. Queries are written against this module. Migrations create
the tables, and a test holds the two together.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine.default import DefaultExecutionContext

from tasks.hashing.rows import hash_of

log = logging.getLogger(__name__)

# The newest migration. `Store.open` compares it with the database's own before it loads Alembic.
REVISION = "0021"


def instant_text(value: datetime) -> str:
    """An instant as it is stored: UTC text of one width."""
    if value.tzinfo is None:
        raise ValueError(f"{value} has no time zone")
    # Several times faster than strftime, and every row has some.
    return value.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def read_instant(text: Any) -> datetime | None:
    """The instant (UTC) that is stored; None for none, and for a damaged one: its row can still be read."""
    if text is None:
        return None
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        instant = None
    # Without its zone it can be compared with no other, and would stop whoever sorts the rows beside it.
    if instant is None or instant.tzinfo is None:
        log.error("%r is no instant: that row of the study's database is damaged.", text)
        return None
    return instant


def read_json(text: str | bytes) -> Any:
    """The value of a column of JSON; None for a damaged one, so that the rows beside it can be read."""
    try:
        return json.loads(text)
    except ValueError:
        log.error("%.40r is no JSON: that row of the study's database is damaged.", text)
        return None


def json_text(value: object) -> str:
    """A value as it is stored in a column of JSON."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


class Instant(sa.types.TypeDecorator[datetime]):
    """A timezone-aware datetime, stored as UTC text of fixed width."""

    impl = sa.String(27)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> str | None:
        """Refuse an instant without its zone, which would be another time on every machine."""
        if value is None:
            return None
        return instant_text(value)

    def process_result_value(self, value: Any | None, dialect: sa.Dialect) -> datetime | None:
        """The instant in UTC; None for a damaged one, so that the rows beside it can be read."""
        return read_instant(value)


metadata = sa.MetaData(
    naming_convention={
        "pk": "%(table_name)s_pk",
        "fk": "%(table_name)s_%(column_0_name)s_fk",
        "uq": "%(table_name)s_%(column_0_N_name)s_uq",
        "ix": "%(table_name)s_%(column_0_N_name)s_ix",
    }
)


def unindexed(column: sa.ColumnElement[str]) -> sa.ColumnElement[str]:
    """The value of a column of a row that a statement finds by its key; no index of the column is used.

    PostgreSQL would else go through all that is queued to find that row, where it takes them for few.
    """
    return sa.func.coalesce(column, "")


def stored(table: sa.Table, row: Mapping[str, Any]) -> dict[str, object]:
    """The values of a new row as they are stored, whatever the database; for its hash."""
    return {name: _stored(table.c[name], value) for name, value in row.items()}


def _stored(column: sa.Column[Any], value: Any) -> object:
    if isinstance(column.type, sa.JSON):
        return None if value is None and column.type.none_as_null else json_text(value)
    if isinstance(value, datetime):
        return instant_text(value)
    return value.isoformat() if isinstance(value, date) else value


def _hash(*made: str) -> sa.Column[str]:
    """The column with the hash of what a row says from its beginning on: of these columns.

    It is made from what a statement inserts. The rows of an older version got theirs by a migration.
    """

    def default(context: DefaultExecutionContext) -> str:
        table = context.compiled.statement.table  # type: ignore[union-attr]
        given = context.get_current_parameters()  # type: ignore[no-untyped-call]
        return _hash_of_made(table, stored(table, {name: given[name] for name in made if name in given}))

    return sa.Column("hash", sa.Text, default=default, info={"made": made})


def _hash_of_made(table: sa.Table, row: Mapping[str, object]) -> str:
    made = table.c.hash.info["made"]
    return hash_of(table.name, {name: row[name] for name in made if name in row})


def new(table: sa.Table, row: Mapping[str, Any]) -> dict[str, object]:
    """The values of a new row as they are stored, with the hash of what it says from its beginning on."""
    values = stored(table, row)
    return values | {"hash": _hash_of_made(table, values)}


def told(table: sa.Table) -> list[sa.Column[Any]]:
    """The columns of a table that say something, its hash aside."""
    return [column for column in table.columns if column.name != "hash"]


# One row per subject: the lock of every transaction about it, and a copy of what was decided last. `head` is
# the hash of the last event, and `hash` that of the row.
subjects = sa.Table(
    "subjects",
    metadata,
    sa.Column("code", sa.Text, primary_key=True),
    sa.Column("site", sa.Text, nullable=False),
    sa.Column("protocol_version", sa.Text, nullable=False),
    sa.Column("seq", sa.Integer, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("message", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("tags", sa.JSON, nullable=False),
    sa.Column("wake_at", Instant, index=True),
    sa.Column("exited", sa.Boolean, nullable=False),
    sa.Column("flow_run_id", sa.Text),
    sa.Column("enrolled_at", Instant, nullable=False),
    sa.Column("advanced_at", Instant, nullable=False),
    sa.Column("head", sa.Text),
    sa.Column("hash", sa.Text),
)
# Codes that differ in case only are one subject.
sa.Index("subjects_folded_ix", sa.func.lower(subjects.c.code))

# The event log. Its triggers refuse UPDATE, DELETE and TRUNCATE. `actor` is the account that was signed in,
# or `os:NAME`, the operating system's user; null with a door means that nobody was. Both are null in
# lines that an earlier version wrote: it did not know.
# `hash` is of the whole row and of the hash before it, so that each subject's events are a chain.
events = sa.Table(
    "events",
    metadata,
    sa.Column("subject", sa.ForeignKey("subjects.code"), primary_key=True),
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("id", sa.Text, nullable=False),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("time", Instant, nullable=False),
    sa.Column("recorded_at", Instant, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("actor", sa.Text),
    sa.Column("door", sa.Text),
    sa.Column("hash", sa.Text),
    sa.UniqueConstraint("source", "id"),
)

# Enrolments that failed inclusion criteria. Append-only like the log; no subject comes of them.
screening_log = sa.Table(
    "screening_log",
    metadata,
    sa.Column("source", sa.Text, primary_key=True),
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("on", sa.Date, nullable=False),
    sa.Column("unmet", sa.JSON, nullable=False),
    sa.Column("recorded_at", Instant, nullable=False),
    _hash("source", "id", "subject", "on", "unmet", "recorded_at"),
)

# The outbox. A row without subject is the service's own alert about a channel.
notices = sa.Table(
    "notices",
    metadata,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("subject", sa.ForeignKey("subjects.code"), index=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("visit", sa.Text),
    sa.Column("step", sa.Text, nullable=False),
    sa.Column("audience", sa.Text, nullable=False),
    sa.Column("due", Instant, nullable=False),
    sa.Column("until", Instant),
    sa.Column("facts", sa.JSON, nullable=False),
    sa.Column("queued_at", Instant, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("reason", sa.Text),
    sa.Column("handed_at", Instant),
    sa.Column("settled_at", Instant),
    sa.Column("title", sa.Text),
    sa.Column("body", sa.Text),
    _hash("key", "subject", "kind", "visit", "step", "audience", "due", "until", "facts", "queued_at"),
    # On PostgreSQL of the queue alone: its planner knows how long an index is, but not yet how many notices
    # an outage has queued. It read all of them to find one, where it took them for few.
    sa.Index("notices_queued_ix", "status", "subject", postgresql_where=sa.text("status = 'queued'")),
    sa.CheckConstraint("status IN ('queued', 'delivered', 'withdrawn')", name="notices_status_ck"),
)

# One row per notice and recipient. `recipient` is a fingerprint of its Apprise URL, `label` its name (in rows
# of earlier versions the URL, masked); `next_at` is the next attempt, or the end of the lease while it is
# sending; `holder` is the process that sends it; `person` is whose recipient it was, of the people on duty.
deliveries = sa.Table(
    "deliveries",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("notice", sa.ForeignKey("notices.key"), nullable=False),
    sa.Column("recipient", sa.Text, nullable=False),
    sa.Column("label", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("repeated", sa.Boolean, nullable=False),
    sa.Column("next_at", Instant),
    sa.Column("sent_at", Instant),
    sa.Column("holder", sa.Text),
    sa.Column("person", sa.Text),
    _hash("notice", "recipient", "label"),
    sa.UniqueConstraint("notice", "recipient"),
    # As above.
    sa.Index(
        "deliveries_open_ix",
        "status",
        "next_at",
        postgresql_where=sa.text("status IN ('pending', 'sending')"),
    ),
    sa.CheckConstraint("status IN ('pending', 'sending', 'sent', 'gone')", name="deliveries_status_ck"),
)

# One row per send; `outcome` is null while it runs, then sent, failed or unknown.
attempts = sa.Table(
    "attempts",
    metadata,
    sa.Column("delivery", sa.ForeignKey("deliveries.id"), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("repeated", sa.Boolean, nullable=False),
    sa.Column("began_at", Instant, nullable=False),
    sa.Column("ended_at", Instant),
    sa.Column("outcome", sa.Text),
    sa.Column("error", sa.Text),
    _hash("delivery", "number", "repeated", "began_at"),
    sa.CheckConstraint("outcome IN ('sent', 'failed', 'unknown')", name="attempts_outcome_ck"),
)

# Processes that hand over or run the service's loop: the last sign of life that each gave, by the clock that
# all machines share.
senders = sa.Table(
    "senders",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("host", sa.Text, nullable=False),
    sa.Column("pid", sa.Integer, nullable=False),
    sa.Column("at", Instant, nullable=False),
)

# Jobs that one service at a time does, and subjects that it wakes. A lease holds for as long as its `holder`
# gives signs of life in `senders`.
leases = sa.Table(
    "leases",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("holder", sa.Text, nullable=False, index=True),
    sa.Column("since", Instant, nullable=False),
)

# The recipients to whom the study's notices go, as a fingerprint of one configuration. One row; its `holder`
# is the service that runs with it, at `place`, and gives signs of life, the last one `at`.
recipients = sa.Table(
    "recipients",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("fingerprint", sa.Text, nullable=False),
    sa.Column("count", sa.Integer, nullable=False),
    sa.Column("place", sa.Text, nullable=False),
    sa.Column("holder", sa.Text),
    sa.Column("since", Instant, nullable=False),
    sa.Column("at", Instant, nullable=False),
)

# Recipients that fail at present; the row goes when one gets through again.
outages = sa.Table(
    "outages",
    metadata,
    sa.Column("recipient", sa.Text, primary_key=True),
    sa.Column("label", sa.Text, nullable=False),
    sa.Column("since", Instant, nullable=False),
    sa.Column("failures", sa.Integer, nullable=False),
    sa.Column("alerted", sa.Boolean, nullable=False),
)

# The mends that the service made by itself, for people to read. Append-only: the audit trail lists them.
repairs = sa.Table(
    "repairs",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("subject", sa.Text),
    sa.Column("what", sa.Text, nullable=False),
    sa.Column("at", Instant, nullable=False, index=True),
    _hash("subject", "what", "at"),
)

# Troubles that a person must mend; `about` is a subject's code or a part's name. `noted_by`: the process in
# `senders` whose own the trouble is, if it is one process's.
troubles = sa.Table(
    "troubles",
    metadata,
    sa.Column("about", sa.Text, primary_key=True),
    sa.Column("what", sa.Text, nullable=False),
    sa.Column("since", Instant, nullable=False),
    sa.Column("noted_by", sa.Text),
)

# When each part of the service was last at work, in the machine's time.
heartbeats = sa.Table(
    "heartbeats",
    metadata,
    sa.Column("part", sa.Text, primary_key=True),
    sa.Column("at", Instant, nullable=False),
)

# Messages that a door could not turn into recorded events. `about` names the thing (a form of a record). The
# row is settled when the same thing comes through later.
dead_letters = sa.Table(
    "leftovers",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("door", sa.Text, nullable=False),
    sa.Column("about", sa.Text, nullable=False),
    sa.Column("problem", sa.Text, nullable=False),
    sa.Column("body", sa.JSON, nullable=False),
    sa.Column("at", Instant, nullable=False),
    sa.Column("settled_at", Instant),
    _hash("door", "about", "problem", "body", "at"),
    sa.Index("leftovers_door_about_ix", "door", "about"),
)

# The part of each subject that the board needs, made anew when the subject was advanced; and what Prefect has
# been shown (`shown_tags`) and told (events up to `told_seq`, the troubles in `told`). `hash` is of what the
# board shows.
cards = sa.Table(
    "cards",
    metadata,
    sa.Column("subject", sa.ForeignKey("subjects.code"), primary_key=True),
    sa.Column("body", sa.JSON, nullable=False),
    sa.Column("seq", sa.Integer, nullable=False),
    sa.Column("advanced_at", Instant, nullable=False),
    sa.Column("made_at", Instant, nullable=False),
    sa.Column("open", sa.Boolean, nullable=False),
    sa.Column("shown_tags", sa.JSON, nullable=False),
    sa.Column("told_seq", sa.Integer, nullable=False),
    sa.Column("told", sa.JSON, nullable=False),
    sa.Column("hash", sa.Text, info={"made": ("subject", "body", "seq", "made_at", "open")}),
)

# Prefect's artifacts by key: each is updated in place, so its address stays.
shown_artifacts = sa.Table(
    "shown_artifacts",
    metadata,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("id", sa.Text, nullable=False),
)

# Notes about the Prefect that shows the study: the automation as the service left it, and the service that
# shows it.
prefect_notes = sa.Table(
    "prefect_notes",
    metadata,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("body", sa.JSON, nullable=False),
)

# The book of a REDCap that all processes share: the requests of the last minute, the rests after refusals,
# how far its log was read. It is changed under its row's lock.
redcap_books = sa.Table(
    "redcap_books",
    metadata,
    sa.Column("address", sa.Text, primary_key=True),
    sa.Column("body", sa.JSON, nullable=False),
)

# Forms of REDCap that a process takes just now, until when it may hold them.
redcap_turns = sa.Table(
    "redcap_turns",
    metadata,
    sa.Column("form", sa.Text, primary_key=True),
    sa.Column("holder", sa.Text, nullable=False),
    sa.Column("until", Instant, nullable=False),
)

# The form of a REDCap record that each event came from. A record may be renamed; its events keep their ids.
redcap_statements = sa.Table(
    "redcap_statements",
    metadata,
    sa.Column("source", sa.Text, primary_key=True),
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("record", sa.Text, nullable=False),
    sa.Column("place", sa.Text, nullable=False),
    _hash("source", "id", "record", "place"),
)

# Where the study came from and went to: each archive that was restored into this database, and its move to
# another one. While a row says `moving` or `moved`, triggers refuse events and sends.
custody = sa.Table(
    "custody",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("what", sa.Text, nullable=False),
    sa.Column("place", sa.Text, nullable=False),
    sa.Column("at", Instant, nullable=False),
    _hash("id", "what", "place", "at"),
    sa.CheckConstraint("what IN ('restored', 'moving', 'moved')", name="custody_what_ck"),
)

# People and programs that may ask and state. None is ever removed: `active` says whether one counts. `sites`
# null means all sites. `password` is an argon2 hash; `totp` the secret of a second factor, in base 32.
# The register has each value, of tokens too: `tasks.database.registered_values`.
accounts = sa.Table(
    "accounts",
    metadata,
    sa.Column("code", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("role", sa.Text, nullable=False),
    sa.Column("sites", sa.JSON(none_as_null=True)),
    sa.Column("language", sa.Text, nullable=False),
    sa.Column("speaks_for_others", sa.Boolean, nullable=False),
    sa.Column("active", sa.Boolean, nullable=False),
    sa.Column("password", sa.Text),
    sa.Column("totp", sa.Text),
    sa.Column("created_at", Instant, nullable=False),
    sa.CheckConstraint(
        "role IN ('reader', 'recorder', 'investigator', 'monitor', 'admin')", name="accounts_role_ck"
    ),
    sa.CheckConstraint("language IN ('en', 'zh-CN')", name="accounts_language_ck"),
)
# Codes that differ in case only would be taken for one person.
sa.Index("accounts_folded_ix", sa.func.lower(accounts.c.code), unique=True)

# Every change of an account: by whom, through which door, about whom. Append-only. `details` holds no secret.
account_log = sa.Table(
    "account_log",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("at", Instant, nullable=False),
    sa.Column("actor", sa.Text),
    sa.Column("door", sa.Text, nullable=False),
    sa.Column("account", sa.ForeignKey("accounts.code"), nullable=False, index=True),
    sa.Column("what", sa.Text, nullable=False),
    sa.Column("details", sa.JSON, nullable=False),
    _hash("at", "actor", "door", "account", "what", "details"),
)

# Tokens of accounts; `digest` is the SHA-256 of one. `in_file`: it counts only where the file or the setting
# that it was taken over from still holds it.
tokens = sa.Table(
    "tokens",
    metadata,
    sa.Column("digest", sa.Text, primary_key=True),
    sa.Column("account", sa.ForeignKey("accounts.code"), nullable=False, index=True),
    sa.Column("note", sa.Text, nullable=False),
    sa.Column("in_file", sa.Boolean, nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("expires_at", Instant),
    sa.Column("revoked_at", Instant),
)

# People who are signed in to the pages; `digest` is the SHA-256 of the cookie.
sessions = sa.Table(
    "sessions",
    metadata,
    sa.Column("digest", sa.Text, primary_key=True),
    sa.Column("account", sa.ForeignKey("accounts.code"), nullable=False, index=True),
    sa.Column("opened_at", Instant, nullable=False),
    sa.Column("seen_at", Instant, nullable=False),
    sa.Column("address", sa.Text, nullable=False),
    sa.Column("ended_at", Instant),
    _hash("digest", "account", "opened_at", "address"),
)

# The last code taken of each account's second factor, by its step of 30 s since 1970: no code up to it
# counts again. The register has each value.
second_factors = sa.Table(
    "second_factors",
    metadata,
    sa.Column("account", sa.ForeignKey("accounts.code"), primary_key=True),
    sa.Column("step", sa.Integer, nullable=False),
)

# Every attempt to sign in, and every sign-out. Append-only. `account` is null when no such account is known:
# somebody may have typed a password there.
sign_ins = sa.Table(
    "sign_ins",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("at", Instant, nullable=False),
    sa.Column("account", sa.ForeignKey("accounts.code")),
    sa.Column("address", sa.Text, nullable=False),
    sa.Column("outcome", sa.Text, nullable=False),
    _hash("at", "account", "address", "outcome"),
    sa.Index("sign_ins_account_at_ix", "account", "at"),
    sa.Index("sign_ins_address_at_ix", "address", "at"),
)

# Signatures. Append-only. `source` and `id` name the event that is signed, or a review, whose content is
# `statement`. `digest` is the SHA-256 of what was signed, as it was stored; `name` and `meaning` are as
# they were shown to the signer.
signatures = sa.Table(
    "signatures",
    metadata,
    sa.Column("source", sa.Text, primary_key=True),
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("account", sa.ForeignKey("accounts.code"), primary_key=True),
    sa.Column("subject", sa.Text, index=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("meaning", sa.Text, nullable=False),
    sa.Column("at", Instant, nullable=False),
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("statement", sa.JSON(none_as_null=True)),
    _hash("source", "id", "account", "subject", "name", "meaning", "at", "digest", "statement"),
)

# The protocol files by which the service has run: a version is its file, byte for byte. Append-only.
protocol_files = sa.Table(
    "protocol_files",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("version", sa.Text, primary_key=True),
    sa.Column("sha256", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("content", sa.Text, nullable=False),
    sa.Column("first_seen", Instant, nullable=False),
    _hash("id", "version", "sha256", "name", "content", "first_seen"),
)

# The register: the hash of each row outside the log, once that row may change no more. Append-only, and a
# chain.
register = sa.Table(
    "register",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("about", sa.Text, nullable=False),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("what", sa.Text, nullable=False),
    sa.Column("row_hash", sa.Text),
    sa.Column("at", Instant, nullable=False),
    sa.Column("hash", sa.Text, nullable=False),
    sa.Index("register_about_key_number_ix", "about", "key", "number"),
    sa.CheckConstraint(
        "what IN ('began', 'made', 'kept', 'restored', 'opened', 'gone')", name="register_what_ck"
    ),
)

# The seals: each binds the ends of all chains at an instant into one line. `heads` has the ends of the
# subjects' logs that are new since the seal before. Append-only, and a chain.
seals = sa.Table(
    "seals",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("at", Instant, nullable=False),
    sa.Column("line", sa.Text, nullable=False),
    sa.Column("heads", sa.Text, nullable=False),
    sa.Column("hash", sa.Text, nullable=False),
)

# The time-stamps of seals (RFC 3161): `token` is the authority's answer in base64, `at` the machine's time of
# its arrival. Append-only.
seal_stamps = sa.Table(
    "seal_stamps",
    metadata,
    sa.Column("seal", sa.ForeignKey("seals.number"), primary_key=True, autoincrement=False),
    sa.Column("at", Instant, nullable=False),
    sa.Column("authority", sa.Text, nullable=False),
    sa.Column("token", sa.Text, nullable=False),
    _hash("seal", "at", "authority", "token"),
)

# The ends of the two chains that belong to no subject. Its rows are the locks of those who append to them.
chains = sa.Table(
    "chains",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("head", sa.Text, nullable=False),
)

# The last verification of this database: when it was, and what it found. One row.
verifications = sa.Table(
    "verifications",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("at", Instant, nullable=False),
    sa.Column("findings", sa.Integer, nullable=False),
    sa.Column("first", sa.JSON, nullable=False),
)

# What people stated about rotas, absences and deputies, as `itp_events.duty.changes` writes it. Append-only.
duty_changes = sa.Table(
    "duty_changes",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("at", Instant, nullable=False),
    sa.Column("actor", sa.Text),
    sa.Column("door", sa.Text, nullable=False),
    sa.Column("body", sa.JSON, nullable=False),
    _hash("at", "actor", "door", "body"),
)

# Refused events of every door, exports, backups, and changed settings. Append-only. `about` names the event,
# folder, file or setting.
service_log = sa.Table(
    "service_log",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("at", Instant, nullable=False),
    sa.Column("what", sa.Text, nullable=False),
    sa.Column("about", sa.Text, nullable=False, index=True),
    sa.Column("subject", sa.Text),
    sa.Column("actor", sa.Text),
    sa.Column("door", sa.Text),
    sa.Column("details", sa.JSON, nullable=False),
    _hash("at", "what", "about", "subject", "actor", "door", "details"),
    sa.CheckConstraint(
        "what IN ('refused', 'exported', 'backed-up', 'settings')", name="service_log_what_ck"
    ),
)
