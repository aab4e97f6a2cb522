from __future__ import annotations

from collections.abc import Hashable

import numpy as np
import pytest

from triage.history import Example
from triage.history.snapshot import Snapshots


class Elsewhere:
    """What another process did, and how often the examples were read."""

    def __init__(self) -> None:
        self.sign = 0
        self.reads = 0

    async def change(self) -> Hashable:
        return self.sign

    async def read(self) -> tuple[Example, ...]:
        self.reads += 1
        return (Example(f"read-{self.reads}", "text", np.ones(2, dtype=np.float32), {}),)


async def test_a_change_in_this_process_is_seen_at_once() -> None:
    elsewhere, snapshots = Elsewhere(), Snapshots()
    first = await snapshots.of("all", elsewhere.read)

    assert await snapshots.of("all", elsewhere.read) is first
    snapshots.outdate()
    assert (await snapshots.of("all", elsewhere.read)).examples[0].incident_id == "read-2"


async def test_a_change_in_another_process_is_seen_at_the_next_look_and_once_more_when_settled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 1000.0
    monkeypatch.setattr("triage.history.snapshot.time.monotonic", lambda: now)
    elsewhere, snapshots = Elsewhere(), Snapshots()
    snapshots.change = elsewhere.change
    reads = []
    for moment, sign in ((0, 1), (6, 1), (9, 1), (20, 1), (21, 2), (22, 2), (30, 2), (40, 2)):
        now, elsewhere.sign = 1000.0 + moment, sign
        await snapshots.of("all", elsewhere.read)
        reads.append(elsewhere.reads)

    # The first sign is a change too; at 21 it is too early to look again, at 30 the change of 22 has settled.
    assert reads == [1, 2, 2, 2, 2, 3, 4, 4]
