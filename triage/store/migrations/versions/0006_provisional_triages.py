"""Provisional triages of pending incidents."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add a table that programs of the previous version ignore."""
    op.create_table(
        "provisional_triages",
        sa.Column("incident_id", sa.String(128), nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.ForeignKeyConstraint(
            ["incident_id"], ["incidents.id"], name="fk_provisional_triages_incident_id_incidents", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("incident_id", name="pk_provisional_triages"),
    )


def downgrade() -> None:
    """Pending incidents lose their provisional triages; their triages replace these anyway."""
    op.drop_table("provisional_triages")
