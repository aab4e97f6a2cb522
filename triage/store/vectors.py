"""Vectors of write-ups as they are kept: one for each incident and embedder."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from triage.models.embedding import Vectors
from triage.store import rows
from triage.store.statements import chunks
from triage.store.tables import vector_table


async def keep_vector(connection: AsyncConnection, incident_id: str, fingerprint: str, vector: Vectors) -> None:
    """Keep a vector, in place of an earlier one of the same embedder."""
    mine = (vector_table.c.incident_id == incident_id) & (vector_table.c.fingerprint == fingerprint)
    await connection.execute(vector_table.delete().where(mine))
    await connection.execute(
        vector_table.insert().values(
            incident_id=incident_id,
            fingerprint=fingerprint,
            dimension=vector.shape[-1],
            vector=rows.write_vector(vector),
        )
    )


async def read_vectors(
    connection: AsyncConnection, fingerprint: str, incident_ids: Collection[str]
) -> dict[str, Vectors]:
    """Incident id -> vector by the embedder with this fingerprint, for those that have one."""
    found: dict[str, Vectors] = {}
    for chunk in chunks(incident_ids):
        query = select(vector_table.c.incident_id, vector_table.c.vector).where(
            vector_table.c.fingerprint == fingerprint, vector_table.c.incident_id.in_(chunk)
        )
        for incident_id, content in await connection.execute(query):
            found[incident_id] = rows.read_vector(content)
    return found
