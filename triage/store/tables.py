"""The tables. Column types are those that SQLite and PostgreSQL share."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from triage.store.encryption import EncryptedMapping, EncryptedText, EncryptedTriage

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class Moment(sa.TypeDecorator[datetime]):
    """A time in UTC. Values have a time zone, although SQLite does not store it."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy's signature
        if value is not None and value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone")
        return value and value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy's signature
        return value and (value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC))


def serial(name: str) -> sa.Column[Any]:
    """An auto-incrementing primary key."""
    # SQLite auto-increments only a column that is exactly INTEGER PRIMARY KEY.
    return sa.Column(name, sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=True)


def _of_incident(**kwargs: Any) -> sa.Column[Any]:
    return sa.Column(
        "incident_id", sa.String(128), sa.ForeignKey("incidents.id", ondelete="CASCADE"), nullable=False, **kwargs
    )


# Facts about the store: `compatible_from` is the earliest revision whose programs can use these tables, `seal` a known
# text encrypted with the store's key.
schema_info_table = sa.Table(
    "schema_info",
    metadata,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)

# `seq` is the order of arrival. Lists and cursors use it, so pages don't shift when incidents arrive.
incident_table = sa.Table(
    "incidents",
    metadata,
    serial("seq"),
    sa.Column("id", sa.String(128), nullable=False, unique=True),
    sa.Column("title", EncryptedText, nullable=False),
    sa.Column("write_up", EncryptedText, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("service", sa.Text, nullable=False),
    sa.Column("severity", sa.Text, nullable=False),
    sa.Column("url", EncryptedText, nullable=False),
    sa.Column("started_at", Moment),
    sa.Column("detected_at", Moment),
    sa.Column("mitigated_at", Moment),
    sa.Column("resolved_at", Moment),
    sa.Column("attributes", EncryptedMapping, nullable=False),
    sa.Column("taxonomy", sa.String(100), nullable=False),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("failures", sa.Integer, nullable=False, server_default="0"),
    sa.Column("failure", EncryptedText),
    sa.Column("retry_at", Moment),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("updated_at", Moment, nullable=False),
    sa.Column("team", sa.String(64), nullable=False, server_default="default"),
    sa.Index(None, "status", "seq"),
    sa.Index(None, "team", "seq"),
    sqlite_autoincrement=True,
)

# Append-only: an annotator's latest annotation of a facet counts, and their latest adjudication (one with `settles`).
annotation_table = sa.Table(
    "annotations",
    metadata,
    serial("id"),
    _of_incident(),
    sa.Column("facet", sa.String(100), nullable=False),
    sa.Column("labels", sa.JSON, nullable=False),
    sa.Column("annotator", sa.String(200), nullable=False),
    sa.Column("origin", sa.String(16), nullable=False),
    sa.Column("is_gold", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("note", EncryptedText, nullable=False),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("saw_model", sa.Boolean),
    sa.Column("settles", sa.JSON(none_as_null=True)),
    sa.Column("confirms", sa.String(200)),
    sa.Index(None, "incident_id", "id"),
    sqlite_autoincrement=True,
)

# `seq` is the order in which annotators get their incidents.
assignment_table = sa.Table(
    "assignments",
    metadata,
    serial("seq"),
    _of_incident(),
    sa.Column("annotator", sa.String(200), nullable=False),
    sa.Column("facets", sa.JSON, nullable=False),
    sa.Column("shows_model", sa.Boolean, nullable=False),
    sa.Column("created_at", Moment, nullable=False),
    sa.UniqueConstraint("annotator", "incident_id"),
    sa.Index(None, "incident_id"),
    sqlite_autoincrement=True,
)

# When an annotator was first shown an incident, with and without the model's labels.
serving_table = sa.Table(
    "servings",
    metadata,
    _of_incident(primary_key=True),
    sa.Column("annotator", sa.String(200), primary_key=True),
    sa.Column("showed_model", sa.Boolean, primary_key=True),
    sa.Column("created_at", Moment, nullable=False),
)

# `run_id` identifies the run, so that a repeated step stores its result once.
triage_table = sa.Table(
    "triages",
    metadata,
    serial("id"),
    _of_incident(),
    sa.Column("run_id", sa.String(200), nullable=False, unique=True),
    sa.Column("document", EncryptedTriage, nullable=False),
    sa.Column("degraded", sa.Boolean, nullable=False),
    sa.Column("created_at", Moment, nullable=False),
    sa.Index(None, "incident_id", "id"),
    sqlite_autoincrement=True,
)

# The triage of a pending incident without the model, until its triage is stored.
provisional_table = sa.Table(
    "provisional_triages",
    metadata,
    _of_incident(primary_key=True),
    sa.Column("document", EncryptedTriage, nullable=False),
)

# One vector per incident and embedder, in little-endian float32.
vector_table = sa.Table(
    "vectors",
    metadata,
    _of_incident(primary_key=True),
    sa.Column("fingerprint", sa.String(200), primary_key=True),
    sa.Column("dimension", sa.Integer, nullable=False),
    sa.Column("vector", sa.LargeBinary, nullable=False),
)

# `hash` is the SHA-256 of a 256-bit random secret. The previous secret is valid until `previous_until`.
key_table = sa.Table(
    "api_keys",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("name", sa.String(200), nullable=False),
    sa.Column("hash", sa.String(64), nullable=False, unique=True),
    sa.Column("previous_hash", sa.String(64)),
    sa.Column("previous_until", Moment),
    sa.Column("scopes", sa.JSON, nullable=False),
    sa.Column("teams", sa.JSON, nullable=False),
    sa.Column("requests_per_minute", sa.Integer),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("expires_at", Moment),
    sa.Column("revoked_at", Moment),
    sa.Column("last_used_at", Moment),
)

# Signed-in browsers. `hash` is the SHA-256 of the token in the browser's cookie.
session_table = sa.Table(
    "sessions",
    metadata,
    sa.Column("hash", sa.String(64), primary_key=True),
    sa.Column("key_id", sa.String(32), nullable=False),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("expires_at", Moment, nullable=False),
)

# Who changed which labels, incidents and keys. No foreign key: the entry of a deletion outlives the incident.
audit_table = sa.Table(
    "audit",
    metadata,
    serial("seq"),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("actor", sa.String(200), nullable=False),
    sa.Column("action", sa.String(64), nullable=False),
    sa.Column("team", sa.String(64), nullable=False),
    sa.Column("incident_id", sa.String(128)),
    sa.Column("details", sa.JSON, nullable=False),
    sa.Index(None, "incident_id", "seq"),
    sa.Index(None, "team", "seq"),
    sqlite_autoincrement=True,
)

# Receivers of events. `secret` signs the messages; it is encrypted if the store is.
subscription_table = sa.Table(
    "subscriptions",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("team", sa.String(64), nullable=False),
    sa.Column("url", sa.Text, nullable=False),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("events", sa.JSON, nullable=False),
    sa.Column("secret", sa.Text, nullable=False),
    sa.Column("is_active", sa.Boolean, nullable=False, server_default=sa.true()),
    sa.Column("created_at", Moment, nullable=False),
)

# One row per event and subscription, written in the transaction of the event.
notification_table = sa.Table(
    "notifications",
    metadata,
    serial("seq"),
    sa.Column("id", sa.String(64), nullable=False, unique=True),
    sa.Column("subscription_id", sa.String(32), nullable=False),
    sa.Column("event", sa.String(32), nullable=False),
    sa.Column("incident_id", sa.String(128), nullable=False),
    sa.Column("run_id", sa.String(200), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("next_at", Moment),
    sa.Column("failure", sa.Text),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("delivered_at", Moment),
    sa.UniqueConstraint("subscription_id", "event", "run_id"),
    sa.Index(None, "state", "next_at"),
    sa.Index(None, "incident_id"),
    sqlite_autoincrement=True,
)

# Senders of incidents by webhook, with the secrets they sign with.
webhook_source_table = sa.Table(
    "webhook_sources",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("team", sa.String(64), nullable=False),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("secret", sa.Text, nullable=False),
    sa.Column("is_active", sa.Boolean, nullable=False, server_default=sa.true()),
    sa.Column("created_at", Moment, nullable=False),
)

# Running processes. One that was not seen for a while is dead, and others take over its work.
process_table = sa.Table(
    "processes",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("role", sa.String(16), nullable=False),
    sa.Column("version", sa.String(32), nullable=False),
    sa.Column("started_at", Moment, nullable=False),
    sa.Column("seen_at", Moment, nullable=False),
)

# Incidents whose index entry may be outdated. A mark is deleted by its `seq`.
index_mark_table = sa.Table(
    "index_marks",
    metadata,
    serial("seq"),
    sa.Column("incident_id", sa.String(128), nullable=False),
    sa.Column("created_at", Moment, nullable=False),
    sa.Index(None, "incident_id"),
    sqlite_autoincrement=True,
)

# Use of a provider by all processes: when its allowance is full again, in Unix seconds (the theoretical arrival time of
# the generic cell rate algorithm).
provider_pace_table = sa.Table(
    "provider_pace",
    metadata,
    sa.Column("provider", sa.String(200), primary_key=True),
    sa.Column("measure", sa.String(16), primary_key=True),
    sa.Column("full_at", sa.Float, nullable=False),
)

# Usage by day (UTC) and model.
spending_table = sa.Table(
    "spending",
    metadata,
    sa.Column("day", sa.String(10), primary_key=True),
    sa.Column("model", sa.String(200), primary_key=True),
    sa.Column("calls", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("prompt_tokens", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("completion_tokens", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("cost", sa.Float, nullable=False, server_default="0"),
    sa.Column("is_priced", sa.Boolean, nullable=False, server_default=sa.false()),
)


def in_teams(teams: Collection[str] | None) -> list[sa.ColumnElement[bool]]:
    """The condition that an incident belongs to one of these teams; None stands for all teams."""
    return [] if teams is None else [incident_table.c.team.in_(teams)]
