"""State shared by many processes: teams, keys, audit log, webhooks, processes, rate limits and spending."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Only add, with defaults, so that processes of the previous version keep working."""
    op.add_column("incidents", sa.Column("team", sa.String(64), nullable=False, server_default="default"))
    op.create_index("ix_incidents_team_seq", "incidents", ["team", "seq"])
    # The shipped history belongs to all teams.
    op.execute(
        "UPDATE incidents SET team = 'shared' WHERE status = 'imported' AND id IN "
        "(SELECT incident_id FROM annotations WHERE annotator = 'llm_incidents' AND origin = 'derived')"
    )
    info = op.create_table(
        "schema_info",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_schema_info"),
    )
    op.bulk_insert(info, [{"name": "compatible_from", "value": "0002"}])
    op.create_table(
        "api_keys",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("previous_hash", sa.String(64)),
        sa.Column("previous_until", _MOMENT),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("teams", sa.JSON(), nullable=False),
        sa.Column("requests_per_minute", sa.Integer()),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("expires_at", _MOMENT),
        sa.Column("revoked_at", _MOMENT),
        sa.Column("last_used_at", _MOMENT),
        sa.PrimaryKeyConstraint("id", name="pk_api_keys"),
        sa.UniqueConstraint("hash", name="uq_api_keys_hash"),
    )
    op.create_table(
        "audit",
        sa.Column("seq", _SERIAL, autoincrement=True, nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("actor", sa.String(200), nullable=False),
        sa.Column("action", sa.String(64), nullable=False),
        sa.Column("team", sa.String(64), nullable=False),
        sa.Column("incident_id", sa.String(128)),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_audit"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_audit_incident_id_seq", "audit", ["incident_id", "seq"])
    op.create_index("ix_audit_team_seq", "audit", ["team", "seq"])
    _create_notifications()
    op.create_table(
        "processes",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("version", sa.String(32), nullable=False),
        sa.Column("started_at", _MOMENT, nullable=False),
        sa.Column("seen_at", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_processes"),
    )
    op.create_table(
        "index_marks",
        sa.Column("seq", _SERIAL, autoincrement=True, nullable=False),
        sa.Column("incident_id", sa.String(128), nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_index_marks"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_index_marks_incident_id", "index_marks", ["incident_id"])
    op.create_table(
        "provider_pace",
        sa.Column("provider", sa.String(200), nullable=False),
        sa.Column("measure", sa.String(16), nullable=False),
        sa.Column("full_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("provider", "measure", name="pk_provider_pace"),
    )
    op.create_table(
        "spending",
        sa.Column("day", sa.String(10), nullable=False),
        sa.Column("model", sa.String(200), nullable=False),
        sa.Column("calls", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("prompt_tokens", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("completion_tokens", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("cost", sa.Float(), nullable=False, server_default="0"),
        sa.Column("is_priced", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.PrimaryKeyConstraint("day", "model", name="pk_spending"),
    )


def downgrade() -> None:
    """Keys, the audit log, waiting notifications and the teams of incidents are lost."""
    for table in (
        "spending",
        "provider_pace",
        "index_marks",
        "processes",
        "webhook_sources",
        "notifications",
        "subscriptions",
        "audit",
        "api_keys",
        "schema_info",
    ):
        op.drop_table(table)
    op.drop_index("ix_incidents_team_seq", "incidents")
    op.drop_column("incidents", "team")


def _create_notifications() -> None:
    op.create_table(
        "subscriptions",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("team", sa.String(64), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("events", sa.JSON(), nullable=False),
        sa.Column("secret", sa.Text(), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False, server_default=sa.true()),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_subscriptions"),
    )
    op.create_table(
        "notifications",
        sa.Column("seq", _SERIAL, autoincrement=True, nullable=False),
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("subscription_id", sa.String(32), nullable=False),
        sa.Column("event", sa.String(32), nullable=False),
        sa.Column("incident_id", sa.String(128), nullable=False),
        sa.Column("run_id", sa.String(200), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("next_at", _MOMENT),
        sa.Column("failure", sa.Text()),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("delivered_at", _MOMENT),
        sa.PrimaryKeyConstraint("seq", name="pk_notifications"),
        sa.UniqueConstraint("id", name="uq_notifications_id"),
        sa.UniqueConstraint("subscription_id", "event", "run_id", name="uq_notifications_subscription_id_event_run_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_notifications_state_next_at", "notifications", ["state", "next_at"])
    op.create_index("ix_notifications_incident_id", "notifications", ["incident_id"])
    op.create_table(
        "webhook_sources",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("team", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("secret", sa.Text(), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False, server_default=sa.true()),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_webhook_sources"),
    )
