"""Data files in the published formats become cases; mistakes in them are named by line and field."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from triage.domain.errors import InvalidInput, NotFound
from triage.domain.taxonomy import Taxonomy, UnknownFacet
from triage.evaluation import load_dataset, shipped_history
from triage.intake.data_files import InvalidDataset
from triage.intake.labelled import LabelledRow, stream_labelled

Write = Callable[..., Path]
WORDS = "Requests to the service failed in one region while engineers looked for the fault " * 8


def row(**more: Any) -> dict[str, Any]:
    base = {"id": "a-1", "source": "set", "title": "T", "text": "Halls went dark.", "labels": {"cause": "power"}}
    return base | more


def llm_row(**more: Any) -> dict[str, Any]:
    base = {
        "id": "openai-2023-11-08-router-memory",
        "title": "Errors on most requests",
        "write_up": WORDS,
        "provider": "OpenAI",
        "service": "API",
        "date": "2023-11-08",
        "duration_minutes": 90,
        "time_to_detect_minutes": 4,
        "source_url": "https://example.org/incident",
        "labels": {
            "category": ["inference_engine", "operational"],
            "failure_mode": ["resource_exhaustion"],
            "detection": ["undisclosed"],
            "mitigation": ["restart", "hotfix"],
        },
        "label_origin": "derived by the project from the provider's published cause",
        "shape": "summary",
        "evidence": {"failure_mode": "looked for the fault"},
        "label_note": "Memory ran out in the routers.",
    }
    return base | more


@pytest.fixture
def llm() -> Taxonomy:
    return Taxonomy.load("llm_inference")


def test_issre22_rows_get_their_times_and_the_label_of_the_named_field(small: Taxonomy, write_jsonl: Write) -> None:
    labels = {"root_cause": "x", "merged": "POWER LOSS", "duration_min": 90}
    path = write_jsonl(
        row(id="google#17 012", created_at="2021-09-02", labels=labels),
        row(id="b", created_at="2021-09-02", labels={"merged": None, "duration_min": None}),
    )
    data = load_dataset("issre22", path, small, {"cause": "merged"})
    (case,) = data.cases
    assert case.gold == {"cause": ("power",)}
    assert case.incident.id == "google-17-012"
    assert case.facts["id"] == "google#17 012"
    assert case.incident.ttm_minutes == 90
    assert data.skipped == 1


@pytest.mark.parametrize(
    ("start", "end", "minutes"),
    [
        ("20240927T14:47:00", "20240927T16:25:00", 98),
        ("2020-09-24 17:58:00", "UNKNOWN", None),
        ("05:15", "09:18", None),
        ("20240927T14:47:00", "20240926T16:25:00", None),
    ],
)
def test_cloud_reports_keep_only_times_that_make_sense(
    small: Taxonomy, write_jsonl: Write, start: str, end: str, minutes: float | None
) -> None:
    labels = {"cause": "network", "symptom": ["ERROR", "delay"], "start": start, "end": end}
    path = write_jsonl(row(vendor="Azure", labels=labels, recorded={"some-model": {"root_cause": "CONFIG"}}))
    (case,) = load_dataset("cloud_reports", path, small).cases
    assert case.gold == {"cause": ("network",), "symptom": ("errors", "delay")}
    assert case.incident.ttm_minutes == minutes
    assert "some-model" not in case.model_dump_json()


def test_rows_that_stood_in_a_prompt_can_be_left_out(small: Taxonomy, write_jsonl: Write) -> None:
    path = write_jsonl(row(id="a", used=True), row(id="b", used=False))
    data = load_dataset("cloud_reports", path, small, {"cause": "cause"}, leave_out={"used": True})
    assert ([case.id for case in data.cases], data.left_out) == (["b"], 1)


def test_repeats_are_dropped_and_another_report_with_the_same_id_gets_its_own(
    small: Taxonomy, write_jsonl: Write
) -> None:
    path = write_jsonl(row(), row(), row(labels={"cause": "code"}))
    data = load_dataset("vllm", path, small)
    assert ([case.id for case in data.cases], data.repeats) == (["a-1", "a-1-2"], 1)
    assert data.cases[0].group == data.cases[1].group


def test_a_folder_stands_for_the_file_in_it(small: Taxonomy, write_jsonl: Write) -> None:
    path = write_jsonl(row(), name="vllm_issue_type.dev.jsonl")
    assert load_dataset("vllm", path.parent, small).path == path
    with pytest.raises(NotFound, match=r"holds no issre22_\*"):
        load_dataset("issre22", path.parent, small)


def test_mistakes_are_named_by_line_and_field_all_at_once(small: Taxonomy, write_jsonl: Write) -> None:
    path = write_jsonl(
        row(),
        row(id="b", labels={"cause": "powr"}),
        "{not json",
        row(id="c", text="  "),
        '["a list"]',
        row(id="d", labels=None),
        row(id="e", labels={"symptom": 3, "cause": "power"}),
    )
    with pytest.raises(InvalidDataset) as caught:
        load_dataset("vllm", path, small)
    assert [(p.line, p.field) for p in caught.value.problems] == [
        (2, "labels.cause"),
        (3, ""),
        (4, "text"),
        (5, ""),
        (6, "labels"),
        (7, "labels.symptom"),
    ]
    assert "line 2, field labels.cause: 'powr' is no label of facet 'cause'. Did you mean: power" in str(caught.value)
    assert "line 4, field text: is empty" in str(caught.value)


def test_a_file_without_text_or_in_another_encoding_is_refused(small: Taxonomy, tmp_path: Path) -> None:
    empty, latin = tmp_path / "empty.jsonl", tmp_path / "latin.jsonl"
    empty.write_text("")
    latin.write_bytes(json.dumps(row()).encode() + b"\n" + '{"id": "é"}'.encode("latin-1"))
    with pytest.raises(InvalidDataset, match="line 1: the file is empty"):
        load_dataset("vllm", empty, small)
    with pytest.raises(InvalidDataset, match="line 2: is not UTF-8"):
        load_dataset("vllm", latin, small)
    with pytest.raises(NotFound, match="--data"):
        load_dataset("vllm", tmp_path / "none.jsonl", small)


def test_unknown_adapters_and_facets_and_files_without_labels_are_refused(small: Taxonomy, write_jsonl: Write) -> None:
    path = write_jsonl(row(labels={}))
    with pytest.raises(InvalidInput, match="Unknown data adapter"):
        load_dataset("csv", path, small)
    with pytest.raises(UnknownFacet):
        load_dataset("vllm", path, small, {"colour": "colour"})
    with pytest.raises(InvalidInput, match="no row with a gold label for cause"):
        load_dataset("vllm", path, small, {"cause": "cause"})


def test_a_shipped_record_becomes_a_case_with_labels_and_durations(llm: Taxonomy, write_jsonl: Write) -> None:
    (case,) = load_dataset("llm_incidents", write_jsonl(llm_row()), llm).cases
    assert case.gold["category"] == ("inference_engine", "operational")
    assert case.gold["mitigation"] == ("restart", "hotfix")
    assert (case.incident.ttd_minutes, case.incident.ttm_minutes) == (4, 90)
    assert (case.incident.source, case.incident.service) == ("OpenAI", "API")
    assert "ran out" not in case.model_dump_json()


def test_a_shipped_record_may_lack_what_is_not_published(llm: Taxonomy, write_jsonl: Write) -> None:
    labels = {"detection": ["undisclosed"], "mitigation": ["undisclosed"], "severity": ["low"]}
    record = llm_row(provider=None, service=None, date=None, labels=labels, evidence={})
    del record["label_note"]

    (case,) = load_dataset("llm_incidents", write_jsonl(record), llm).cases

    assert "category" not in case.gold
    assert case.gold["severity"] == ("low",)
    assert (case.incident.source, case.incident.service, case.incident.started_at) == ("", "", None)
    assert (case.incident.ttd_minutes, case.incident.ttm_minutes) == (None, None)


def test_a_run_can_be_limited_to_write_ups_of_one_shape(llm: Taxonomy, write_jsonl: Write) -> None:
    path = write_jsonl(llm_row(), llm_row(id="an-alert", shape="alert"))
    assert [case.id for case in load_dataset("llm_incidents", path, llm, keep={"shape": "alert"}).cases] == ["an-alert"]


@pytest.mark.parametrize(
    ("change", "field", "message"),
    [
        ({"id": "Not A Slug"}, "id", "match pattern"),
        ({"write_up": "Too short."}, "write_up", "has 2 words; it must have 8 to 450"),
        ({"write_up": "Down. " * 451, "evidence": {}}, "write_up", "has 451 words"),
        ({"shape": "poem"}, "shape", "'status_updates'"),
        ({"evidence": {"failure_mode": "Memory ran out"}}, "evidence.failure_mode", "neither in the title nor"),
        ({"evidence": {"severity": "one region"}}, "evidence.severity", "a facet without labels"),
        ({"label_note": ""}, "label_note", "at least 1 character"),
        ({"date": "2023-13-45"}, "date", "month"),
        ({"duration_minutes": "90"}, "duration_minutes", "valid number"),
        ({"duration_minutes": 3}, "", "before detected_at"),
        ({"source_url": "see the blog"}, "source_url", "match pattern"),
        ({"colour": "red"}, "colour", "not permitted"),
        ({"labels": {"category": ["engine"]}}, "labels.category", "no label of facet 'category'"),
        ({"labels": {"colour": ["red"]}}, "labels.colour", "no facet"),
        (
            {"labels": {"category": ["operational"], "failure_mode": ["crash"]}},
            "labels.failure_mode",
            "belongs under 'inference_engine'",
        ),
        (
            {"labels": {"category": ["operational", "inference_engine"], "failure_mode": ["crash"]}},
            "labels.failure_mode",
            "first label of 'category' is 'operational'",
        ),
    ],
)
def test_mistakes_in_shipped_records_are_named(
    llm: Taxonomy, write_jsonl: Write, change: dict[str, Any], field: str, message: str
) -> None:
    path = write_jsonl(llm_row(id="fine-record"), llm_row(**change))
    with pytest.raises(InvalidDataset) as caught:
        load_dataset("llm_incidents", path, llm)
    (problem,) = caught.value.problems
    assert (problem.line, problem.field) == (2, field)
    assert message in problem.message


def test_a_shipped_id_that_stands_twice_is_refused(llm: Taxonomy, write_jsonl: Write) -> None:
    path = write_jsonl(llm_row(), llm_row(title="Another"))
    with pytest.raises(InvalidDataset, match=r"line 2, field id: .* is already used on line 1"):
        load_dataset("llm_incidents", path, llm)


def test_the_shipped_history_is_valid_and_whole() -> None:
    records = shipped_history()
    assert len(records) >= 400
    assert all({"detection", "mitigation", "severity", "modality"} <= labels.keys() for _, labels in records)
    assert all(("category" in labels) == ("failure_mode" in labels) for _, labels in records)


def test_a_suite_reads_what_an_import_reads(small: Taxonomy, write_jsonl: Write, tmp_path: Path) -> None:
    table = tmp_path / "rows.csv"
    first_row = 'a,"It broke, at last.",POWER LOSS,errors; delay,test'
    table.write_text(f"id,write_up,why,symptom,part\n{first_row}\nb,Down.,,,test\n")
    labels = {"why": "power", "symptom": ["errors", "delay"], "hours": 3}
    lines = write_jsonl({"id": "a", "text": "It broke, at last.", "labels": labels, "part": "test"})

    for path in (table, lines):
        (case,) = load_dataset("rows", path, small, {"cause": "why"}).cases
        assert (case.id, case.gold, case.facts["part"]) == ("a", {"cause": ("power",)}, "test")
        first = next(row for row in stream_labelled(path, small, {"cause": "why"}) if isinstance(row, LabelledRow))
        assert first.incident == case.incident
        assert first.labels == {"cause": ("power",), "symptom": ("errors", "delay")}
