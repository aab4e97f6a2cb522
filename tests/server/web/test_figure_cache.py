"""Figures that are kept for a while: made once for all who ask, and made anew when they are old, wrong or failed."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from triage.server.web import figure_cache
from triage.server.web.figure_cache import FigureCache


class Making:
    """Makes a number, one higher each time, once it may."""

    def __init__(self) -> None:
        self.n = 0
        self.may_go_on = asyncio.Event()

    async def __call__(self) -> int:
        self.n += 1
        made = self.n
        await self.may_go_on.wait()
        return made


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that have passed."""
    now = [0.0]
    monkeypatch.setattr(figure_cache, "monotonic", lambda: now[0])
    return now


async def test_what_takes_longer_than_it_is_kept_is_made_once_for_all_who_wait(clock: list[float]) -> None:
    figures, make = FigureCache(), Making()
    first = asyncio.ensure_future(figures.get("study", None, make, 60))
    await asyncio.sleep(0)
    clock[0] = 300
    second = asyncio.ensure_future(figures.get("study", None, make, 60))
    await asyncio.sleep(0)
    make.may_go_on.set()
    assert ((await first).value, (await second).value) == (1, 1)


async def test_figures_are_kept_from_when_they_are_finished(clock: list[float]) -> None:
    figures, make = FigureCache(), Making()
    first = asyncio.ensure_future(figures.get("study", None, make, 60))
    await asyncio.sleep(0)
    clock[0] = 300
    make.may_go_on.set()
    await first
    clock[0] = 359
    assert (await figures.get("study", None, make, 60)).value == 1
    clock[0] = 360
    assert (await figures.get("study", None, make, 60)).value == 2


async def test_they_tell_when_they_were_begun_and_are_kept_apart_by_what_they_are_of() -> None:
    figures, make = FigureCache(), Making()
    make.may_go_on.set()
    before = datetime.now(UTC)
    of_all = await figures.get("study", None, make)
    assert before <= of_all.at <= datetime.now(UTC)
    assert (await figures.get("study", frozenset({"red"}), make)).value == 2
    assert (await figures.get("radar", None, make)).value == 3
    assert await figures.get("study", None, make) == of_all


async def test_what_was_changed_or_failed_is_made_anew() -> None:
    async def fail() -> int:
        raise ValueError("not now")

    figures, make = FigureCache(), Making()
    with pytest.raises(ValueError, match="not now"):
        await figures.get("study", None, fail)
    make.may_go_on.set()
    await figures.get("study", None, make)
    await figures.get("radar", None, make)
    figures.forget("study")
    assert (await figures.get("study", None, make)).value == 3
    assert (await figures.get("radar", None, make)).value == 2


async def test_who_goes_away_ends_no_others_waiting() -> None:
    figures, make = FigureCache(), Making()
    first, second = (asyncio.ensure_future(figures.get("study", None, make)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    make.may_go_on.set()
    assert (await second).value == 1
