"""Backups: a snapshot of all tables in one file, which SQLite and PostgreSQL can both restore.

A backup is a zip file with `manifest.json` and, for each table, `tables/<name>.jsonl`: one JSON object per row, in the
order of the primary key. Encrypted texts stay encrypted and need the same keys.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import os
import zipfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from pydantic import AwareDatetime, BaseModel
from sqlalchemy import (
    JSON,
    URL,
    ColumnElement,
    Connection,
    MetaData,
    Row,
    String,
    Table,
    exists,
    func,
    inspect,
    make_url,
    select,
    text,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from triage.domain.errors import Conflict, InvalidInput, MisconfiguredService, NotFound
from triage.observability.progress import Progress, silent
from triage.store.database import WRITES, create_engine
from triage.store.migrations import known_revisions, read_revision, upgrade_on
from triage.store.reencryption import is_store_encrypted
from triage.store.tables import metadata

FORMAT = 1
"""The version of the file format."""

_MANIFEST = "manifest.json"
_KEYS = frozenset({"api_keys", "sessions"})
_BATCH = 200
_READ_BYTES = 1 << 20

# Empty databases have rows in these tables too.
_OWN = ("schema_info", "processes")


class TableFile(BaseModel, frozen=True):
    """The number of rows of a table, and the SHA-256 of its file."""

    rows: int
    sha256: str


class Manifest(BaseModel, frozen=True):
    """What a backup contains. `revision` is that of its tables. Without keys, `api_keys` and `sessions` are empty."""

    format: int
    revision: str
    created_at: AwareDatetime
    is_sealed: bool
    has_keys: bool
    embedders: tuple[str, ...]
    tables: dict[str, TableFile]

    @property
    def rows(self) -> int:
        return sum(table.rows for table in self.tables.values())


async def write_backup(
    database_url: str, path: Path, *, with_keys: bool = True, progress: Progress = silent
) -> Manifest:
    """Write a snapshot of all tables to `path`, without blocking readers and writers.

    The file appears once it is complete. Raises `NotFound` for a database without tables, `MisconfiguredService` for
    one of a newer version, and `InvalidInput` if the file can't be written.
    """
    part = path.with_name(path.name + ".part")
    try:
        # It contains write-ups, so only its owner may read it. It is a new file, so that no link is followed.
        part.unlink(missing_ok=True)
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            async with _snapshot(database_url) as connection:
                with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
                    manifest = await _write(connection, archive, with_keys, progress)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        raise InvalidInput(
            f"{path} can't be written ({error.strerror or error}): choose another place.", field="file"
        ) from error
    finally:
        part.unlink(missing_ok=True)
    return manifest


def verify_backup(path: Path) -> Manifest:
    """The manifest of a backup, after checking every file in it. Raises `NotFound` or `InvalidInput`."""
    with _open(path) as archive:
        manifest = _read_manifest(archive, path)
        for name, table in manifest.tables.items():
            rows, digest = 0, hashlib.sha256()
            try:
                with archive.open(f"tables/{name}.jsonl") as lines:
                    while piece := lines.read(_READ_BYTES):
                        digest.update(piece)
                        rows += piece.count(b"\n")
            except Exception as error:  # a damaged zip fails in many ways
                raise _damaged(path, f"table {name} can't be read ({error})") from error
            if rows != table.rows or digest.hexdigest() != table.sha256:
                raise _damaged(path, f"table {name} is not as it was written")
    return manifest


async def restore_backup(
    database_url: str,
    path: Path,
    *,
    replace: bool = False,
    dry_run: bool = False,
    progress: Progress = silent,
) -> Manifest:
    """Restore a backup and upgrade the tables to this version, in one transaction. With `dry_run` only check it.

    Raises `InvalidInput` for a damaged backup or one of a newer version, and `Conflict` if the database is not empty
    and `replace` is false.
    """
    manifest = await asyncio.to_thread(verify_backup, path)
    if manifest.revision not in known_revisions():
        raise InvalidInput(
            f"{path} was made by a newer triage (revision {manifest.revision}; this version knows up to "
            f"{known_revisions()[-1]}): restore it with that one.",
            field="file",
        )
    engine = create_engine(database_url)
    try:
        async with engine.execution_options(**WRITES).begin() as connection:
            there = await connection.run_sync(_reflect)
            if not replace and (filled := await _list_filled(connection, there)):
                raise Conflict(
                    f"The database is not empty ({', '.join(filled)}): choose an empty one, or give --replace to lose "
                    "what it holds.",
                    tables=filled,
                )
            if dry_run:
                return manifest
            await connection.run_sync(_recreate, there, manifest.revision)
            await _fill(connection, path, manifest, progress)
            await connection.run_sync(upgrade_on)
    finally:
        await engine.dispose()
    return manifest


def _open(path: Path) -> zipfile.ZipFile:
    if not path.is_file():
        raise NotFound(f"There is no file {path}.", path=str(path))
    try:
        return zipfile.ZipFile(path)
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError) as error:
        raise _damaged(path, "it is no zip file, or cut off") from error


def _read_rows(archive: zipfile.ZipFile, table: Table) -> Iterator[list[dict[str, Any]]]:
    """The rows of a table in batches, converted to the types of its columns."""
    kinds = {column.name: column.type.python_type for column in table.columns if not isinstance(column.type, JSON)}
    with archive.open(f"tables/{table.name}.jsonl") as lines:
        batch: list[dict[str, Any]] = []
        for line in lines:
            batch.append({name: _decoded(value, kinds.get(name)) for name, value in json.loads(line).items()})
            if len(batch) == _BATCH:
                yield batch
                batch = []
        if batch:
            yield batch


def _reflect(connection: Connection) -> MetaData:
    """Our tables as they are in the database, whatever its revision."""
    ours = [name for name in inspect(connection).get_table_names() if name in metadata.tables]
    found = MetaData()
    found.reflect(connection, only=ours)
    return found


@asynccontextmanager
async def _snapshot(database_url: str) -> AsyncIterator[AsyncConnection]:
    """A connection whose reads all see the same snapshot."""
    _check_exists(make_url(database_url))
    engine = create_engine(database_url)
    try:
        # With SQLite's write-ahead log, a read transaction is a snapshot.
        isolation = {"isolation_level": "REPEATABLE READ"} if engine.dialect.name == "postgresql" else {}
        async with engine.execution_options(**isolation).connect() as connection:
            yield connection
    finally:
        await engine.dispose()


def _check_exists(url: URL) -> None:
    # SQLite would create an empty file.
    if url.get_backend_name() == "sqlite" and not Path(url.database or "").is_file():
        raise NotFound(f"There is no database {url.database}.", path=str(url.database))


async def _write(
    connection: AsyncConnection, archive: zipfile.ZipFile, with_keys: bool, progress: Progress
) -> Manifest:
    revision = await connection.run_sync(read_revision)
    if revision is None:
        raise NotFound("The database holds no tables of triage: check TRIAGE_DATABASE_URL and TRIAGE_DATA_DIR.")
    if revision not in known_revisions():
        raise MisconfiguredService(
            f"The database was upgraded by a newer triage (revision {revision}): make its backup with that one.",
            setting="TRIAGE_DATABASE_URL",
        )
    tables = (await connection.run_sync(_reflect)).sorted_tables
    counts = [await connection.scalar(select(func.count()).select_from(table)) or 0 for table in tables]
    total, done, files = sum(counts), 0, {}
    for table in tables:
        digest, rows = hashlib.sha256(), 0
        with archive.open(f"tables/{table.name}.jsonl", "w", force_zip64=True) as file:
            if with_keys or table.name not in _KEYS:
                async for batch in _read(connection, table):
                    _write_rows(file, digest, table, batch)
                    rows, done = rows + len(batch), done + len(batch)
                    progress("Writing the backup", done, total)
        files[table.name] = TableFile(rows=rows, sha256=digest.hexdigest())
    by_name = {table.name: table for table in tables}
    fingerprint = by_name["vectors"].c.fingerprint
    manifest = Manifest(
        format=FORMAT,
        revision=revision,
        created_at=datetime.now(UTC),
        is_sealed="schema_info" in by_name and await is_store_encrypted(connection),
        has_keys=with_keys,
        embedders=tuple(sorted(await connection.scalars(select(fingerprint).distinct()))),
        tables=files,
    )
    archive.writestr(_MANIFEST, manifest.model_dump_json(indent=2))
    return manifest


async def _read(connection: AsyncConnection, table: Table) -> AsyncIterator[Sequence[Row[Any]]]:
    query = select(table).order_by(*(_ordered(connection, column) for column in table.primary_key.columns))
    result = await connection.stream(query.execution_options(yield_per=_BATCH))
    async for batch in result.partitions():
        yield batch


def _ordered(connection: AsyncConnection, column: ColumnElement[Any]) -> ColumnElement[Any]:
    # Sort texts by their bytes, as SQLite does, whatever the locale of PostgreSQL.
    if connection.dialect.name == "postgresql" and isinstance(column.type, String):
        return column.collate("C")
    return column


def _write_rows(file: IO[bytes], digest: Any, table: Table, batch: Sequence[Row[Any]]) -> None:
    names = [column.name for column in table.columns]
    lines = "".join(
        json.dumps(dict(zip(names, map(_encoded, row), strict=True)), ensure_ascii=False, sort_keys=True) + "\n"
        for row in batch
    ).encode()
    digest.update(lines)
    file.write(lines)


def _encoded(value: Any) -> Any:
    if isinstance(value, datetime):
        return (value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)).isoformat()
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value


def _decoded(value: Any, kind: type | None) -> Any:
    if value is None or kind not in (datetime, bytes):
        return value
    return datetime.fromisoformat(value) if kind is datetime else base64.b64decode(value)


def _read_manifest(archive: zipfile.ZipFile, path: Path) -> Manifest:
    try:
        content = json.loads(archive.read(_MANIFEST))
        if content["format"] > FORMAT:
            raise InvalidInput(
                f"{path} was written by a newer triage (format {content['format']}): restore it with that one.",
                field="file",
            )
        return Manifest.model_validate(content)
    except InvalidInput:
        raise
    except Exception as error:
        raise _damaged(path, "its manifest can't be read") from error


def _damaged(path: Path, why: str) -> InvalidInput:
    return InvalidInput(f"{path} is no whole backup: {why}. Use another one.", field="file")


async def _list_filled(connection: AsyncConnection, there: MetaData) -> list[str]:
    return [
        table.name
        for table in there.sorted_tables
        if table.name not in _OWN and await connection.scalar(select(exists(select(text("1")).select_from(table))))
    ]


def _recreate(connection: Connection, there: MetaData, revision: str) -> None:
    """Replace the tables with empty ones of `revision`."""
    there.drop_all(connection)
    if inspect(connection).has_table("alembic_version"):
        connection.execute(text("DROP TABLE alembic_version"))
    upgrade_on(connection, revision)


async def _fill(connection: AsyncConnection, path: Path, manifest: Manifest, progress: Progress) -> None:
    tables = await connection.run_sync(_reflect)
    if unknown := set(manifest.tables) - set(tables.tables):
        raise InvalidInput(f"{path} holds tables that are not ours: {', '.join(sorted(unknown))}.", field="file")
    done = 0
    with _open(path) as archive:
        for table in tables.sorted_tables:
            # Migrations may have inserted rows.
            await connection.execute(table.delete())
            if table.name not in manifest.tables:
                continue
            _store_nulls(table)
            for batch in _read_rows(archive, table):
                await connection.execute(table.insert(), batch)
                done += len(batch)
                progress("Restoring the backup", done, manifest.rows)
            if connection.dialect.name == "postgresql":
                await _restart_numbering(connection, table)


def _store_nulls(table: Table) -> None:
    for column in table.columns:
        if isinstance(column.type, JSON):
            # Store None as NULL, not as the JSON value null.
            column.type = JSON(none_as_null=True)


async def _restart_numbering(connection: AsyncConnection, table: Table) -> None:
    """Continue numbering after the restored rows. SQLite does so by itself."""
    for column in table.primary_key.columns:
        names: dict[str, Any] = {"of_table": table.name, "of_column": column.name}
        sequence = await connection.scalar(text("SELECT pg_get_serial_sequence(:of_table, :of_column)"), names)
        last = await connection.scalar(select(func.max(column))) if sequence else None
        if last is not None:
            await connection.execute(text("SELECT setval(:sequence, :last)"), {"sequence": sequence, "last": last})
