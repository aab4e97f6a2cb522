"""The history of the tables, applied at start. A new step is a file in `versions/`; released ones never change."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection, text

from triage.store.engine import WRITES, create_engine

_ADVISORY_LOCK = 0x7472_6961


async def upgrade(database_url: str, revision: str = "head") -> None:
    """Create the tables or bring them to this version. Many processes may call it at once."""
    from alembic import command

    await _move(database_url, revision, command.upgrade)


async def downgrade(database_url: str, revision: str) -> None:
    """Bring the tables back to an earlier version; what only later ones can hold is lost."""
    from alembic import command

    await _move(database_url, revision, command.downgrade)


async def _move(database_url: str, revision: str, command: Callable[..., None]) -> None:
    engine = create_engine(database_url)
    try:
        async with engine.execution_options(**WRITES).begin() as connection:
            await connection.run_sync(_run, command, revision)
    finally:
        await engine.dispose()


def _run(connection: Connection, command: Callable[..., None], revision: str) -> None:
    from alembic.config import Config

    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
    config = Config()
    config.set_main_option("script_location", "triage.store:migrations")
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command(config, revision)
