"""Which triage an annotation confirms."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add a column that programs of the previous version ignore."""
    op.add_column("annotations", sa.Column("confirms", sa.String(200)))


def downgrade() -> None:
    """Confirmations become labels like others."""
    op.drop_column("annotations", "confirms")
