"""The audit log: who changed which labels, incidents and keys, written in the transaction of the change."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic import AwareDatetime, BaseModel, Field
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from triage.store.cursor import read_cursor, write_cursor
from triage.store.database import Database, read_row
from triage.store.tables import audit_table


class AuditEntry(BaseModel, frozen=True):
    """One change. `team` is empty where it concerns no single team; `details` say what was before and is after."""

    seq: int
    created_at: AwareDatetime
    actor: str = Field(description="`key:<id> <name>`, `anonymous`, `cli:<user>`, or `service`.")
    action: str
    team: str
    incident_id: str | None
    details: dict[str, Any]


class AuditPage(BaseModel, frozen=True):
    """Some changes, newest first, and the cursor of the next page (None on the last)."""

    entries: tuple[AuditEntry, ...]
    next_cursor: str | None


@dataclass
class Audit:
    """The audit log. Entries are only ever added."""

    database: Database

    async def list(
        self,
        limit: int,
        cursor: str | None = None,
        incident_id: str | None = None,
        teams: Collection[str] | None = None,
    ) -> AuditPage:
        """Changes, newest first: all, those of an incident, or those of `teams`. Raises `InvalidInput` for a wrong
        cursor."""
        query = select(audit_table).order_by(audit_table.c.seq.desc()).limit(limit + 1)
        if cursor is not None:
            query = query.where(audit_table.c.seq < read_cursor(cursor))
        if incident_id is not None:
            query = query.where(audit_table.c.incident_id == incident_id)
        if teams is not None:
            query = query.where(audit_table.c.team.in_(teams))
        found = await self.database.rows(query)
        return AuditPage(
            entries=tuple(read_row(AuditEntry, row) for row in found[:limit]),
            next_cursor=write_cursor(found[limit - 1].seq) if len(found) > limit else None,
        )


async def write_audit(
    connection: AsyncConnection,
    actor: str,
    action: str,
    team: str,
    incident_id: str | None,
    details: Mapping[str, Any],
) -> None:
    """Log a change in the transaction that makes it. `details` are JSON without secrets and texts."""
    await connection.execute(audit_table.insert(), audit_entry(actor, action, team, incident_id, details))


def audit_entry(
    actor: str, action: str, team: str, incident_id: str | None, details: Mapping[str, Any]
) -> dict[str, Any]:
    """The row of `write_audit`, for many of them at once."""
    return {
        "created_at": datetime.now(UTC),
        "actor": actor[:200],
        "action": action,
        "team": team,
        "incident_id": incident_id,
        "details": dict(details),
    }
