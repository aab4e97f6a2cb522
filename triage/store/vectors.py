"""Stored vectors of write-ups: one for each incident and embedder."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from triage.models.embedding import Vectors
from triage.store.database import Database
from triage.store.incidents import lock_incidents
from triage.store.tables import vector_table


@dataclass
class StoredVectors:
    """Vectors by incident id and by the fingerprint of the embedder that made them."""

    database: Database

    async def find_many(self, fingerprint: str, incident_ids: Collection[str]) -> dict[str, Vectors]:
        """Incident id -> vector, for those of `incident_ids` that have one."""
        of = vector_table.c
        query = select(of.incident_id, of.vector).where(of.fingerprint == fingerprint)
        rows = await self.database.rows_of(incident_ids, lambda chunk: query.where(of.incident_id.in_(chunk)))
        return {row.incident_id: np.frombuffer(row.vector, dtype="<f4").astype(np.float32) for row in rows}

    async def save(self, fingerprint: str, vectors: Mapping[str, Vectors]) -> None:
        """Store vectors by incident id, replacing earlier ones of the same embedder.

        Raises `NotFound` if an incident does not exist.
        """
        async with self.database.write() as connection:
            await lock_incidents(connection, vectors)
            for incident_id, vector in vectors.items():
                await save_vector(connection, incident_id, fingerprint, vector)


async def save_vector(connection: AsyncConnection, incident_id: str, fingerprint: str, vector: Vectors) -> None:
    """Store a vector, replacing an earlier one of the same embedder."""
    mine = (vector_table.c.incident_id == incident_id) & (vector_table.c.fingerprint == fingerprint)
    await connection.execute(vector_table.delete().where(mine))
    await connection.execute(
        vector_table.insert().values(
            incident_id=incident_id,
            fingerprint=fingerprint,
            dimension=vector.shape[-1],
            vector=np.ascontiguousarray(vector, dtype="<f4").tobytes(),
        )
    )
