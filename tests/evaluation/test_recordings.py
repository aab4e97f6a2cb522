"""A suite over recorded answers gives the agreement that those answers have."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from triage.app.settings import Settings
from triage.app.wiring.suites import open_subject
from triage.domain.errors import InvalidInput
from triage.domain.taxonomy import Taxonomy
from triage.evaluation import Run, Suite, run_suite
from triage.evaluation.recordings import open_replay

from .conftest import PLACES, vllm_row

CAUSES = ("power", "network", "code")


def rows() -> list[dict[str, Any]]:
    """Twelve cases: every third recorded answer is wrong, the last is no label at all."""
    found = []
    for n in range(12):
        cause = CAUSES[n % 3]
        said = CAUSES[(n + (n % 3 == 0)) % 3] if n < 11 else "meteor"
        text = (
            f"In {PLACES[n]} the {cause} part of hall {n} stopped, and {n} rows of racks were dark for {n + 1} hours."
        )
        found.append(
            vllm_row(n, cause, text) | {"recorded": {"model-x": {"cause": said, "cause_text": f"hall {n} stopped"}}}
        )
    return found


async def replayed(suite: Suite, taxonomy: Taxonomy, folder: Path) -> Run:
    data = suite.load_data(taxonomy)
    async with open_subject(Settings(model="none"), suite, taxonomy) as (subject, decisive):
        return await run_suite(suite, data, taxonomy, subject, folder, settings=decisive)


async def test_recorded_answers_are_scored_as_they_were_given(
    write_suite: Callable[..., Suite], write_jsonl: Callable[..., Path], small: Taxonomy, tmp_path: Path
) -> None:
    write_jsonl(*rows())
    suite = write_suite(subject="model", history="none", pipeline={"model": "replay:data.jsonl#model-x"})

    run = await replayed(suite, small, tmp_path / "run")

    assert [record.status for record in run.records] == ["done"] * 12
    right = [record.predicted["cause"] == record.gold["cause"] for record in run.records]
    assert right == [n % 3 != 0 and n < 11 for n in range(12)]
    assert "gave no usable answer" in run.records[11].abstentions["cause"]
    assert all(record.evidence["cause"] == 1 for record in run.records[:11])
    assert run.info.identity.settings["model"] == "model-x (recorded)"


async def test_an_earlier_run_is_replayed_with_its_probabilities(
    write_suite: Callable[..., Suite], write_jsonl: Callable[..., Path], small: Taxonomy, tmp_path: Path
) -> None:
    write_jsonl(*rows()[:11])
    suite = write_suite(history="leave_one_out", pipeline={"model": "replay:data.jsonl#model-x"})
    first = await replayed(suite, small, tmp_path / "first")
    again = write_suite(subject="model", history="none", pipeline={"model": f"replay:{first.folder}"})

    second = await replayed(again, small, tmp_path / "second")

    for before, after in zip(first.records, second.records, strict=True):
        said = before.sources["cause"]["model"]
        assert after.sources["cause"]["model"] == pytest.approx(
            {label: said.get(label, 0.0) / sum(said.values()) for label in CAUSES}, abs=0.01
        )


def test_a_name_that_is_not_recorded_says_which_are(write_jsonl: Callable[..., Path], small: Taxonomy) -> None:
    path = write_jsonl(*rows())
    with pytest.raises(InvalidInput, match="There are: model-x"):
        open_replay(f"{path}#model-y", small)
    path.write_text(json.dumps(vllm_row(1, "power")) + "\n")
    with pytest.raises(InvalidInput, match="no field `recorded`"):
        open_replay(f"{path}#x", small)
