"""What was made of texts, remembered within a bound on their length: a number of texts alone bounds no memory."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import TypeVar

_T = TypeVar("_T")

MOST_CHARACTERS = 2_000_000
"""Two thousand texts of usual length, or the last two of the longest that the service takes. What is made of a text
takes some fifty times its length in memory."""


def remembered(make: Callable[[str], _T], most_characters: int = MOST_CHARACTERS) -> Callable[[str], _T]:
    """`make`, which does not make anew what it made of the last texts, of so many characters in all.

    May be called from several threads.
    """
    made: OrderedDict[str, _T] = OrderedDict()
    lock = threading.Lock()
    characters = 0

    def remembering(text: str) -> _T:
        nonlocal characters
        with lock:
            if text in made:
                made.move_to_end(text)
                return made[text]
        result = make(text)
        with lock:
            if text not in made:
                made[text] = result
                characters += len(text)
            while characters > most_characters and len(made) > 1:
                characters -= len(made.popitem(last=False)[0])
        return result

    return remembering
