"""Clients of Chroma: in memory, in a folder that only one process may use, or of a server."""

from __future__ import annotations

import logging
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from triage.domain.errors import MisconfiguredService
from triage.history.allocator import clear_memory

_log = logging.getLogger(__name__)

_FORMAT = "3"
"""The format of the entries: an index of another format is rebuilt.

The first format held texts, and the second may hold earlier contents of memory; see `allocator.clear_memory`.
"""

_PROBE_TIMEOUT_S = 60
# Opening a damaged store can kill the process, so a child process tries it first.
_PROBE = """
import sys, chromadb
from chromadb.config import Settings
client = chromadb.PersistentClient(sys.argv[1], settings=Settings(anonymized_telemetry=False))
for collection in client.list_collections():
    found = client.get_collection(collection.name, embedding_function=None).get(limit=1, include=["embeddings"])
    if found["ids"]:
        client.get_collection(collection.name, embedding_function=None).query(
            query_embeddings=[found["embeddings"][0]], n_results=1)
"""


def in_memory() -> Any:
    """A client whose collections end with the process; all such clients in it share them."""
    import chromadb

    return chromadb.EphemeralClient(settings=_settings())


def in_folder(path: Path) -> tuple[Any, FileLock]:
    """A client of the folder `path`, and the lock that keeps other processes out.

    A damaged folder is moved aside, and one of another format removed; the index then starts empty, because the store
    has all vectors. Raises `MisconfiguredService` if another process has the folder open.
    """
    import chromadb

    path.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path.parent / f"{path.name}.lock")
    try:
        lock.acquire(timeout=5)
    except Timeout as error:
        raise MisconfiguredService(
            f"Another process is using the index in {path}: stop it, set TRIAGE_DATA_DIR to another folder, "
            "or run a Chroma server and set TRIAGE_CHROMA_URL.",
            path=str(path),
        ) from error
    _remove_if_outdated(path)
    _set_aside_if_damaged(path)
    (path / "format").write_text(_FORMAT)
    # Chroma allocates memory for a hundred vectors and writes all of it to disk, initialised or not.
    clear_memory()
    return chromadb.PersistentClient(str(path), settings=_settings()), lock


def at_server(url: str) -> Any:
    """A client of a Chroma server. Raises `MisconfiguredService` if it can't be reached."""
    import chromadb

    match = re.fullmatch(r"(https?)://([^:/]+)(?::(\d+))?/?", url)
    if match is None:
        raise MisconfiguredService(f"TRIAGE_CHROMA_URL must look like http://host:8000, not {url!r}.")
    scheme, host, port = match.groups()
    try:
        return chromadb.HttpClient(host, int(port or 8000), ssl=scheme == "https", settings=_settings())
    except Exception as error:
        raise MisconfiguredService(
            f"No Chroma server answers at {url} ({type(error).__name__}): start it with `chroma run`, "
            "or unset TRIAGE_CHROMA_URL to use the index in process."
        ) from error


def _settings() -> Any:
    from chromadb.config import Settings

    return Settings(anonymized_telemetry=False)


def _remove_if_outdated(path: Path) -> None:
    if not (path / "chroma.sqlite3").exists():
        return
    known = path / "format"
    if not known.exists() or known.read_text().strip() != _FORMAT:
        _log.info("The index in %s is of another version of triage: rebuilding it.", path)
        shutil.rmtree(path)
        path.mkdir()


def _set_aside_if_damaged(path: Path) -> None:
    if not (path / "chroma.sqlite3").exists():
        return
    try:
        probe = subprocess.run(
            [sys.executable, "-c", _PROBE, str(path)], capture_output=True, timeout=_PROBE_TIMEOUT_S, check=False
        )
        if probe.returncode == 0:
            return
        cause = probe.stderr.decode(errors="replace").strip().splitlines()[-1:]
    except subprocess.TimeoutExpired:
        cause = [f"no answer within {_PROBE_TIMEOUT_S} s"]
    aside = path.with_name(f"{path.name}.damaged-{int(time.time())}")
    path.rename(aside)
    path.mkdir()
    _log.warning("The index in %s could not be opened (%s): moved to %s, building a new one.", path, cause, aside.name)
