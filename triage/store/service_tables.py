"""The tables of a service that runs in many processes: who may do what, what is to be told to whom, who is at work."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    true,
)

from triage.store.tables import Moment, metadata, serial

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
