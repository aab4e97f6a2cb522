"""Files whose fields have names of their own."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from triage.domain.errors import InvalidInput, NotFound
from triage.domain.taxonomy import Taxonomy, UnknownFacet
from triage.intake.custom_fields import FieldsReading, read_fields
from triage.intake.data_files import InvalidDataset

REPORTS = Taxonomy.load("cloud_reports")


def lines(folder: Path, *rows: dict[str, Any]) -> Path:
    """The rows as JSON Lines."""
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def row(number: int, **more: Any) -> dict[str, Any]:
    """A row with a text and labels within `labels`."""
    labels = {"cause": "Bad config" if number % 2 else "Power", "seen": ["error", "delay"][: 1 + number % 2]}
    return {"key": f"r/{number}", "text": f"Something broke, number {number}.", "labels": labels, **more}


def test_labels_are_taken_as_they_stand_where_there_is_no_taxonomy(tmp_path: Path) -> None:
    reading = read_fields(
        lines(tmp_path, *map(row, range(5))), None, {"Root cause": "labels.cause", "seen": "seen"}, {"id": "key"}
    )

    cause, seen = reading.taxonomy.facets
    assert (cause.id, cause.name, cause.cardinality) == ("root_cause", "Root cause", "single")
    assert [(label.id, label.name) for label in cause.labels] == [("power", "Power"), ("bad_config", "Bad config")]
    assert (seen.cardinality, seen.ids) == ("multi", ["error", "delay"])
    first, second = reading.records[:2]
    assert (first[0].id, first[0].write_up) == ("r-0", "Something broke, number 0.")
    assert second[1] == {"root_cause": ("bad_config",), "seen": ("error", "delay")}
    assert reading.notes == ()


def test_a_taxonomy_names_the_labels_and_the_field_may_be_another(tmp_path: Path) -> None:
    path = lines(tmp_path, row(1, labels={"why": "CONFIG", "user_symptom": ["ERROR"]}), row(2, labels={"why": None}))
    reading = read_fields(path, REPORTS, {"root_cause": "why"}, {"id": "key"})
    assert [labels for _, labels in reading.records] == [{"root_cause": ("config",), "user_symptom": ("error",)}, {}]
    assert reading.notes == ("1 of 2 incidents have no label of any facet.",)


def test_times_have_fields_of_their_own_or_a_duration(tmp_path: Path) -> None:
    path = lines(
        tmp_path,
        row(1, labels={"cause": "a", "took": 90, "from": "2024-05-01 10:00"}),
        row(2, labels={"cause": "b", "took": "n/a", "from": "20240501T120000"}),
        row(3, labels={"cause": "a", "from": "10:15"}, resolved_at="2024-05-01T11:00:00Z"),
        row(4, labels={"cause": "a", "from": "2024-05-02"}, resolved_at="2024-05-01"),
    )
    reading = read_fields(
        path,
        None,
        {"cause": "cause"},
        {"id": "key", "started_at": "labels.from", "duration_minutes": "labels.took"},
    )
    times = [(incident.started_at, incident.resolved_at) for incident, _ in reading.records]
    assert times[0] == (datetime(2024, 5, 1, 10, tzinfo=UTC), datetime(2024, 5, 1, 11, 30, tzinfo=UTC))
    assert times[1] == (datetime(2024, 5, 1, 12, tzinfo=UTC), None)
    assert times[2] == (None, datetime(2024, 5, 1, 11, tzinfo=UTC))
    assert times[3] == (datetime(2024, 5, 2, tzinfo=UTC), None)
    assert reading.notes == (
        "duration_minutes: 1 can't be read as minutes, and count as not known.",
        "started_at: 1 can't be read as a date and time, and count as not known.",
        "resolved_at: 1 are before an earlier time, and count as not known.",
    )


def test_a_table_is_read_with_several_labels_in_a_cell(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("When,Summary,Cause,Done\n2024-01-02,It broke,disk,swap; reboot\n2024-01-03,Again,net,reboot\n")
    reading = read_fields(path, None, {"cause": "Cause", "done": "Done"}, {"started_at": "When", "title": "Summary"})
    (first, labels), _ = reading.records
    assert (first.title, first.write_up, labels["done"]) == ("It broke", "It broke", ("swap", "reboot"))
    assert first.id.startswith("inc-")


def test_a_row_that_repeats_an_id_counts_once(tmp_path: Path) -> None:
    reading = read_fields(lines(tmp_path, row(1), row(2), row(1)), None, {"cause": "cause"}, {"id": "key"})
    assert len(reading.records) == 2
    assert reading.notes == ("id: 1 rows repeat one: the first of each counts.",)


def test_rows_with_mistakes_are_refused_or_left_out_and_told(tmp_path: Path) -> None:
    path = lines(tmp_path, row(1), row(2, text="\x00"), row(4))

    def read(*, skip_bad: bool) -> FieldsReading:
        return read_fields(path, None, {"cause": "cause"}, {"id": "key"}, skip_bad=skip_bad)

    with pytest.raises(InvalidDataset, match="line 2"):
        read(skip_bad=False)
    reading = read(skip_bad=True)
    assert len(reading.records) == 2
    assert "1 row(s) with mistakes are left out: line 2" in reading.notes[0]


def test_a_label_that_the_taxonomy_does_not_have_is_told_with_its_line(tmp_path: Path) -> None:
    path = lines(tmp_path, row(1, labels={"root_cause": "CONFIG"}), row(2, labels={"root_cause": "CONFUSION"}))
    with pytest.raises(InvalidDataset, match="line 2, field root_cause"):
        read_fields(path, REPORTS, {}, {"id": "key"})


@pytest.mark.parametrize(
    ("facets", "fields", "told"),
    [
        ({"cause": "labels.why"}, {}, r"No row of .* has anything in 'labels.why'.*labels.cause"),
        ({"cause": "cause"}, {"began": "key"}, "An incident has no began"),
        ({}, {"id": "key"}, "--facet NAME=FIELD"),
        ({"text": "text"}, {}, "2 to 200 labels"),
        ({"all": "labels"}, {}, "no labels"),
    ],
)
def test_what_can_not_be_read_says_what_to_change(
    tmp_path: Path, facets: dict[str, str], fields: dict[str, str], told: str
) -> None:
    with pytest.raises(InvalidInput, match=told):
        read_fields(lines(tmp_path, *(row(n, text="long " * 50) for n in range(4))), None, facets, fields)


def test_an_unknown_facet_or_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnknownFacet):
        read_fields(lines(tmp_path, row(1)), REPORTS, {"colour": "cause"}, {})
    with pytest.raises(NotFound):
        read_fields(tmp_path / "none.csv", None, {"cause": "cause"}, {})
    (tmp_path / "empty.csv").write_text("Cause\n")
    with pytest.raises(InvalidInput):
        read_fields(tmp_path / "empty.csv", None, {"cause": "Cause"}, {})
