"""Which gold labels are suspected, and what is said of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.evaluation.noisy_runs import TAXONOMY, write_noisy_run
from triage.domain.taxonomy import Taxonomy
from triage.evaluation import CaseRecord, Run
from triage.evaluation.suites import Suite
from triage.evaluation.suspects import FacetSuspects, find_suspects

PLANTED = range(0, 120, 12)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return Run.read(write_noisy_run(tmp_path_factory.mktemp("suspects") / "run", planted=PLANTED))


@pytest.fixture(scope="module")
def found(run: Run) -> FacetSuspects:
    return find_suspects(run, TAXONOMY)[0]


def test_planted_errors_come_first_with_the_sources_that_speak_against_them(found: FacetSuspects) -> None:
    assert found.probabilities == "cross-fitted"
    assert {suspect.case_id for suspect in found.suspects[:10]} == {f"vllm-{n}" for n in PLANTED}
    first = found.suspects[0]
    assert first.p_suggested > first.p_given
    assert first.sources == 4
    assert set(first.agreeing) <= set(first.against)
    assert len(first.against) >= 3


def test_both_rankings_put_the_most_suspicious_first(run: Run, found: FacetSuspects) -> None:
    margins = [suspect.margin for suspect in found.suspects]
    likely = [suspect.p_given for suspect in find_suspects(run, TAXONOMY, rank="self_confidence")[0].suspects]

    assert margins == sorted(margins)
    assert likely == sorted(likely)


def test_dropping_suspects_raises_kappa_and_dropping_as_many_others_does_not(found: FacetSuspects) -> None:
    what_if = found.what_if
    assert what_if is not None
    assert what_if.dropped == len(found.suspects)
    assert what_if.without_suspects > what_if.kappa + 0.05  # type: ignore[operator]
    assert what_if.random == pytest.approx(what_if.kappa, abs=0.01)
    assert what_if.random_low < what_if.kappa < what_if.random_high  # type: ignore[operator]


def test_few_cases_give_no_estimate(tmp_path: Path) -> None:
    found = find_suspects(Run.read(write_noisy_run(tmp_path / "run", cases=12)), TAXONOMY)[0]

    assert found.share is None
    assert "12 case(s)" in (found.undefined or "")
    assert found.suspects == ()


def test_in_a_facet_with_several_labels_each_label_is_checked_alone(small: Taxonomy, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    records = []
    for n in range(60):
        has_errors = n % 2 == 0
        true = {"errors": 0.9 if has_errors else 0.08, "delay": 0.9 - 0.1 * rng.random()}
        gold = ("delay",) if n == 0 or not has_errors else ("errors", "delay")
        records.append(
            CaseRecord(
                case_id=f"c{n}",
                status="done",
                gold={"symptom": gold},
                predicted={"symptom": ("delay",)},
                distributions={"symptom": true},
                sources={"symptom": {"model": true, "neighbours": {"delay": 1.0}}},
                seconds=0.1,
            )
        )
    suite = Suite(name="s", description="d", taxonomy="small.yaml", adapter="vllm", facets=("symptom",))
    found = find_suspects(Run(folder=tmp_path, suite=suite, records=tuple(records)), small)[0]

    assert [(s.case_id, s.given, s.suggested) for s in found.suspects] == [("c0", "not errors", "errors")]
    assert found.suspects[0].against == ("model",)
    assert found.probabilities == "as run"
