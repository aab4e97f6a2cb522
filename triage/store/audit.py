"""The audit log: what was done to incidents, labels and keys, by whom. Never what they say."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from triage.store.service_tables import audit_table


async def record(
    connection: AsyncConnection,
    actor: str,
    action: str,
    team: str,
    incident_id: str | None,
    details: Mapping[str, Any],
) -> None:
    """Add a row in the transaction that does what it tells of."""
    await connection.execute(
        audit_table.insert().values(
            created_at=datetime.now(UTC),
            actor=actor,
            action=action,
            team=team,
            incident_id=incident_id,
            details=dict(details),
        )
    )
