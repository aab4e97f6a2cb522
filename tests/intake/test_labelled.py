from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from triage.domain.errors import InvalidInput, NotFound
from triage.domain.taxonomy import Taxonomy
from triage.intake.labelled import read_labelled, read_row

TAXONOMY = Taxonomy.load("llm_inference")


def written(folder: Path, name: str, content: str) -> Path:
    path = folder / name
    path.write_text(content, encoding="utf-8")
    return path


def test_csv_has_a_column_per_facet_with_the_primary_label_first(tmp_path: Path) -> None:
    table = (
        "id,title,write_up,category,failure_mode,mitigation,team\n"
        'a,Down,"It was down, for long.",infrastructure;operational,node;deployment,rollback; restart,blue\n'
        "b,Slow,It was slow.,Inference engine,,,\n"
    )
    (first, labels), (second, others) = read_labelled(written(tmp_path, "a.csv", table), TAXONOMY)

    assert first.write_up == "It was down, for long."
    assert labels == {
        "category": ("infrastructure", "operational"),
        "failure_mode": ("node", "deployment"),
        "mitigation": ("rollback", "restart"),
    }
    assert (second.title, others) == ("Slow", {"category": ("inference_engine",)})


@pytest.mark.parametrize(
    "row",
    [
        {"id": "a", "text": "It was down.", "labels": {"category": "operational", "colour": "red"}, "by": "x"},
        {"id": "a", "write_up": "It was down.", "labels": {"category": ["operational"], "colour": "red"}, "by": "x"},
        {"id": "a", "write_up": "It was down.", "category": "operational", "labels.colour": "red", "by": "x"},
        {"id": "!a", "text": "It was down.", "cause": "operational", "labels.colour": "red", "by": "x"},
    ],
)
def test_labels_are_in_an_object_or_in_fields_of_their_own(row: dict[str, Any]) -> None:
    found = read_row(row, TAXONOMY, {"category": "cause"} if "cause" in row else {})

    assert (found.incident.id, found.incident.write_up) == ("a", "It was down.")
    assert found.labels == {"category": ("operational",)}
    assert sorted(found.unused) == ["by", "labels.colour"]
    assert found.facts["by"] == "x"


def test_a_file_may_hold_rows_without_a_label(tmp_path: Path) -> None:
    lines = '{"id": "a", "write_up": "Down.", "labels": {"category": null}}\n{"id": "b", "write_up": "Down."}\n'

    assert [labels for _, labels in read_labelled(written(tmp_path, "a.jsonl", lines), TAXONOMY)] == [{}, {}]


def test_every_mistake_is_told_and_nothing_is_taken(tmp_path: Path) -> None:
    table = (
        "id,write_up,category,failure_mode\n"
        "a,Down.,infrastucture,\n"
        "b,,operational,\n"
        "d,Down.,operational,node\n"
        "e,Down.,operational,\n"
        "e,Down again.,operational,\n"
    )
    with pytest.raises(InvalidInput) as caught:
        read_labelled(written(tmp_path, "a.csv", table), TAXONOMY)

    for told in (
        "line 2, field labels.category: 'infrastucture' is no label of facet 'category'. Did you mean: infrastructure",
        "line 3, field write_up",
        "line 4, field labels",
        "line 6, field id: 'e' appears twice in the file",
    ):
        assert told in caught.value.detail


def test_a_row_that_is_too_long_and_a_file_without_rows_are_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="more cells"):
        read_labelled(written(tmp_path, "a.csv", "id,write_up\na,b,c\n"), TAXONOMY)
    with pytest.raises(InvalidInput, match="no rows"):
        read_labelled(written(tmp_path, "b.csv", "id,write_up\n"), TAXONOMY)
    with pytest.raises(NotFound):
        read_labelled(tmp_path / "c.csv", TAXONOMY)
