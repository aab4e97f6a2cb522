"""A cache of results by text. It is limited by characters: a limit on the number of texts does not limit memory."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import TypeVar

_T = TypeVar("_T")

MOST_CHARACTERS = 2_000_000
"""Two thousand texts of usual length, or two of the longest. A result takes some fifty times the memory of its text."""


def cached_by_text(make: Callable[[str], _T], most_characters: int = MOST_CHARACTERS) -> Callable[[str], _T]:
    """`make` with a cache of its results for the last texts, up to this many characters in all. Thread-safe."""
    results: OrderedDict[str, _T] = OrderedDict()
    lock = threading.Lock()
    characters = 0

    def cached(text: str) -> _T:
        nonlocal characters
        with lock:
            if text in results:
                results.move_to_end(text)
                return results[text]
        result = make(text)
        with lock:
            if text not in results:
                results[text] = result
                characters += len(text)
            while characters > most_characters and len(results) > 1:
                characters -= len(results.popitem(last=False)[0])
        return result

    return cached
