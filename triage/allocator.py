"""The C library's allocator, told to keep the memory of a process with many threads together."""

from __future__ import annotations

import contextlib
import ctypes
import sys

# <malloc.h> of glibc.
_M_ARENA_MAX = -8


def keep_together(arenas: int = 2) -> None:
    """Let all threads allocate from so many arenas; call it before they start.

    By default glibc gives up to eight arenas to each core, and every one of them keeps the most that was ever needed
    in it: a service with a pool of threads then grows for hours, though it holds no more than before. Where the
    allocator is another one, nothing changes.
    """
    if sys.platform != "linux":
        return
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, arenas)
