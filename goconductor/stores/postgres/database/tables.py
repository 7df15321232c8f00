"""The tables, as SQLAlchemy sees them. The migrations make them; a test compares the two.

One small row per saga arbitrates its appends and is updated with each of them. So that these updates stay inside their page
(heap-only tuples), half of a page is left free and nothing that an append changes is indexed, but for ``wake_at``, which
changes rarely. Leases and their marker are unlogged: their commits wait for no disk, and a crash of the database empties both.

The order of the columns is chosen for the write-ahead log: what an append changes in the head stands together, as an update
writes what lies between the first and the last byte that differ; and in the log the numbers come first, as one behind a text
has to be padded.

An event's body is ``json`` and not ``jsonb``: its text is kept as it was written, with the order of keys, the sign of -0.0 and
how a number is spelt. What a step is given by whoever reads it back is then what the first attempt was given. It is shorter as
well, and costs less to write.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    Uuid,
    false,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSON, JSONB, TIMESTAMP
from sqlalchemy.types import UserDefinedType

STATUSES = (
    *("queued", "running", "waiting", "paused", "compensating", "completed", "compensated", "stuck"),
    *("terminating", "terminated", "held"),
)
LIVE = ("queued", "running", "compensating", "terminating")

HOT_TABLE = {"fillfactor": 50, "autovacuum_vacuum_scale_factor": 0.02, "autovacuum_analyze_scale_factor": 0.05}
APPEND_ONLY = {"autovacuum_vacuum_insert_scale_factor": 0.1, "autovacuum_analyze_scale_factor": 0.05}
SHORT_LIVED = {"fillfactor": 70, "autovacuum_vacuum_scale_factor": 0.0, "autovacuum_vacuum_threshold": 5000}


class XID8(UserDefinedType[int]):
    """The number of a transaction, 64 bits wide: never reused."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        """Its name in SQL."""
        return "xid8"


def _quoted(words: tuple[str, ...]) -> str:
    return ", ".join(f"'{word}'" for word in words)


def _moment(name: str, *, null: bool = False, now: bool = False) -> Column[Any]:
    return Column(name, TIMESTAMP(timezone=True), nullable=null, server_default=text("clock_timestamp()") if now else None)


def _text(name: str, *, primary_key: bool = False) -> Column[Any]:
    return Column(name, Text, nullable=False, primary_key=primary_key)


def _features() -> Column[Any]:
    return Column("features", ARRAY(Text), nullable=False, server_default=text("'{}'"))


def metadata(schema: str) -> MetaData:
    """All tables, in that schema."""
    meta = MetaData(schema=schema)
    _saga_tables(meta)
    _lease_tables(meta)
    _lock_table(meta)
    _other_tables(meta)
    return meta


def _saga_tables(meta: MetaData) -> None:
    sagas = Table(
        "sagas",
        meta,
        Column("saga_id", Uuid, primary_key=True),
        _moment("started_at"),
        _text("saga"),
        _text("version"),
        Column("labels", JSONB, nullable=False),
        Column("last_instance", Integer, nullable=False),
        Column("seq", BigInteger, nullable=False),
        Column("tag", BigInteger, nullable=False),
        _moment("updated_at"),
        _moment("wake_at", null=True),
        _text("status"),
        CheckConstraint(f"status IN ({_quoted(STATUSES)})", name="sagas_status"),
        CheckConstraint(f"wake_at IS NOT NULL OR status NOT IN ({_quoted(LIVE)})", name="sagas_wake_at"),
        postgresql_with=HOT_TABLE,
    )
    Index("sagas_wake_at_idx", sagas.c.wake_at, postgresql_where=sagas.c.wake_at.is_not(None))
    Table(
        "saga_log",
        meta,
        Column("saga_id", Uuid, primary_key=True),
        Column("seq", BigInteger, primary_key=True),
        Column("tag", BigInteger, nullable=False),
        Column("token", BigInteger, nullable=False),
        _moment("at"),
        Column("xid", XID8, nullable=False, server_default=text("pg_current_xact_id()")),
        Column("round", Integer, nullable=False),
        Column("attempt", Integer, nullable=False),
        Column("event_id", Uuid, nullable=False),
        _text("event"),
        _text("step"),
        _text("participant"),
        Column("data", JSON, nullable=False),
        postgresql_with=APPEND_ONLY,
    )
    Table(
        "start_keys",
        meta,
        _text("namespace", primary_key=True),
        _text("saga", primary_key=True),
        _text("key", primary_key=True),
        Column("saga_id", Uuid, nullable=False),
        Column("input_hash", LargeBinary, nullable=False),
        postgresql_with=APPEND_ONLY,
    )
    Table(
        "signals",
        meta,
        Column("saga_id", Uuid, primary_key=True),
        _text("id", primary_key=True),
        Column("digest", LargeBinary, nullable=False),
        postgresql_with=APPEND_ONLY,
    )


def _lease_tables(meta: MetaData) -> None:
    Table(
        "leases",
        meta,
        Column("saga_id", Uuid, primary_key=True),
        _text("step", primary_key=True),
        _text("direction", primary_key=True),
        Column("round", Integer, primary_key=True, autoincrement=False),
        Column("instance", Integer, nullable=False),
        Column("token", BigInteger, nullable=False),
        _moment("expires_at"),
        Column("taken_from", Integer),
        prefixes=["UNLOGGED"],
        postgresql_with=SHORT_LIVED,
    )
    Table(
        "lease_marker",
        meta,
        Column("present", Boolean, primary_key=True),
        CheckConstraint("present", name="lease_marker_one_row"),
        prefixes=["UNLOGGED"],
    )
    Table(
        "permits",
        meta,
        _text("code", primary_key=True),
        _text("kind", primary_key=True),
        Column("slot", Integer, primary_key=True, autoincrement=False),
        Column("instance", Integer, nullable=False),
        Column("token", BigInteger, nullable=False),
        _moment("expires_at"),
        prefixes=["UNLOGGED"],
        postgresql_with=SHORT_LIVED | {"fillfactor": 50},
    )
    queue = Table(
        "permit_queue",
        meta,
        Column("saga_id", Uuid, primary_key=True),
        _text("step", primary_key=True),
        _text("direction", primary_key=True),
        Column("round", Integer, primary_key=True, autoincrement=False),
        _text("code"),
        _moment("since"),
        _moment("woken_at", null=True),
        Column("wakes", Integer, nullable=False),
        prefixes=["UNLOGGED"],
        postgresql_with=SHORT_LIVED,
    )
    Index("permit_queue_since", queue.c.code, queue.c.since)
    Index("permit_queue_woken", queue.c.code, queue.c.woken_at, postgresql_where=queue.c.woken_at.is_not(None))


def _lock_table(meta: MetaData) -> None:
    locks = Table(
        "locks",
        meta,
        _text("key", primary_key=True),
        Column("saga_id", Uuid, primary_key=True),
        Column("number", BigInteger, Identity(), nullable=False),
        _moment("since", now=True),
        Column("shared", Boolean, nullable=False),
        Column("held", Boolean, nullable=False),
        postgresql_with=SHORT_LIVED,
    )
    Index("locks_saga_id", locks.c.saga_id)
    Index("locks_waiting", locks.c.since, postgresql_where=~locks.c.held)


def _other_tables(meta: MetaData) -> None:
    Table(
        "definitions",
        meta,
        _text("namespace", primary_key=True),
        _text("saga", primary_key=True),
        _text("version", primary_key=True),
        _text("document"),
        _moment("registered_at", now=True),
        _features(),
    )
    Table(
        "active_definitions",
        meta,
        _text("namespace", primary_key=True),
        _text("saga", primary_key=True),
        _text("version"),
        Column("pinned", Boolean, nullable=False, server_default=false()),
    )
    Table(
        "participants",
        meta,
        Column("serial", Integer, Identity(), primary_key=True),
        _text("participant"),
        _text("name"),
        _text("application_name"),
        Column("steps", JSONB, nullable=False),
        _moment("started_at", now=True),
        _moment("dead_at", null=True),
        Column("speaks", JSONB, nullable=False, server_default=text("'{}'")),
        _features(),
    )
    offers = Table(
        "offers",
        meta,
        _text("namespace", primary_key=True),
        _text("saga", primary_key=True),
        _text("version", primary_key=True),
        Column("serial", ForeignKey("participants.serial", ondelete="CASCADE"), primary_key=True),
    )
    Index("offers_serial", offers.c.serial)
    Table(
        "leadership",
        meta,
        Column("single", Boolean, primary_key=True),
        Column("epoch", BigInteger, nullable=False),
        _text("holder"),
        _moment("ends_at"),
        Column("evidence", BigInteger),
        _moment("swept_at", null=True),
        Column("swept_epoch", BigInteger),
        Column("swept", JSONB),
        Column("election", Text, nullable=False, server_default=text("''")),
        _moment("emptied_at", null=True),
        _moment("marked_at", null=True),
        CheckConstraint("single", name="leadership_one_row"),
    )
    Table(
        "timelines",
        meta,
        _text("system", primary_key=True),
        Column("timeline", BigInteger, primary_key=True, autoincrement=False),
        _moment("seen_at", now=True),
        _moment("replayed_until", null=True),
    )
    Table(
        "losses",
        meta,
        Column("saga_id", Uuid, primary_key=True),
        Column("seq", BigInteger, primary_key=True),
        Column("tag", BigInteger, primary_key=True),
        _text("status"),
        _moment("at"),
        _text("known_by"),
        _moment("noticed_at", now=True),
    )
    Table(
        "choices",
        meta,
        _text("kind", primary_key=True),
        _text("chosen"),
        _text("beside"),
        _text("phase"),
        Column("number", BigInteger, nullable=False),
        _moment("since", now=True),
        _text("asked_by"),
    )
    Table(
        "schedules",
        meta,
        _text("namespace", primary_key=True),
        _text("name", primary_key=True),
        Column("tag", BigInteger, nullable=False),
        _moment("look_at", null=True),
        _text("body"),
        Index("schedules_look_at", "look_at", postgresql_where=text("look_at IS NOT NULL")),
    )
    Table(
        "feeds",
        meta,
        _text("name", primary_key=True),
        _text("cursor"),
        _moment("reached_at"),
        Column("xid", XID8, nullable=False, server_default=text("pg_current_xact_id()")),
    )
    Table(
        "webhooks",
        meta,
        Column("webhook_id", BigInteger, Identity(), primary_key=True),
        *(_text(name) for name in ("namespace", "name")),
        Column("tag", BigInteger, nullable=False),
        _text("body"),
        _moment("created_at", now=True),
        *(Column(name, BigInteger, nullable=False, server_default=text("0")) for name in ("delivered", "failed")),
        *(_moment(name, null=True) for name in ("delivered_at", "failing_since")),
        Column("problem", Text, nullable=False, server_default=text("''")),
        Index("webhooks_name", "namespace", "name", unique=True),
    )
    Table(
        "webhook_deliveries",
        meta,
        Column("delivery_id", BigInteger, Identity(), primary_key=True),
        Column(
            "webhook_id",
            ForeignKey("webhooks.webhook_id", name="webhook_deliveries_webhook", ondelete="CASCADE"),
            nullable=False,
        ),
        *(_text(name) for name in ("message_id", "body")),
        _moment("created_at", now=True),
        Column("attempts", Integer, nullable=False, server_default=text("0")),
        Column("due_at", TIMESTAMP(timezone=True), server_default=text("clock_timestamp()")),
        Column("problem", Text, nullable=False, server_default=text("''")),
        Index("webhook_deliveries_due", "webhook_id", "due_at"),
        Index("webhook_deliveries_dead", "webhook_id", "delivery_id", postgresql_where=text("due_at IS NULL")),
    )
    Table(
        "api_keys",
        meta,
        _text("key_id", primary_key=True),
        _text("namespace"),
        _text("name"),
        _text("digest"),
        Column("roles", ARRAY(Text), nullable=False),
        _moment("created_at", now=True),
        _text("created_by"),
        _moment("expires_at", null=True),
        _moment("revoked_at", null=True),
        Column("revoked_by", Text, nullable=False, server_default=text("''")),
    )
    Table(
        "secrets",
        meta,
        _text("name", primary_key=True),
        Column("version", BigInteger, nullable=False),
        _text("key_id"),
        *(Column(name, LargeBinary, nullable=False) for name in ("wrapped", "sealed")),
        _moment("created_at", now=True),
        _text("created_by"),
        _moment("deleted_at", null=True),
        Column("deleted_by", Text, nullable=False, server_default=text("''")),
    )
    Table(
        "audit",
        meta,
        Column("id", BigInteger, Identity(), primary_key=True),
        _moment("at", now=True),
        *(_text(name) for name in ("namespace", "actor", "roles", "means", "door", "address", "function", "object", "detail")),
        *(_text(name) for name in ("request_id", "outcome", "problem")),
        Column("left_out", Integer, nullable=False),
        Column("seq", BigInteger),
        Column("hash", LargeBinary),
        CheckConstraint("seq > 0", name="audit_seq_from_one"),  # else a row could stand outside the chain for good
        Index("audit_seq", "seq", unique=True),
        Index("audit_unplaced", "id", postgresql_where=text("seq IS NULL")),
        Index("audit_object", "object", "id"),
    )
    Table(
        "dead_letters",
        meta,
        Column("letter_id", BigInteger, Identity(), primary_key=True),
        _text("topic"),
        Column("payload", LargeBinary, nullable=False),
        _text("reason"),
        Column("headers", JSONB, nullable=False),
        _moment("at", now=True),
    )
