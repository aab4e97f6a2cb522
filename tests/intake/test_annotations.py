from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from triage.domain.annotation import Annotation
from triage.domain.errors import InvalidInput, NotFound
from triage.domain.incident import Incident, content_id
from triage.domain.taxonomy import Taxonomy
from triage.intake.annotations import AnnotationReading, read_annotations
from triage.intake.data_files import divided, json_items
from triage.labels.annotation_job.annotation_files import csv_rows, json_lines, label_studio_tasks

TAXONOMY = Taxonomy.load("llm_inference")


def read(folder: Path, name: str, content: str | Any, **options: Any) -> AnnotationReading:
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return read_annotations(path, TAXONOMY, **{"origin": "human"} | options)


def told(reading: AnnotationReading) -> list[tuple[str, str, str, tuple[str, ...]]]:
    return [(a.incident_id, a.annotator, a.facet, a.labels) for _, a in reading.numbered]


def test_csv_may_have_a_row_for_each_annotation(tmp_path: Path) -> None:
    table = (
        "incident_id,facet,labels,annotator,note,is_gold,saw_model,created_at,team\n"
        "a,category,Infrastructure; operational,ada,The switch failed.,true,false,2026-03-02T09:00:00,blue\n"
        "b,Severity,,ada,,,,,\n"
    )
    reading = read(tmp_path, "a.csv", table)

    annotation = reading.numbered[0].annotation
    assert told(reading) == [("a", "ada", "category", ("infrastructure", "operational"))]
    assert (annotation.note, annotation.is_gold, annotation.saw_model) == ("The switch failed.", True, False)
    assert annotation.created_at == datetime(2026, 3, 2, 9, tzinfo=UTC)
    assert reading.left_out == {"rows without labels": 1}
    assert reading.ignored == ("team",)


def test_csv_may_have_a_column_for_each_facet(tmp_path: Path) -> None:
    table = "id,category,Failure mode,detection\na,operational,deployment,automated\nb,infrastructure,,\n"
    reading = read(tmp_path, "a.csv", table, annotator="grace")

    assert told(reading) == [
        ("a", "grace", "category", ("operational",)),
        ("a", "grace", "failure_mode", ("deployment",)),
        ("a", "grace", "detection", ("automated",)),
        ("b", "grace", "category", ("infrastructure",)),
    ]
    assert [line for line, _ in reading.numbered] == [2, 2, 2, 3]
    assert reading.numbered[0].annotation.saw_model is None


def test_json_lines_may_have_one_facet_or_all_of_them_and_the_incident(tmp_path: Path) -> None:
    lines = (
        '{"incident_id": "a", "facet": "category", "labels": ["operational"], "annotator": "ada"}\n\n'
        '{"annotator": "ada", "title": "Down", "write_up": "It was down.", "labels": {"severity": "major"}}\n'
    )
    lines = lines.replace("major", TAXONOMY.facet("severity").ids[1])
    reading = read(tmp_path, "a.jsonl", lines)

    made = content_id("Down", "It was down.")
    assert [(line, a.incident_id, a.facet) for line, a in reading.numbered] == [
        (1, "a", "category"),
        (3, made, "severity"),
    ]
    assert reading.incidents == {made: Incident(id=made, title="Down", write_up="It was down.")}


def test_every_mistake_is_told_with_its_line_and_the_nearest_label(tmp_path: Path) -> None:
    table = (
        "incident_id,facet,labels,annotator\n"
        "a,category,infrastucture;operatinal,ada\n"
        "b,category,infrastucture,ada\n"
        "c,categry,operational,ada\n"
        "d,detection,automated;manual,ada\n"
        "e,category,operational,\n"
        ",category,operational,ada\n"
    )
    table = table.replace("automated;manual", ";".join(TAXONOMY.facet("detection").ids[:2]))
    with pytest.raises(InvalidInput) as caught:
        read(tmp_path, "a.csv", table)

    for message in (
        "line 2, field labels.category: 'infrastucture' is no label of facet 'category'. Did you mean: infrastructure?"
        " (also on lines 3)",
        "line 2, field labels.category: 'operatinal' is no label of facet 'category'. Did you mean: operational?",
        "line 4, field facet: 'categry' is no facet",
        "line 5, field labels.detection: Facet 'detection' takes exactly one label, not 2",
        "line 6, field annotator: names nobody",
        "line 7, field incident_id: names no incident",
    ):
        assert message in caught.value.detail


def task(**annotation: Any) -> dict[str, Any]:
    """A task as Label Studio exports it, cut to what it always has."""
    text = {"text": "A switch lost its uplinks.", "title": "Zone gone"}
    whole = {"id": 5, "result": [], "was_cancelled": False, "ground_truth": False, "completed_by": 7} | annotation
    return {"id": 3, "data": text, "annotations": [whole], "predictions": [], "project": 1}


