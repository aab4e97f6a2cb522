"""The shipped history and its datasheet."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

from triage.evaluation import shipped_history
from triage.history.duplicates import is_near_duplicate

FOLDER = Path(__file__).parents[2] / "evals/datasets/llm_incidents"


def test_the_history_is_large_enough_and_every_incident_has_its_source() -> None:
    records = shipped_history()

    assert len(records) >= 400
    assert len({incident.url for incident, _ in records}) == len(records)
    assert all({"detection", "mitigation", "severity", "modality"} <= labels.keys() for _, labels in records)


def test_category_and_failure_mode_are_both_given_or_neither() -> None:
    causes = [{"category", "failure_mode"} & labels.keys() for _, labels in shipped_history()]

    assert all(len(cause) in (0, 2) for cause in causes)
    assert sum(map(bool, causes)) >= 300


def test_the_records_stand_in_order_and_are_written_in_plain_letters() -> None:
    lines = (FOLDER / "incidents.jsonl").read_text(encoding="utf-8").splitlines()
    records = [json.loads(line) for line in lines]

    assert records == sorted(records, key=lambda record: (record["date"] or "9999", record["id"]))
    assert lines == [json.dumps(record, ensure_ascii=False) for record in records]
    assert all("not human" in record["label_origin"] for record in records)


def test_the_datasheet_counts_the_records_by_shape() -> None:
    records = [json.loads(line) for line in (FOLDER / "incidents.jsonl").read_text(encoding="utf-8").splitlines()]
    told = re.findall(r"^\| `(\w+)` \| [^|]+ \| (\d+) \|$", (FOLDER / "README.md").read_text(), re.MULTILINE)

    assert {shape: int(n) for shape, n in told} == Counter(record["shape"] for record in records)


def test_no_two_incidents_are_the_same_one() -> None:
    texts = [incident.write_up for incident, _ in shipped_history()]

    assert not [n for n, text in enumerate(texts) if any(is_near_duplicate(text, other) for other in texts[:n])]


def test_the_label_counts_of_the_datasheet_are_those_of_the_data() -> None:
    held, first = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    for _, labels in shipped_history():
        for facet, ids in labels.items():
            held.update((facet, label) for label in ids)
            first[facet, ids[0]] += 1
    told = re.findall(r"^\| (\w+) \| (\w+) \| (\d+) \| (\d+) \|$", (FOLDER / "README.md").read_text(), re.MULTILINE)

    assert {(facet, label): (int(n), int(m)) for facet, label, n, m in told} == {
        key: (n, first[key]) for key, n in held.items()
    }
