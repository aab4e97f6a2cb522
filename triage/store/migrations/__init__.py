"""The history of the tables, applied at start. A new step is a file in `versions/`; released ones never change."""

from __future__ import annotations

from sqlalchemy import Connection, text

from triage.store.engine import WRITES, create_engine

_ADVISORY_LOCK = 0x7472_6961


async def upgrade(database_url: str) -> None:
    """Create the tables or bring them to this version. Many processes may call it at once."""
    engine = create_engine(database_url)
    try:
        async with engine.execution_options(**WRITES).begin() as connection:
            await connection.run_sync(_upgrade)
    finally:
        await engine.dispose()


def _upgrade(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
    config = Config()
    config.set_main_option("script_location", "triage.store:migrations")
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
