"""Incidents as Markdown: what is written is read again, and a heading is a title only where there is no other."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from triage.domain.incident import Incident
from triage.intake.markdown import parse_markdown, write_markdown

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00\r\x85\u2028\u2029"), max_size=60)


@given(texts, texts, texts, st.dictionaries(st.text("abc_", min_size=1, max_size=5), st.integers() | texts, max_size=3))
def test_what_is_written_is_read_again_as_it_was(
    title: str, write_up: str, service: str, attributes: dict[str, int | str]
) -> None:
    incident = Incident(
        id="INC-1",
        title=title,
        write_up=f"It failed. {write_up}",
        service=service,
        started_at=datetime(2026, 3, 2, 9, 12, tzinfo=UTC),
        attributes=attributes,
    )

    assert Incident.model_validate(parse_markdown(write_markdown(incident))) == incident


def test_a_write_up_that_begins_with_a_heading_or_a_rule_keeps_it() -> None:
    for write_up in ("# Zone down\nA switch failed.", "---\nnot: fields\n---\nIt failed."):
        incident = Incident(id="INC-1", write_up=write_up)
        assert Incident.model_validate(parse_markdown(write_markdown(incident))) == incident


def test_a_heading_is_the_title_only_where_there_is_no_other() -> None:
    text = "# Zone down\nA switch failed."

    assert parse_markdown(text) == {"title": "Zone down", "write_up": "A switch failed."}
    assert parse_markdown(text, has_title=True) == {"write_up": text}
    assert parse_markdown(f"---\ntitle: ''\n---\n{text}") == {"title": "", "write_up": text}


def test_comments_of_a_template_are_not_in_the_way_of_the_title() -> None:
    text = "<!-- Fill in all sections. -->\n<!-- owner: sre -->\n\n# Zone down\nA switch failed."

    fields = parse_markdown(text)

    assert fields["title"] == "Zone down"
    assert fields["write_up"].endswith("-->\n\nA switch failed.")
