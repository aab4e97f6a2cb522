from __future__ import annotations

from datetime import UTC, datetime, timedelta

from triage.server.jobs.reaper import Reaper
from triage.server.jobs.workflows import Claimed

MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
THEIRS, MINE = Claimed("theirs", "other"), Claimed("mine", "me")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def beat(n: float) -> dict[str, datetime]:
    return {"other": MOMENT + timedelta(seconds=n)}


def look(reaper: Reaper, clock: Clock, until: int, beats: dict[str, datetime] | None = None) -> list[Claimed]:
    """Look every three seconds; what the last look found."""
    found: list[Claimed] = []
    while clock.now < until:
        clock.now += 3
        found = reaper.orphans([THEIRS], beat(clock.now) if beats is None else beats, ())
    return found


def test_work_of_a_process_that_beats_is_left_alone() -> None:
    clock = Clock()
    reaper = Reaper("me", 15, clock)
    assert look(reaper, clock, 60) == []


def test_work_of_a_process_whose_heart_stood_still_is_orphaned_however_wrong_its_clock_is() -> None:
    clock = Clock()
    reaper = Reaper("me", 15, clock)
    tomorrow = beat(86_400)
    assert look(reaper, clock, 15, tomorrow) == []
    assert look(reaper, clock, 18, tomorrow) == [THEIRS]
    assert reaper.dead({"other"}) == {"other"}


def test_work_of_a_process_that_said_goodbye_is_orphaned_at_once() -> None:
    clock = Clock()
    assert Reaper("me", 15, clock).orphans([THEIRS], {}, ()) == [THEIRS]


def test_a_process_of_the_release_without_heartbeats_gets_its_time() -> None:
    clock, old = Clock(), Claimed("theirs", "embedded")
    reaper = Reaper("me", 6, clock)
    assert reaper.orphans([old], {}, ()) == []
    clock.now = 3
    assert reaper.orphans([old], {}, ()) == []
    clock.now = 6
    assert reaper.orphans([old], {}, ()) == [old]


def test_nobody_is_dead_because_nobody_could_look() -> None:
    clock = Clock()
    reaper = Reaper("me", 15, clock)
    look(reaper, clock, 6, beat(0))
    clock.now = 60
    assert reaper.orphans([THEIRS], beat(0), ()) == []
    assert look(reaper, clock, 66, beat(66)) == []


def test_a_claim_whose_answer_got_lost_is_orphaned_though_the_process_lives() -> None:
    clock = Clock()
    reaper = Reaper("me", 6, clock)
    assert reaper.orphans([MINE], {"me": MOMENT}, ()) == []
    clock.now = 3
    assert reaper.orphans([MINE], {"me": MOMENT}, ()) == []
    clock.now = 6
    assert reaper.orphans([MINE], {"me": MOMENT}, ()) == [MINE]
    assert reaper.orphans([MINE], {"me": MOMENT}, {"mine"}) == []


def test_in_a_database_of_its_own_all_work_of_others_is_orphaned() -> None:
    assert Reaper("me", 0, Clock()).orphans([THEIRS, MINE], beat(0), ()) == [THEIRS]
