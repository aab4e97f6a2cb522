from __future__ import annotations

from pathlib import Path

import pytest

from triage.domain.errors import InvalidInput, NotFound
from triage.domain.taxonomy import Taxonomy
from triage.intake.labelled import read_labelled

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
    reading = read_labelled(written(tmp_path, "a.csv", table), TAXONOMY)

    (first, labels), (second, others) = reading.records
    assert first.write_up == "It was down, for long."
    assert labels == {
        "category": ("infrastructure", "operational"),
        "failure_mode": ("node", "deployment"),
        "mitigation": ("rollback", "restart"),
    }
    assert (second.title, others) == ("Slow", {"category": ("inference_engine",)})
    assert reading.ignored == ("team",)


def test_json_lines_have_their_labels_in_an_object(tmp_path: Path) -> None:
    lines = '{"id": "a", "text": "It was down.", "labels": {"category": "operational"}, "by": "x"}\n'
    reading = read_labelled(written(tmp_path, "a.jsonl", lines), TAXONOMY)

    assert reading.records[0][1] == {"category": ("operational",)}
    assert reading.ignored == ("by",)


def test_every_mistake_is_told_and_nothing_is_taken(tmp_path: Path) -> None:
    table = (
        "id,write_up,category,failure_mode\n"
        "a,Down.,infrastucture,\n"
        "b,,operational,\n"
        "c,Down.,,\n"
        "d,Down.,operational,node\n"
        "e,Down.,operational,\n"
        "e,Down again.,operational,\n"
    )
    with pytest.raises(InvalidInput) as caught:
        read_labelled(written(tmp_path, "a.csv", table), TAXONOMY)

    for told in (
        "line 2, field labels.category: 'infrastucture' is no label of facet 'category'. Did you mean: infrastructure",
        "line 3, field write_up",
        "line 4, field labels: gives no label",
        "line 5, field labels",
        "line 7, field id: 'e' appears twice in the file",
    ):
        assert told in caught.value.detail


def test_a_row_that_is_too_long_and_a_file_without_rows_are_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="more cells"):
        read_labelled(written(tmp_path, "a.csv", "id,write_up\na,b,c\n"), TAXONOMY)
    with pytest.raises(InvalidInput, match="no rows"):
        read_labelled(written(tmp_path, "b.csv", "id,write_up\n"), TAXONOMY)
    with pytest.raises(NotFound):
        read_labelled(tmp_path / "c.csv", TAXONOMY)
