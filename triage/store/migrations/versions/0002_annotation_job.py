"""Assignments, what annotators were shown, and adjudications."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column("annotations", sa.Column("saw_model", sa.Boolean()))
    op.add_column("annotations", sa.Column("settles", sa.JSON()))
    op.create_table(
        "assignments",
        sa.Column("seq", _SERIAL, autoincrement=True, nullable=False),
        sa.Column("incident_id", sa.String(128), nullable=False),
        sa.Column("annotator", sa.String(200), nullable=False),
        sa.Column("facets", sa.JSON(), nullable=False),
        sa.Column("shows_model", sa.Boolean(), nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_assignments"),
        sa.UniqueConstraint("annotator", "incident_id", name="uq_assignments_annotator_incident_id"),
        sa.ForeignKeyConstraint(
            ["incident_id"], ["incidents.id"], name="fk_assignments_incident_id_incidents", ondelete="CASCADE"
        ),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_assignments_incident_id", "assignments", ["incident_id"])
    op.create_table(
        "servings",
        sa.Column("incident_id", sa.String(128), nullable=False),
        sa.Column("annotator", sa.String(200), nullable=False),
        sa.Column("showed_model", sa.Boolean(), nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("incident_id", "annotator", "showed_model", name="pk_servings"),
        sa.ForeignKeyConstraint(
            ["incident_id"], ["incidents.id"], name="fk_servings_incident_id_incidents", ondelete="CASCADE"
        ),
    )


def downgrade() -> None:
    """Keep annotations; adjudications become plain gold annotations."""
    op.drop_table("servings")
    op.drop_table("assignments")
    # Plain DROP COLUMN: a batch would copy the table and lose its AUTOINCREMENT.
    op.drop_column("annotations", "settles")
    op.drop_column("annotations", "saw_model")
