from __future__ import annotations

import contextlib
import json
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triage.domain.errors import InputTooLarge, InvalidInput, NotFound, TriageError
from triage.intake.markdown import parse_markdown
from triage.intake.write_ups import read_file, read_stream

LIMIT = 10_000
MARKDOWN = """\
---
id: inc-7
service: gateway
started_at: 2026-01-02T10:00
---
# Gateway refuses connections

The certificate had expired.
"""


def written(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_markdown_gives_its_front_matter_its_heading_and_its_text(tmp_path: Path) -> None:
    ((incident,), ignored) = read_file(written(tmp_path, "a.md", MARKDOWN), LIMIT)

    assert (incident.id, incident.title, incident.service) == ("inc-7", "Gateway refuses connections", "gateway")
    assert incident.write_up.strip() == "The certificate had expired."
    assert incident.started_at is not None
    assert ignored == ()


def test_the_marks_behind_a_heading_are_no_part_of_it() -> None:
    assert parse_markdown("\n# Down ##  \nAll of it.") == {"title": "Down", "write_up": "All of it."}
    assert parse_markdown("# ##\nAll of it.")["title"] == "#"
    assert "title" not in parse_markdown("# Down\n \n")


@pytest.mark.parametrize("text", ["# a" + "#" * 500_000, "# a" + "#" * 500_000 + "\n" + " " * 500_000])
def test_no_heading_takes_long(text: str) -> None:
    began = time.perf_counter()
    parse_markdown(text)
    assert time.perf_counter() - began < 5


def _nested(levels: int) -> str:
    lines = ["a0: &a0 {x: 1}"]
    lines += [f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 6)}]}}" for n in range(1, levels)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    "fields",
    [
        _nested(8),  # with a few more levels it would fill any memory
        "a: &a [1]\nb: *a",
        "x: " + "[" * 2_000 + "]" * 2_000,
        "started_at: 2026-13-45",
        "id: !!int x",
        "id: !!timestamp x",
        "title: " + "x" * 20_000,
    ],
)
def test_front_matter_that_is_more_than_it_seems_or_less_is_refused(fields: str) -> None:
    with pytest.raises(InvalidInput, match="front matter"):
        parse_markdown(f"---\n{fields}\n---\nIt broke.")


def test_a_rule_at_the_top_is_no_front_matter(tmp_path: Path) -> None:
    text = "---\n\nIt broke at ten.\n\n---\n\nIt was mended at noon."

    assert read_file(written(tmp_path, "a.md", text), LIMIT).incidents[0].write_up == text


def test_a_text_file_is_a_write_up_as_it_is(tmp_path: Path) -> None:
    assert read_file(written(tmp_path, "a.log", MARKDOWN), LIMIT).incidents[0].write_up == MARKDOWN


def test_json_holds_one_incident_or_several(tmp_path: Path) -> None:
    one = {"title": "Down", "write_up": "It was down."}

    several = json.dumps([one, one | {"id": "x"}], indent=2)
    assert len(read_file(written(tmp_path, "a.json", json.dumps(one)), LIMIT).incidents) == 1
    assert len(read_file(written(tmp_path, "b.json", several), LIMIT).incidents) == 2


def test_fields_that_an_incident_does_not_have_are_named(tmp_path: Path) -> None:
    lines = (
        '{"id": "a", "text": "It was down.", "labels": {"kind": "x"}}\n\n{"id": "b", "text": "Up.", "mood": "bad"}\n'
    )
    reading = read_file(written(tmp_path, "a.jsonl", lines), LIMIT)

    assert [incident.write_up for incident in reading.incidents] == ["It was down.", "Up."]
    assert reading.ignored == ("labels", "mood")


def test_every_mistake_is_told_with_its_line_and_field(tmp_path: Path) -> None:
    lines = (
        '{"write_up": "ok"}\n{"write_up": 5}\nnonsense\n[]\n{"write_up": "x", "severity": ["high"]}\n{"title": "t"}\n'
    )
    with pytest.raises(InvalidInput) as caught:
        read_file(written(tmp_path, "a.jsonl", lines), LIMIT)

    for place in (
        "line 2, field write_up",
        "line 3: is not JSON",
        "line 4: must be",
        "line 5, field severity",
        "line 6",
    ):
        assert place in caught.value.detail


@pytest.mark.parametrize(
    ("name", "content", "error", "complaint"),
    [
        ("a.txt", b"", InvalidInput, "is empty"),
        ("a.txt", b"\xff\xfe\x00", InvalidInput, "not UTF-8"),
        ("a.txt", "a\x00b", InvalidInput, "NUL"),
        ("a.txt", "x" * (LIMIT + 1), InvalidInput, "larger than 10,000 bytes"),
        ("a.json", "{", InvalidInput, "is not JSON"),
        ("a.json", "[]", InvalidInput, "contains no incident"),
        ("a.md", "---\nid: [a\n---\ntext", InvalidInput, "front matter is not YAML"),
        ("a.md", "---\nwrite_up: x\n---\ntext", InvalidInput, "belongs below"),
    ],
)
def test_what_is_no_write_up_is_refused_with_the_reason(
    tmp_path: Path, name: str, content: str | bytes, error: type[TriageError], complaint: str
) -> None:
    with pytest.raises(error, match=complaint):
        read_file(written(tmp_path, name, content), LIMIT)


def test_what_is_not_there_or_no_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no file"):
        read_file(tmp_path / "missing.md", LIMIT)
    with pytest.raises(InvalidInput, match="is a folder"):
        read_file(tmp_path, LIMIT)


@pytest.mark.parametrize(
    ("content", "titles"),
    [
        ("plain words", [""]),
        ("# Heading\n\nplain words", ["Heading"]),
        ('{"title": "One", "write_up": "x"}', ["One"]),
        ('{"title": "One", "write_up": "x"}\n{"title": "Two", "write_up": "y"}', ["One", "Two"]),
        ('\ufeff[{"title": "One", "write_up": "x"}]', ["One"]),
        ("[paging] the queue is stuck", [""]),
    ],
)
def test_standard_input_is_read_by_what_it_looks_like(content: str, titles: list[str]) -> None:
    assert [incident.title for incident in read_stream(content.encode(), LIMIT).incidents] == titles


@given(st.binary(max_size=200))
def test_whatever_comes_in_is_incidents_or_a_refusal(content: bytes) -> None:
    with contextlib.suppress(InvalidInput):
        assert read_stream(content, LIMIT).incidents


def test_the_limit_is_in_bytes(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="larger"):
        read_file(written(tmp_path, "a.txt", "é" * (LIMIT // 2 + 1)), LIMIT)
    assert issubclass(InputTooLarge, InvalidInput)
