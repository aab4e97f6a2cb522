"""`evals/bench/trouble.py` at small size: a provider in trouble loses no incident and keeps nobody waiting."""

from __future__ import annotations

from pathlib import Path

import pytest

from evals.bench.trouble import measure


@pytest.mark.slow
async def test_a_provider_in_trouble_and_then_down_holds_the_bar(tmp_path: Path) -> None:
    trouble, down = await measure(seed=0, count=24, at_once=8, deadline_s=3.0, folder=tmp_path)

    assert trouble.figures["errors"] == []
    assert all(trouble.bar.values()), trouble.figures
    assert all(down.bar.values()), down.figures
    # The mix did happen, and most answers are the model's all the same.
    assert trouble.figures["retries"] > 0
    assert trouble.figures["degraded"] < 0.5
    assert down.figures["answered_at_once_by_the_history"] > 0