def chosen(name: str, *choices: str) -> dict[str, Any]:
    value = {"choices": list(choices)}
    return {"id": "x", "from_name": name, "to_name": "text", "type": "choices", "value": value, "origin": "manual"}


def test_label_studio_choices_are_labels_of_the_facet_that_the_control_is_named_after(tmp_path: Path) -> None:
    note = {"from_name": "why", "to_name": "text", "type": "textarea", "value": {"text": ["The uplinks failed."]}}
    results = [chosen("category", "Infrastructure"), chosen("ended_by", "failover", "Restart"), note]
    tasks = [
        task(result=results, updated_at="2026-03-02T09:00:00.5Z", ground_truth=True),
        task(result=[chosen("category", "Operational")], completed_by={"id": 8, "email": "grace@example.org"}),
        task(was_cancelled=True),
        task(),
        {**task(result=[chosen("mood", "sad")]), "predictions": [{"result": [chosen("category", "operational")]}]},
    ]
    reading = read(tmp_path, "ls.json", tasks, renamed={"ended_by": "mitigation", "7": "ada"})

    here = content_id("Zone gone", "A switch lost its uplinks.")
    assert told(reading) == [
        (here, "ada", "category", ("infrastructure",)),
        (here, "ada", "mitigation", ("failover", "restart")),
        (here, "grace@example.org", "category", ("operational",)),
    ]
    first = reading.numbered[0].annotation
    assert (first.note, first.is_gold, first.created_at.microsecond) == ("The uplinks failed.", True, 500_000)
    assert reading.incidents[here].write_up == "A switch lost its uplinks."
    assert reading.left_out == {"skipped tasks": 1, "annotations without labels": 2, "predictions of a model": 1}
    assert reading.ignored == ("mood",)


@pytest.mark.parametrize("control", ["category", "failure_mode"])
def test_a_label_studio_taxonomy_path_gives_the_labels_of_parent_and_child(tmp_path: Path, control: str) -> None:
    path = [["Infrastructure"], ["Infrastructure", "network"]]
    result = {"from_name": control, "to_name": "text", "type": "taxonomy", "value": {"taxonomy": path[1:]}}
    reading = read(tmp_path, "ls.json", [task(result=[result])])

    assert [(facet, labels) for _, _, facet, labels in told(reading)] == [
        ("category", ("infrastructure",)),
        ("failure_mode", ("network",)),
    ]


def test_a_mistake_in_a_pretty_printed_export_is_told_with_the_line_of_its_task(tmp_path: Path) -> None:
    tasks = [task(result=[chosen("category", "operational")]), task(result=[chosen("category", "operatonal")])]
    text = json.dumps(tasks, indent=1)
    second = text[: text.index('"operatonal"')].rindex("\n {")
    with pytest.raises(InvalidInput, match=f"line {text[:second].count(chr(10)) + 2}, field labels.category"):
        read(tmp_path, "ls.json", text)


def test_argilla_records_give_each_submitted_response(tmp_path: Path) -> None:
    records = [
        {
            "id": "inc-1",
            "fields": {"text": "It was down."},
            "metadata": {},
            "suggestions": {"category": {"value": "operational", "score": None, "agent": "m"}},
            "responses": {
                "category": [
                    {"value": "infrastructure", "user_id": "u1"},
                    {"value": "operational", "user_id": "u2", "status": "submitted"},
                    {"value": "operational", "user_id": "u3", "status": "draft"},
                ],
                "mitigation": [{"value": ["restart", "failover"], "user_id": "u1"}],
                "comment": [{"value": "hm", "user_id": "u1"}],
            },
            "vectors": {},
            "_server_id": "0",
        },
        {"id": "f47ac10b-58cc-4372-a567-0e02b2c3d479", "fields": {"text": "Slow."}, "responses": None, "metadata": {}},
    ]
    reading = read(tmp_path, "argilla.json", records, renamed={"u1": "ada"})

    assert told(reading) == [
        ("inc-1", "ada", "category", ("infrastructure",)),
        ("inc-1", "u2", "category", ("operational",)),
        ("inc-1", "ada", "mitigation", ("restart", "failover")),
    ]
    assert reading.left_out == {"draft responses": 1}
    assert reading.ignored == ("comment",)

    by_id = {record["id"]: {k: v for k, v in record.items() if k != "id"} for record in records[:1]}
    assert told(read(tmp_path, "by_id.json", by_id, renamed={"u1": "ada"})) == told(reading)
    columns = {key: [record[key] for record in records[:1]] for key in records[0]}
    assert told(read(tmp_path, "columns.json", columns, renamed={"u1": "ada"})) == told(reading)


