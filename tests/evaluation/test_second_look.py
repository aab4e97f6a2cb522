"""The blind second look: what goes out, what comes back, and what is made of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.evaluation.noisy_runs import IDS, TAXONOMY, write_noisy_run
from triage.domain.errors import InvalidInput, NotFound
from triage.evaluation import Run
from triage.evaluation.runs import cases_of
from triage.evaluation.second_look import FacetSecondLook, Key, KeyItem, evaluate, export, read_answers
from triage.evaluation.suspects import FacetSuspects, find_suspects
from triage.intake.data_files import InvalidDataset

PLANTED = range(0, 120, 12)
Exported = Callable[..., Key]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return Run.read(write_noisy_run(tmp_path_factory.mktemp("second look") / "run", planted=PLANTED))


@pytest.fixture(scope="module")
def found(run: Run) -> list[FacetSuspects]:
    return find_suspects(run, TAXONOMY)


@pytest.fixture
def exported(run: Run, found: list[FacetSuspects]) -> Callable[..., Key]:
    def write(path: Path, **options: int) -> Key:
        return export(run, TAXONOMY, found, cases_of(run, TAXONOMY), path, **options)

    return write


def answered(key: Key, path: Path, say: Callable[[KeyItem], str], annotator: str = "ada") -> list[str]:
    by_item = {item.item: item for item in key.items}
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return [json.dumps(row | {"labels": [say(by_item[row["item"]])], "annotator": annotator}) for row in rows]


def look(run: Run, path: Path, *files: list[str]) -> FacetSecondLook:
    path.write_text("\n".join(line for lines in files for line in lines) + "\n")
    return evaluate(run, TAXONOMY, read_answers(run, TAXONOMY, path))[0]


def truth(item: KeyItem) -> str:
    """The planted errors undone."""
    is_planted = int(item.case_id.removeprefix("vllm-")) in PLANTED
    return IDS[IDS.index(item.gold[0]) - 1] if is_planted else item.gold[0]


def test_what_is_exported_gives_nothing_away(exported: Exported, tmp_path: Path) -> None:
    key = exported(tmp_path / "look.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "look.jsonl").read_text().splitlines()]

    roles = [item.role for item in key.items]
    assert roles.count("suspect") == roles.count("control") >= 10
    assert roles != sorted(roles)
    assert roles != sorted(roles, reverse=True)
    for row in rows:
        assert set(row) == {"item", "facet", "question", "choices", "takes", "title", "write_up", "labels", "annotator"}
        assert row["labels"] == []
        assert row["choices"] == IDS
        assert "vllm-" not in json.dumps(row)


def test_equal_seeds_give_equal_files_and_others_another_sample(exported: Exported, tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("a", "b", "c")]
    keys = [exported(file, seed=seed, most=5) for file, seed in zip(files, (1, 1, 2), strict=True)]

    assert files[0].read_text() == files[1].read_text()
    assert {i.case_id for i in keys[0].items} != {i.case_id for i in keys[2].items}
    assert len(keys[0].items) == 10


def test_a_second_look_that_undoes_the_planted_errors_finds_them_and_mends_kappa(
    run: Run, exported: Exported, tmp_path: Path
) -> None:
    key = exported(tmp_path / "look.jsonl")
    found = look(run, tmp_path / "done.jsonl", answered(key, tmp_path / "look.jsonl", truth))

    assert found.suspects.hits == 10
    assert found.controls.hits == 0
    assert found.as_suggested.share == 1.0
    assert found.wrong == pytest.approx(10 / 120)
    assert found.wrong_interval is not None
    assert found.wrong_interval[0] < 10 / 120 < found.wrong_interval[1]
    assert found.kappa_replaced.value > found.kappa_gold.value + 0.05  # type: ignore[operator]
    assert found.kappa_without.n == 110
    assert found.human.value == pytest.approx(1 - 0.08, abs=0.05)


def test_a_second_look_that_confirms_gold_leaves_kappa_as_it_was(run: Run, exported: Exported, tmp_path: Path) -> None:
    key = exported(tmp_path / "look.jsonl")
    found = look(run, tmp_path / "done.jsonl", answered(key, tmp_path / "look.jsonl", lambda item: item.gold[0]))

    assert found.suspects.hits == found.controls.hits == 0
    assert found.kappa_replaced.value == found.kappa_gold.value == found.kappa_without.value
    assert found.human.value == 1.0
    # Weighed as they stand in the run, the looked-at cases say of the run what all cases do, or nearly.
    assert found.kappa_second_look.value == pytest.approx(found.kappa_gold.value, abs=0.1)


def test_annotators_are_compared_and_a_tie_settles_nothing(run: Run, exported: Exported, tmp_path: Path) -> None:
    key = exported(tmp_path / "look.jsonl", twice=6)
    ada = answered(key, tmp_path / "look.jsonl", truth)
    bo = answered(key, tmp_path / "look.jsonl", lambda item: item.gold[0], annotator="bo")
    found = look(run, tmp_path / "done.jsonl", ada, bo)

    assert found.undecided == 10
    assert found.suspects.n + found.controls.n == found.answered - 10
    assert [(pair.a, pair.b, pair.n) for pair in found.between] == [("ada", "bo", found.answered)]
    assert [(pair.a, pair.n, pair.kappa.value) for pair in found.within] == [("ada", 6, 1.0), ("bo", 6, 1.0)]


def test_unanswered_items_are_counted_and_wrong_ones_are_named_by_line(
    run: Run, exported: Exported, tmp_path: Path
) -> None:
    key = exported(tmp_path / "look.jsonl")
    lines = answered(key, tmp_path / "look.jsonl", truth)
    blank = json.dumps(json.loads(lines[0]) | {"labels": []})
    assert look(run, tmp_path / "done.jsonl", [blank, *lines[1:]]).unanswered == 1

    wrong = json.dumps(json.loads(lines[0]) | {"labels": ["bugs"]})
    with pytest.raises(InvalidDataset, match=r"line 1, field labels: 'bugs' is no label.*Did you mean: bug"):
        look(run, tmp_path / "done.jsonl", [wrong, *lines[1:]])


def test_a_file_of_another_run_is_refused(run: Run, exported: Exported, tmp_path: Path) -> None:
    key = exported(tmp_path / "look.jsonl")
    other = Run.read(write_noisy_run(tmp_path / "other", cases=5))

    with pytest.raises(NotFound, match="no key"):
        look(other, tmp_path / "done.jsonl", answered(key, tmp_path / "look.jsonl", truth))


def test_data_that_changed_since_the_run_are_refused(tmp_path: Path) -> None:
    run = Run.read(write_noisy_run(tmp_path / "run", cases=5))
    data = tmp_path / "run.jsonl"
    data.write_text(data.read_text().replace("host 3", "host three"))

    with pytest.raises(InvalidInput, match="has changed since the run"):
        cases_of(run, TAXONOMY)
    data.unlink()
    with pytest.raises(NotFound, match="--data"):
        cases_of(run, TAXONOMY)
