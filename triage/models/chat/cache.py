"""A cache of replies on disk, so that the same question to the same model is paid for once."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from pydantic import ValidationError

from triage.models.chat import ChatModel, Reply, Request

_is_bypassed: ContextVar[bool] = ContextVar("is_bypassed", default=False)
_KEY_LENGTH = 64


@contextmanager
def bypass_cache(is_bypassed: bool = True) -> Iterator[None]:
    """Call the model even for cached questions in this block. New replies replace the cached ones."""
    token = _is_bypassed.set(is_bypassed)
    try:
        yield
    finally:
        _is_bypassed.reset(token)


class ReplyCache:
    """Replies of one model by question, in an append-only file. Use it as a context manager.

    Stored replies survive a killed process, but not a crash of the machine: lines are written, not synced. Several
    processes may share a file; each reads it once, when it opens. Questions are stored as hashes only.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._places: dict[bytes, tuple[int, int]] = {}
        self._file: IO[bytes] | None = None

    @classmethod
    def of(cls, folder: Path, model: str, endpoint: str) -> ReplyCache:
        """The cache of one model at one endpoint, in its own file in `folder`."""
        readable = re.sub(r"[^A-Za-z0-9.-]+", "-", model).strip("-")[:60]
        distinct = hashlib.sha256(f"{model} {endpoint}".encode()).hexdigest()[:8]
        return cls(folder / f"{readable}-{distinct}.jsonl")

    def __enter__(self) -> Self:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self.path.open("ab+", buffering=0)
        with self.path.open("rb") as lines:
            self._places = dict(_places(lines))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._file is not None:
            self._file.close()

    def get(self, key: bytes) -> Reply | None:
        """The reply under `key`, marked as cached. None if there is none or its line is damaged."""
        place = self._places.get(key)
        if place is None:
            return None
        start, length = place
        try:
            reply = Reply.model_validate_json(os.pread(self._opened.fileno(), length, start))
        except ValidationError:
            return None
        return reply.model_copy(update={"retries": 0, "is_cached": True})

    def put(self, key: bytes, reply: Reply) -> None:
        """Store `reply` on disk."""
        written = reply.model_dump_json(exclude={"retries", "is_cached"}).encode()
        # The leading line break ends a line that another process may have left unfinished.
        self._opened.write(b"\n" + key + b" " + written + b"\n")
        end = self._opened.tell()
        self._places[key] = (end - 1 - len(written), len(written))

    @property
    def _opened(self) -> IO[bytes]:
        if self._file is None:
            raise ValueError("the cache is not open: use it as a context manager")
        return self._file


class CachedChat:
    """A chat model that answers repeated questions from a cache. Implements the `ChatModel` port."""

    def __init__(self, model: ChatModel, cache: ReplyCache) -> None:
        self.name = model.name
        self._model = model
        self._cache = cache

    async def complete(self, request: Request) -> Reply:
        """See `ChatModel.complete`. Cached replies have `is_cached` set and no retries."""
        key = cache_key(request)
        known = None if _is_bypassed.get() else self._cache.get(key)
        if known is not None:
            return known
        reply = await self._model.complete(request)
        self._cache.put(key, reply)
        return reply


def cache_key(request: Request) -> bytes:
    """A hash of everything in the request that can change the reply, and nothing else."""
    digest = hashlib.sha256(request.model_dump_json(exclude={"messages", "deadline_s"}).encode())
    for message in request.messages:  # hashed as they are: serialising them as JSON would take most of the time
        content = message.content.encode()
        digest.update(f"{message.role} {len(content)} ".encode())
        digest.update(content)
    return digest.hexdigest().encode()


def _places(file: IO[bytes]) -> Iterator[tuple[bytes, tuple[int, int]]]:
    """The key of each complete line, with the start and length of its reply."""
    start = 0
    for line in file:
        if line.endswith(b"}\n") and line[_KEY_LENGTH : _KEY_LENGTH + 2] == b" {":
            yield line[:_KEY_LENGTH], (start + _KEY_LENGTH + 1, len(line) - _KEY_LENGTH - 2)
        start += len(line)