def test_flattened_argilla_records_and_made_up_ids_are_understood(tmp_path: Path) -> None:
    record = {
        "id": "f47ac10b-58cc-4372-a567-0e02b2c3d479",
        "text": "It was down.",
        "category.responses": ["infrastructure", "operational"],
        "category.responses.users": ["u1", "u2"],
        "category.responses.status": ["submitted", "discarded"],
        "category.suggestion": "operational",
    }
    reading = read(tmp_path, "argilla.jsonl", json.dumps(record))

    assert told(reading) == [(content_id("", "It was down."), "u1", "category", ("infrastructure",))]
    assert reading.left_out == {"discarded responses": 1}


def test_the_one_question_of_a_version_1_record_must_be_named(tmp_path: Path) -> None:
    record = {
        "id": "inc-1",
        "inputs": {"text": "It was down."},
        "prediction": [["operational", 0.9]],
        "prediction_agent": "m",
        "annotation": "Infrastructure",
        "annotation_agent": "ada",
        "status": "Validated",
        "event_timestamp": "2023-05-01T10:00:00",
    }
    rows = [record, record | {"annotation": None, "status": "Default"}]
    reading = read(tmp_path, "argilla.json", rows, facet="category")

    assert told(reading) == [("inc-1", "ada", "category", ("infrastructure",))]
    assert reading.numbered[0].annotation.created_at.year == 2023
    with pytest.raises(InvalidInput, match="say which facet it is, --facet"):
        read(tmp_path, "argilla.json", rows)


def test_what_can_not_be_read_is_explained(tmp_path: Path) -> None:
    for content, message in (
        ('[{"id": 1},', "cut off"),
        ('{"incident_id": "a"}\nnonsense\n', "line 2: is not JSON"),
        ("[]", "contains no annotation"),
        (json.dumps([task(result=[chosen("mood", "sad")])]), "--rename QUESTION=FACET"),
        ('{"incident_id": "a", "facet": "category", "labels": ["operational"], "annotator": "a", "note": 5}', "note"),
    ):
        with pytest.raises(InvalidInput, match=message):
            read(tmp_path, "a.json", content)
    with pytest.raises(NotFound):
        read_annotations(tmp_path / "missing.json", TAXONOMY)
    with pytest.raises(InvalidInput, match="more cells"):
        read(tmp_path, "a.csv", "incident_id,facet\na,b,c\n")


texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20).filter(str.strip)
annotations = st.builds(
    Annotation,
    incident_id=st.sampled_from(["a", "b"]),
    facet=st.just("category"),
    labels=st.lists(st.sampled_from(TAXONOMY.facet("category").ids), min_size=1, unique=True).map(tuple),
    annotator=texts.map(str.strip),
    note=st.sampled_from(["", "The switch.\r=1", "The\nswitch."]) | texts.map(str.strip),
    is_gold=st.booleans(),
    saw_model=st.none() | st.booleans(),
    created_at=st.datetimes(datetime(2000, 1, 1), datetime(2050, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
).filter(lambda annotation: not annotation.annotator.startswith("model:"))


@settings(max_examples=30, deadline=None)
@given(st.lists(annotations, min_size=1, max_size=5))
def test_what_is_written_is_read_again(tmp_path_factory: pytest.TempPathFactory, given_: list[Annotation]) -> None:
    folder = tmp_path_factory.mktemp("round")
    for name, content in (("a.csv", csv_rows(given_)), ("a.jsonl", json_lines(given_))):
        assert [a for _, a in read(folder, name, "".join(content)).numbered] == given_


def test_tasks_written_for_label_studio_are_read_again(tmp_path: Path) -> None:
    incidents = {"a": Incident(id="a", title="Down", write_up="It was down.")}
    values: dict[str, Any] = {"incident_id": "a", "annotator": "ada", "is_gold": True, "note": "So it says."}
    given_ = [
        Annotation(facet="category", labels=("infrastructure", "operational"), **values),
        Annotation(facet="mitigation", labels=("restart",), **values),
    ]
    reading = read(tmp_path, "ls.json", label_studio_tasks(given_, incidents, TAXONOMY))

    assert told(reading) == [(a.incident_id, a.annotator, a.facet, a.labels) for a in given_]
    assert reading.incidents == incidents
    assert all(a.is_gold for _, a in reading.numbered)


@settings(deadline=None)
@given(st.lists(st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5), max_size=3), max_size=5))
def test_the_items_of_an_array_are_found_whatever_its_layout(items: list[dict[str, Any]]) -> None:
    for indent in (None, 2):
        found, problems = divided(json_items(json.dumps(items, indent=indent)))
        assert ([item for _, item in found], problems) == (items, [])
    lines, problems = divided(json_items("\n".join(map(json.dumps, items))))
    assert (lines, problems) == ([(n, item) for n, item in enumerate(items, start=1)], [])
