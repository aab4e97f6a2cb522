"""Argilla's exports: records of version 2, nested or flattened, and text classification records of version 1.

Sources: argilla/records of argilla-io/argilla (`to_json`, `to_list(flatten=True)`), and the version 1 data model.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from triage.intake.data_files import DataProblem, NumberedRow, RowError
from triage.intake.raw_annotations import RawAnnotation, Source

_RESPONSES, _USERS, _STATUS = ".responses", ".responses.users", ".responses.status"


def is_record(item: Mapping[str, Any]) -> bool:
    """True for a record of either version."""
    return (
        isinstance(item.get("responses"), dict)
        or "annotation_agent" in item
        or any(key.endswith(_RESPONSES) for key in item)
    )


def read(items: Sequence[NumberedRow], source: Source) -> Iterator[RawAnnotation | DataProblem]:
    """The labels of every submitted response; drafts and discarded ones are left out."""
    for line, record in items:
        try:
            yield from (
                _read_version_1(line, record, source)
                if "annotation_agent" in record
                else _read_version_2(line, record, source)
            )
        except RowError as error:
            yield DataProblem(line, error.field, f"record {record.get('id')}: {error}")


def _read_version_2(line: int, record: Mapping[str, Any], source: Source) -> Iterator[RawAnnotation]:
    fields = {**record, **_mapping(record.get("fields"))}
    named = _mapping(record.get("metadata")).get("incident_id", fields.get("incident_id", record.get("id")))
    incident_id = source.incident_id(named, fields)
    for question, responses in _responses(record).items():
        facet = source.facet(question)
        for response in responses if facet is not None else ():
            status = str(response.get("status") or "submitted").rpartition(".")[2].lower()
            if status != "submitted" or response.get("value") is None:
                source.left_out[f"{status} responses" if status != "submitted" else "responses without a value"] += 1
                continue
            labels = _labels(response["value"], question)
            yield RawAnnotation(line, incident_id, str(facet), labels, source.annotator(response.get("user_id")))


def _responses(record: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Question -> its responses, from both forms of version 2."""
    nested = {
        question: [response for response in listed or () if isinstance(response, dict)]
        for question, listed in _mapping(record.get("responses")).items()
    }
    for key, values in record.items():
        if key.endswith(_RESPONSES) and isinstance(values, list):
            question = key.removesuffix(_RESPONSES)
            users = record.get(question + _USERS) or [None] * len(values)
            statuses = record.get(question + _STATUS) or [None] * len(values)
            nested[question] = [
                {"value": value, "user_id": user, "status": status}
                for value, user, status in zip(values, users, statuses, strict=False)
            ]
    return nested


def _read_version_1(line: int, record: Mapping[str, Any], source: Source) -> Iterator[RawAnnotation]:
    if record.get("annotation") is None or str(record.get("status")).lower() == "discarded":
        source.left_out["records without an annotation"] += 1
        return
    if not source.unnamed_facet:
        raise RowError("annotation", "version 1 does not name the question: say which facet it is, --facet")
    fields = {**record, **_mapping(record.get("inputs"))}
    named = _mapping(record.get("metadata")).get("incident_id", record.get("id"))
    stamp = record.get("event_timestamp")
    others = {"created_at": stamp} if isinstance(stamp, str) else {}
    incident_id = source.incident_id(named, fields)
    labels = _labels(record["annotation"], "annotation")
    agent = source.annotator(record.get("annotation_agent"))
    yield RawAnnotation(line, incident_id, source.unnamed_facet, labels, agent, others)


def _labels(value: object, question: str) -> list[str]:
    labels = value if isinstance(value, list) else [value]
    if any(isinstance(label, (dict, list)) or label is None for label in labels):
        raise RowError(question, f"has the value {value!r}, which is not a list of labels")
    return [str(label) for label in labels]


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
