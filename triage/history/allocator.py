"""Options of the C library's memory allocator."""

from __future__ import annotations

import contextlib
import ctypes
import sys

# <malloc.h> of glibc.
_M_PERTURB = -6
_M_ARENA_MAX = -8

_FILLED_WITH_NULL = 0xFF
"""glibc fills freed memory with this byte, and new memory with its complement, null."""


def limit_arenas(arenas: int = 2) -> None:
    """Let all threads allocate from this many arenas. Call it before they start.

    By default glibc uses up to eight arenas per core, and each keeps the most memory it ever needed: a service with a
    thread pool then grows for hours, though it holds no more data. Does nothing with another allocator.
    """
    _set_option(_M_ARENA_MAX, arenas)


def clear_memory() -> None:
    """Overwrite memory when it is freed and when it is allocated, from now on.

    For libraries that write uninitialised memory to disk: earlier contents, such as a write-up, would stay there. Does
    nothing with another allocator.
    """
    _set_option(_M_PERTURB, _FILLED_WITH_NULL)


def _set_option(option: int, value: int) -> None:
    if sys.platform != "linux":
        return
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).mallopt(option, value)
