"""Backups: everything that is kept, at one moment, in one file that SQLite and PostgreSQL both restore from.

A backup is a zip: `tables/<name>.jsonl` with a JSON object for each row in the order of the primary key, and
`manifest.json`. Sealed texts stay sealed: without the keys a backup of a sealed store tells as little as the store.
"""

from __future__ import annotations

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
    func,
    inspect,
    make_url,
    select,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from triage.domain.errors import InvalidInput, MisconfiguredService, NotFound
from triage.observability.progress import Progress, silent
from triage.store.database import create_engine
from triage.store.migrations import known_revisions, read_revision
from triage.store.reencryption import is_store_encrypted
from triage.store.tables import metadata

FORMAT = 1
"""The version of the file's make-up."""

_MANIFEST = "manifest.json"
_KEYS = frozenset({"api_keys", "sessions"})
_PORTION = 200
_READ_BYTES = 1 << 20


class TableFile(BaseModel, frozen=True):
    """The rows of one table, and the SHA-256 of its file."""

    rows: int
    sha256: str


class Manifest(BaseModel, frozen=True):
    """What a backup holds. `revision` is that of its tables; without keys, `api_keys` and `sessions` are there
    and empty."""

    format: int
    revision: str
    created_at: AwareDatetime
    is_sealed: bool
    has_keys: bool
    embedders: tuple[str, ...]
    tables: dict[str, TableFile]

    @property
    def rows(self) -> int:
        """The rows of all tables."""
        return sum(table.rows for table in self.tables.values())


async def write_backup(
    database_url: str, path: Path, *, with_keys: bool = True, progress: Progress = silent
) -> Manifest:
    """Write all tables, as they are at one moment, to `path`; readers and writers go on meanwhile.

    The file appears when it is whole. Raises `NotFound` where there are no tables, and `MisconfiguredService` for
    those of a newer version, and `InvalidInput` for a file that can't be written.
    """
    part = path.with_name(path.name + ".part")
    try:
        # Only its owner may read it: it holds write-ups. So it is a new file, whatever lay, or led elsewhere, there.
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
    """The manifest of a backup, after every file in it was read and found whole. Raises `InvalidInput`."""
    with open_backup(path) as archive:
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


def open_backup(path: Path) -> zipfile.ZipFile:
    """The file of a backup. Raises `NotFound` or `InvalidInput`."""
    if not path.is_file():
        raise NotFound(f"There is no file {path}.", path=str(path))
    try:
        return zipfile.ZipFile(path)
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError) as error:
        raise _damaged(path, "it is no zip file, or cut off") from error


def read_rows(archive: zipfile.ZipFile, table: Table) -> Iterator[list[dict[str, Any]]]:
    """The rows of a table in portions, as its columns take them."""
    kinds = {column.name: column.type.python_type for column in table.columns if not isinstance(column.type, JSON)}
    with archive.open(f"tables/{table.name}.jsonl") as lines:
        portion: list[dict[str, Any]] = []
        for line in lines:
            portion.append({name: _decoded(value, kinds.get(name)) for name, value in json.loads(line).items()})
            if len(portion) == _PORTION:
                yield portion
                portion = []
        if portion:
            yield portion


def reflect(connection: Connection) -> MetaData:
    """Our tables as the database has them, at whatever revision, those that others refer to first."""
    ours = [name for name in inspect(connection).get_table_names() if name in metadata.tables]
    found = MetaData()
    found.reflect(connection, only=ours)
    return found


@asynccontextmanager
async def _snapshot(database_url: str) -> AsyncIterator[AsyncConnection]:
    """A connection whose reads all see the same moment."""
    _check_there(make_url(database_url))
    engine = create_engine(database_url)
    try:
        # A read transaction of SQLite's write-ahead log is a snapshot as it is.
        one_moment = {"isolation_level": "REPEATABLE READ"} if engine.dialect.name == "postgresql" else {}
        async with engine.execution_options(**one_moment).connect() as connection:
            yield connection
    finally:
        await engine.dispose()


def _check_there(url: URL) -> None:
    # SQLite would make an empty file.
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
    tables = (await connection.run_sync(reflect)).sorted_tables
    counts = [await connection.scalar(select(func.count()).select_from(table)) or 0 for table in tables]
    total, done, files = sum(counts), 0, {}
    for table in tables:
        digest, rows = hashlib.sha256(), 0
        with archive.open(f"tables/{table.name}.jsonl", "w", force_zip64=True) as file:
            if with_keys or table.name not in _KEYS:
                async for portion in _read(connection, table):
                    _write_rows(file, digest, table, portion)
                    rows, done = rows + len(portion), done + len(portion)
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
    result = await connection.stream(query.execution_options(yield_per=_PORTION))
    async for portion in result.partitions():
        yield portion


def _ordered(connection: AsyncConnection, column: ColumnElement[Any]) -> ColumnElement[Any]:
    # By the bytes of texts, as SQLite does it, whatever language the PostgreSQL was set up for.
    if connection.dialect.name == "postgresql" and isinstance(column.type, String):
        return column.collate("C")
    return column


def _write_rows(file: IO[bytes], digest: Any, table: Table, portion: Sequence[Row[Any]]) -> None:
    names = [column.name for column in table.columns]
    lines = "".join(
        json.dumps(dict(zip(names, map(_encoded, row), strict=True)), ensure_ascii=False, sort_keys=True) + "\n"
        for row in portion
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
