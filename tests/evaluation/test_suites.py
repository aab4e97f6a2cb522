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

from triage.domain.errors import NotFound
from triage.domain.taxonomy import Taxonomy
from triage.evaluation import Suite
from triage.evaluation.runs import RunIdentity
from triage.evaluation.suites import InvalidSuite, stratified_folds

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
        ({"colour": "red"}, r"line \d: colour: unknown key; correct"),
        ({"facet": "cause"}, r"facet: unknown key; did you mean 'facets'\?"),
        ({"adapter": "csv"}, r"line \d: adapter: unknown data adapter 'csv'; there are: rows, llm_incidents"),
        (
            {"history": {"folds": 1}},
            r"1 mistake\(s\):\n  line \d: history.folds: input should be greater than or equal",
        ),
        ({"history": "everything"}, r"line \d: history: input should be 'leave_one_out', 'as_of'"),
        ({"history": "other_split"}, "needs a split: add `split: {part: test}`"),
        ({"history": {"date": "x"}}, r"history.date: unknown key; did you mean 'data'\?"),
        ({"split": {"field": "part"}}, r"1 mistake\(s\):\n  line \d: split.test: is missing; add it"),
        (
            {"split": {"field": "part", "test": ["test"], "history": ["train"]}, "history": "leave_one_out"},
            "the split and `history` name different histories",
        ),
        ({"gates": ["kappa.cause >= high"]}, "is not a gate: write it like"),
        ({"gates": ["kapa.cause >= 0.7"]}, "unknown metric 'kapa.cause'; there are kappa"),
        ({"gates": ["kappa.colour >= 0.7"]}, "kappa has no facet 'colour'; the suite scores cause"),
        ({"gates": ["kappa >= 0.7"]}, "kappa needs a facet; the suite scores cause"),
        ({"gates": ["delta.kappa.cause >= -0.02"]}, "use `delta.` and `vs RUN` together"),
        ({"metrics": ["latency.p99"]}, "unknown metric 'latency.p99'; there are latency.p95"),
        ({"budget": {"cost": -1}}, "budget.cost: input should be greater than 0"),
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


def test_the_two_parts_of_a_split_share_no_case_and_copies_stay_together(
    write_suite: Callable[..., Suite], write_jsonl: Callable[..., Path], small: Taxonomy
) -> None:
    write_jsonl(*(vllm_row(n, "power", text=f"the same power text {n // 2}") for n in range(60)))
    parts = {}
    for part in ("dev", "test"):
        suite = write_suite(split={"part": part, "test_share": 0.4}, history="other_split")
        cases = suite.load_data(small).cases
        parts[part] = suite.sample(cases)
        history = suite.history_of(suite.load_data(small))
        assert not {case.id for case in history} & {case.id for case in parts[part]}
        assert len(history) + len(parts[part]) == 60
    assert not {case.group for case in parts["dev"]} & {case.group for case in parts["test"]}
    assert 0.2 < len(parts["test"]) / 60 < 0.6


def test_a_new_case_moves_no_old_one_to_the_other_part(
    write_suite: Callable[..., Suite], write_jsonl: Callable[..., Path], small: Taxonomy
) -> None:
    suite = write_suite(split={"part": "test"})
    write_jsonl(*(vllm_row(n, "power") for n in range(20)))
    before = {case.id for case in suite.sample(suite.load_data(small).cases)}
    write_jsonl(*(vllm_row(n, "power") for n in range(40)))
    after = {case.id for case in suite.sample(suite.load_data(small).cases)}
    assert before == {case_id for case_id in after if int(case_id.split("-")[1]) < 20}


def test_rows_are_kept_by_their_facts(
    write_suite: Callable[..., Suite], write_jsonl: Callable[..., Path], small: Taxonomy
) -> None:
    rows = [vllm_row(n, "power") | {"source": "a" if n % 3 else "b"} for n in range(9)]
    write_jsonl(*rows)
    assert len(write_suite(keep={"source": "b"}).load_data(small).cases) == 3
    assert write_suite(keep={"source": "b"}).load_data(small).left_out == 6


def test_only_what_changes_results_changes_the_fingerprint(write_suite: Callable[..., Suite]) -> None:
    suite = write_suite()
    assert write_suite(concurrency=9, limit=3, description="other").fingerprint == suite.fingerprint
    assert write_suite(gates=["kappa.cause >= 0.7"], repeats=3, budget={"cost": 2}).fingerprint == suite.fingerprint
    assert write_suite(split={"part": "test"}).fingerprint != suite.fingerprint
    assert write_suite(seed=1).fingerprint != suite.fingerprint
    assert write_suite(pipeline={"neighbours": 3}).fingerprint != suite.fingerprint


@pytest.mark.parametrize(
    ("split", "history"),
    [
        ({"field": "part", "test": ["test"]}, {"dev", "train"}),
        ({"field": "part", "test": ["test"], "history": ["train"]}, {"train"}),
    ],
)
def test_a_field_of_the_rows_says_what_is_run_and_what_is_the_history(
    write_suite: Callable[..., Suite],
    write_jsonl: Callable[..., Path],
    small: Taxonomy,
    split: dict[str, Any],
    history: set[str],
) -> None:
    write_jsonl(*(vllm_row(n, "power") | {"part": ("train", "dev", "test")[n % 3]} for n in range(12)))
    suite = write_suite(split=split)
    data = suite.load_data(small)

    assert {case.facts["part"] for case in suite.sample(data.cases)} == {"test"}
    assert {case.facts["part"] for case in suite.history_of(data)} == history


def test_a_part_that_no_row_is_in_is_refused(
    write_suite: Callable[..., Suite], write_jsonl: Callable[..., Path], small: Taxonomy
) -> None:
    write_jsonl(*(vllm_row(n, "power") | {"part": ("train", "test")[n % 2]} for n in range(4)))

    with pytest.raises(InvalidSuite, match=r"No case has 'tst' in its field 'part'\. There are: 'train', 'test'"):
        write_suite(split={"field": "part", "test": ["tst"]}).load_data(small)


def test_the_history_can_be_another_file(
    write_suite: Callable[..., Suite], write_jsonl: Callable[..., Path], small: Taxonomy
) -> None:
    write_jsonl(*(vllm_row(n, "power") | {"source": "new"} for n in range(3)))
    write_jsonl(*(vllm_row(n, "code") for n in range(5, 9)), name="train.jsonl")
    suite = write_suite(history={"data": "train.jsonl"}, keep={"source": "new"})
    data = suite.load_data(small)

    assert [case.id for case in suite.sample(data.cases)] == ["vllm-0", "vllm-1", "vllm-2"]
    assert [case.id for case in suite.history_of(data)] == ["vllm-5", "vllm-6", "vllm-7", "vllm-8"]
    here = RunIdentity.of(suite, data, small, {})
    write_jsonl(*(vllm_row(n, "code") for n in range(5, 8)), name="train.jsonl")
    assert RunIdentity.of(suite, suite.load_data(small), small, {}).differences(here)[0].startswith("history (was")
