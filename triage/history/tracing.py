"""Spans of searches in the history, named after OpenTelemetry's conventions for retrieval and for databases."""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine, Sized
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from triage.observability.spans import Value, is_on
from triage.observability.spans import span as open_span

P = ParamSpec("P")
Found = TypeVar("Found", bound=Sized)


class _Named(Protocol):
    """An index that says what it is called."""

    @property
    def collection(self) -> str: ...


Index = TypeVar("Index", bound=_Named)
Search = Callable[Concatenate[Index, P], Coroutine[Any, Any, Found]]


def traced(operation: str) -> Callable[[Search[Index, P, Found]], Search[Index, P, Found]]:
    """A search with a span around it; `operation` is what the database is asked to do."""

    def around(search: Search[Index, P, Found]) -> Search[Index, P, Found]:
        @functools.wraps(search)
        async def search_traced(self: Index, /, *args: P.args, **kwargs: P.kwargs) -> Found:
            if not is_on():
                return await search(self, *args, **kwargs)
            about: dict[str, Value | None] = {
                "gen_ai.operation.name": "retrieval",
                "gen_ai.data_source.id": self.collection,
                "db.system.name": "chroma",
                "db.operation.name": operation,
                "db.collection.name": self.collection,
            }
            with open_span(f"{operation} {self.collection}", about, kind="client") as span:
                found = await search(self, *args, **kwargs)
                span.set({"db.response.returned_rows": len(found)})
                return found

        return search_traced

    return around
