"""The C library's allocator, told what its defaults leave out."""

from __future__ import annotations

import contextlib
import ctypes
import sys

# <malloc.h> of glibc.
_M_PERTURB = -6
_M_ARENA_MAX = -8

_FILLED_WITH_NULL = 0xFF
"""Freed memory is filled with this byte, and new memory with its complement."""


def keep_together(arenas: int = 2) -> None:
    """Let all threads allocate from so many arenas; call it before they start.

    By default glibc gives up to eight arenas to each core, and every one of them keeps the most that was ever needed
    in it: a service with a pool of threads then grows for hours, though it holds no more than before. Where the
    allocator is another one, nothing changes.
    """
    _tell(_M_ARENA_MAX, arenas)


def wipe() -> None:
    """Overwrite what is freed and what is given out, from now on.

    For libraries that write memory to disk before they have put anything in it: what stood there before, such as a
    write-up, would lie on disk for good. Where the allocator is another one, nothing changes.
    """
    _tell(_M_PERTURB, _FILLED_WITH_NULL)


def _tell(option: int, value: int) -> None:
    if sys.platform != "linux":
        return
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).mallopt(option, value)
