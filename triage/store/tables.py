"""The tables. Column types are those that SQLite and PostgreSQL share."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    false,
    true,
)

from triage.store.encryption import EncryptedMapping, EncryptedText, EncryptedTriage

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class Moment(TypeDecorator[datetime]):
    """A moment in UTC: aware on the way in and out, also where the database forgets the zone, as SQLite does."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy calls it so
        if value is not None and value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone")
        return value and value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy calls it so
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def serial(name: str) -> Column[Any]:
    """A primary key that counts up."""
    # SQLite counts up only in a column that is exactly INTEGER PRIMARY KEY.
    return Column(name, BigInteger().with_variant(Integer(), "sqlite"), primary_key=True, autoincrement=True)


def _of_incident(**kwargs: Any) -> Column[Any]:
    return Column("incident_id", String(128), ForeignKey("incidents.id", ondelete="CASCADE"), nullable=False, **kwargs)


# What the store says of itself, by name: `compatible_from` is the earliest revision whose programs can work on these
# tables, and `seal` a known text, sealed with a key that opens the store.
schema_info_table = Table(
    "schema_info",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("value", Text, nullable=False),
)

# `seq` orders the incidents by arrival; lists and cursors go by it, so a page never shifts when others come in.
incident_table = Table(
    "incidents",
    metadata,
    serial("seq"),
    Column("id", String(128), nullable=False, unique=True),
    Column("title", EncryptedText, nullable=False),
    Column("write_up", EncryptedText, nullable=False),
    Column("source", Text, nullable=False),
    Column("service", Text, nullable=False),
    Column("severity", Text, nullable=False),
    Column("url", EncryptedText, nullable=False),
    Column("started_at", Moment),
    Column("detected_at", Moment),
    Column("mitigated_at", Moment),
    Column("resolved_at", Moment),
    Column("attributes", EncryptedMapping, nullable=False),
    Column("taxonomy", String(100), nullable=False),
    Column("status", String(16), nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("failures", Integer, nullable=False, server_default="0"),
    Column("failure", EncryptedText),
    Column("retry_at", Moment),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    Column("team", String(64), nullable=False, server_default="default"),
    Index(None, "status", "seq"),
    Index(None, "team", "seq"),
    sqlite_autoincrement=True,
)

# Annotations are only ever added: the latest of one annotator for one facet counts, and so does their latest
# adjudication of it, which is one with `settles`.
annotation_table = Table(
    "annotations",
    metadata,
    serial("id"),
    _of_incident(),
    Column("facet", String(100), nullable=False),
    Column("labels", JSON, nullable=False),
    Column("annotator", String(200), nullable=False),
    Column("origin", String(16), nullable=False),
    Column("is_gold", Boolean, nullable=False, server_default=false()),
    Column("note", EncryptedText, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("saw_model", Boolean),
    Column("settles", JSON(none_as_null=True)),
    Index(None, "incident_id", "id"),
    sqlite_autoincrement=True,
)

# `seq` is the order in which an annotator is given their incidents.
assignment_table = Table(
    "assignments",
    metadata,
    serial("seq"),
    _of_incident(),
    Column("annotator", String(200), nullable=False),
    Column("facets", JSON, nullable=False),
    Column("shows_model", Boolean, nullable=False),
    Column("created_at", Moment, nullable=False),
    UniqueConstraint("annotator", "incident_id"),
    Index(None, "incident_id"),
    sqlite_autoincrement=True,
)

# That an incident was put before an annotator, without and with the model's labels; when first.
serving_table = Table(
    "servings",
    metadata,
    _of_incident(primary_key=True),
    Column("annotator", String(200), primary_key=True),
    Column("showed_model", Boolean, primary_key=True),
    Column("created_at", Moment, nullable=False),
)

# `run_id` names the run that made the result, so that a repeated step stores it once.
triage_table = Table(
    "triages",
    metadata,
    serial("id"),
    _of_incident(),
    Column("run_id", String(200), nullable=False, unique=True),
    Column("document", EncryptedTriage, nullable=False),
    Column("degraded", Boolean, nullable=False),
    Column("created_at", Moment, nullable=False),
    Index(None, "incident_id", "id"),
    sqlite_autoincrement=True,
)

# One vector for each incident and embedder: little-endian float32, as NumPy writes them.
vector_table = Table(
    "vectors",
    metadata,
    _of_incident(primary_key=True),
    Column("fingerprint", String(200), primary_key=True),
    Column("dimension", Integer, nullable=False),
    Column("vector", LargeBinary, nullable=False),
)

# The key itself is never kept: `hash` is the SHA-256 of a secret with 256 random bits. After a rotation the secret
# before still opens until `previous_until`.
key_table = Table(
    "api_keys",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("name", String(200), nullable=False),
    Column("hash", String(64), nullable=False, unique=True),
    Column("previous_hash", String(64)),
    Column("previous_until", Moment),
    Column("scopes", JSON, nullable=False),
    Column("teams", JSON, nullable=False),
    Column("requests_per_minute", Integer),
    Column("created_at", Moment, nullable=False),
    Column("expires_at", Moment),
    Column("revoked_at", Moment),
    Column("last_used_at", Moment),
)

# Browsers in which somebody gave their key. `hash` is the SHA-256 of the token that the browser keeps as a cookie.
session_table = Table(
    "sessions",
    metadata,
    Column("hash", String(64), primary_key=True),
    Column("key_id", String(32), nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
)

# What was done to labels, incidents and keys, by whom. No foreign key: the record of a deletion outlives the incident.
audit_table = Table(
    "audit",
    metadata,
    serial("seq"),
    Column("created_at", Moment, nullable=False),
    Column("actor", String(200), nullable=False),
    Column("action", String(64), nullable=False),
    Column("team", String(64), nullable=False),
    Column("incident_id", String(128)),
    Column("details", JSON, nullable=False),
    Index(None, "incident_id", "seq"),
    Index(None, "team", "seq"),
    sqlite_autoincrement=True,
)

# Who is told of finished triages. `secret` signs what is sent; it is sealed where the store seals.
subscription_table = Table(
    "subscriptions",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("team", String(64), nullable=False),
    Column("url", Text, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("events", JSON, nullable=False),
    Column("secret", Text, nullable=False),
    Column("is_active", Boolean, nullable=False, server_default=true()),
    Column("created_at", Moment, nullable=False),
)

# One row for each event and subscription, written in the transaction that made the event happen.
notification_table = Table(
    "notifications",
    metadata,
    serial("seq"),
    Column("id", String(64), nullable=False, unique=True),
    Column("subscription_id", String(32), nullable=False),
    Column("event", String(32), nullable=False),
    Column("incident_id", String(128), nullable=False),
    Column("run_id", String(200), nullable=False),
    Column("state", String(16), nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("next_at", Moment),
    Column("failure", Text),
    Column("created_at", Moment, nullable=False),
    Column("delivered_at", Moment),
    UniqueConstraint("subscription_id", "event", "run_id"),
    Index(None, "state", "next_at"),
    Index(None, "incident_id"),
    sqlite_autoincrement=True,
)

# Where incidents may come in by webhook, each with the secret that its sender signs with.
webhook_source_table = Table(
    "webhook_sources",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("team", String(64), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("secret", Text, nullable=False),
    Column("is_active", Boolean, nullable=False, server_default=true()),
    Column("created_at", Moment, nullable=False),
)

# Processes that are at work. One that was not seen for a while is dead, and others take up its work.
process_table = Table(
    "processes",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("role", String(16), nullable=False),
    Column("version", String(32), nullable=False),
    Column("started_at", Moment, nullable=False),
    Column("seen_at", Moment, nullable=False),
)

# Incidents whose entry in the index may differ from the gold labels here; a mark is taken away by its `seq`.
index_mark_table = Table(
    "index_marks",
    metadata,
    serial("seq"),
    Column("incident_id", String(128), nullable=False),
    Column("created_at", Moment, nullable=False),
    Index(None, "incident_id"),
    sqlite_autoincrement=True,
)

# What all processes together have asked of a provider: the moment, in Unix seconds, at which its allowance is full
# again (the theoretical arrival time of the generic cell rate algorithm).
provider_pace_table = Table(
    "provider_pace",
    metadata,
    Column("provider", String(200), primary_key=True),
    Column("measure", String(16), primary_key=True),
    Column("full_at", Float, nullable=False),
)

# What the models took, by day (UTC) and model.
spending_table = Table(
    "spending",
    metadata,
    Column("day", String(10), primary_key=True),
    Column("model", String(200), primary_key=True),
    Column("calls", BigInteger, nullable=False, server_default="0"),
    Column("prompt_tokens", BigInteger, nullable=False, server_default="0"),
    Column("completion_tokens", BigInteger, nullable=False, server_default="0"),
    Column("cost", Float, nullable=False, server_default="0"),
    Column("is_priced", Boolean, nullable=False, server_default=false()),
)
