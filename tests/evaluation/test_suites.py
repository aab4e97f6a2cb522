"""Suites are read strictly; folds are those of scikit-learn; samples grow with their limit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedKFold

from triage.errors import NotFound
from triage.evaluation import Suite
from triage.evaluation.folds import stratified_folds
from triage.evaluation.suites import InvalidSuite
from triage.taxonomy import Taxonomy

from .conftest import vllm_row

SUITES = sorted((Path(__file__).parents[2] / "evals/suites").glob("*.yaml"))


@pytest.mark.filterwarnings("ignore:The least populated class")
@given(st.lists(st.sampled_from("abcd"), min_size=12, max_size=80), st.integers(2, 5), st.integers(0, 9))
def test_folds_are_those_of_scikit_learn(labels: list[str], k: int, seed: int) -> None:
    if max(labels.count(label) for label in labels) < k:
        return
    theirs = np.empty(len(labels), dtype=int)
    splitter = StratifiedKFold(k, shuffle=True, random_state=seed)
    for fold, (_, test) in enumerate(splitter.split(np.zeros(len(labels)), labels)):
        theirs[test] = fold
    assert stratified_folds(labels, k, seed) == theirs.tolist()


@pytest.mark.parametrize("path", SUITES, ids=lambda path: path.stem)
def test_shipped_suites_fit_their_taxonomies(path: Path) -> None:
    suite = Suite.load(path)
    taxonomy = Taxonomy.load(suite.taxonomy)
    assert suite.name == path.stem
    assert {facet.id for facet in suite.narrow(taxonomy).triaged} >= set(suite.facets)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"colour": "red"}, "colour: Extra inputs are not permitted"),
        ({"adapter": "csv"}, "no data adapter; there are: llm_incidents"),
        ({"history": {"folds": 1}}, "folds: Input should be greater than or equal to 2"),
        ({"history": "everything"}, "history"),
        ({"facets": []}, "facets"),
        ({"concurrency": 0}, "concurrency"),
    ],
)
def test_mistakes_in_a_suite_name_the_field(
    write_suite: Callable[..., Suite], change: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidSuite, match=message):
        write_suite(**change)


def test_a_suite_that_is_no_mapping_or_not_there_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "suite.yaml"
    with pytest.raises(NotFound):
        Suite.load(path)
    path.write_text("- a list")
    with pytest.raises(InvalidSuite, match="must be a mapping"):
        Suite.load(path)
    path.write_text("a: [")
    with pytest.raises(InvalidSuite, match="not YAML"):
        Suite.load(path)


def test_a_suite_without_data_asks_for_it(write_suite: Callable[..., Suite], small: Taxonomy) -> None:
    with pytest.raises(InvalidSuite, match="--data"):
        write_suite(data=None).load_data(small)


def test_a_larger_sample_holds_the_smaller_one_in_the_order_of_the_data(
    write_suite: Callable[..., Suite], write_jsonl: Callable[..., Path], small: Taxonomy
) -> None:
    write_jsonl(*(vllm_row(n, "power") for n in range(12)))
    suite = write_suite(limit=4)
    cases = suite.load_data(small).cases
    few = [case.id for case in suite.sample(cases)]
    more = [case.id for case in suite.model_copy(update={"limit": 8}).sample(cases)]
    assert len(few) == 4
    assert len(more) == 8
    assert few == [case_id for case_id in more if case_id in few]
    assert more == [case.id for case in cases if case.id in more]


def test_only_what_changes_results_changes_the_fingerprint(write_suite: Callable[..., Suite]) -> None:
    suite = write_suite()
    assert write_suite(concurrency=9, limit=3, description="other").fingerprint == suite.fingerprint
    assert write_suite(seed=1).fingerprint != suite.fingerprint
    assert write_suite(pipeline={"neighbours": 3}).fingerprint != suite.fingerprint
