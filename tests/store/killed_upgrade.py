"""An upgrade that dies at its N-th statement, to be run in a process of its own."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Engine

from triage.store import upgrade


def main(url: str, last: int) -> None:
    count = 0

    @event.listens_for(Engine, "before_cursor_execute")
    def die(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        nonlocal count
        count += 1
        if count >= last:
            os.kill(os.getpid(), signal.SIGKILL)

    asyncio.run(upgrade(url))
    raise SystemExit(f"The upgrade has only {count} statements.")
