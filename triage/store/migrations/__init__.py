"""Migrations of the tables, applied at start. A new one is a file in `versions/`; released ones never change.

Within a minor version migrations only add, so that older programs keep working beside new ones. A migration that
breaks them sets `compatible_from` in `schema_info` to the earliest revision whose programs still work.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, select, text

from triage.domain.errors import MisconfiguredService
from triage.store.database import WRITES, create_engine
from triage.store.tables import schema_info_table

if TYPE_CHECKING:
    from alembic.config import Config

_log = logging.getLogger(__name__)

_ADVISORY_LOCK = 0x7472_6961


async def upgrade(database_url: str, revision: str = "head") -> None:
    """Create the tables or upgrade them to this version. Many processes may call it at once.

    Leaves a newer database as it is. Raises `MisconfiguredService` if this version can't work on it.
    """
    await _move(database_url, upgrade_on, revision)


async def downgrade(database_url: str, revision: str) -> None:
    """Downgrade the tables to an earlier revision. Data that it has no place for is lost."""
    await _move(database_url, downgrade_on, revision)


def upgrade_on(connection: Connection, revision: str = "head") -> None:
    """`upgrade` in the connection's transaction."""
    from alembic import command

    config = _begin(connection)
    current, known = read_revision(connection), known_revisions()
    if current is None or current in known:
        command.upgrade(config, revision)
        return
    compatible_from = _compatible_from(connection)
    if compatible_from is None or compatible_from > known[-1]:
        raise MisconfiguredService(
            f"The database was upgraded by a newer triage (revision {current}); this version knows up to {known[-1]} "
            "and can't work on it: start the newer version, or restore a backup that was made before.",
            setting="TRIAGE_DATABASE_URL",
        )
    _log.info("The database is that of a newer triage (revision %s), which this version can work on.", current)


def downgrade_on(connection: Connection, revision: str) -> None:
    """`downgrade` in the connection's transaction. Raises `MisconfiguredService` for a newer database."""
    from alembic import command

    config = _begin(connection)
    current, known = read_revision(connection), known_revisions()
    if current is not None and current not in known:
        raise MisconfiguredService(
            f"The database was upgraded by a newer triage (revision {current}); this version knows up to {known[-1]}: "
            "go back with the newer one.",
            setting="TRIAGE_DATABASE_URL",
        )
    command.downgrade(config, revision)


def read_revision(connection: Connection) -> str | None:
    """The revision of the tables, or None if there are none."""
    from alembic.migration import MigrationContext

    return MigrationContext.configure(connection).get_current_revision()


def known_revisions() -> list[str]:
    """The revisions that this version knows, oldest first. They are numbered, so they can be compared."""
    from alembic.script import ScriptDirectory

    return [script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()][::-1]


async def _move(database_url: str, move: Callable[[Connection, str], None], revision: str) -> None:
    engine = create_engine(database_url)
    try:
        async with engine.execution_options(**WRITES).begin() as connection:
            await connection.run_sync(move, revision)
    finally:
        await engine.dispose()


def _begin(connection: Connection) -> Config:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
    config = _config()
    config.attributes["connection"] = connection
    return config


def _config() -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "triage.store:migrations")
    config.set_main_option("path_separator", "os")
    return config


def _compatible_from(connection: Connection) -> str | None:
    if not inspect(connection).has_table(schema_info_table.name):
        return None
    query = select(schema_info_table.c.value).where(schema_info_table.c.name == "compatible_from")
    found: str | None = connection.execute(query).scalar_one_or_none()
    return found
