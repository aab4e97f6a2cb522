from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from triage.domain.incident import Incident
from triage.domain.triage_result import Evidence
from triage.server.web.passages import Passage, passages, read

TEXT = "The switch failed at nine. We moved traffic."


def span(quote: str) -> Evidence:
    found = Evidence.locate(quote, TEXT)
    assert found is not None
    return found


def test_a_text_without_evidence_is_one_piece() -> None:
    assert passages(TEXT, {}) == [Passage(TEXT)]
    assert passages("", {}) == []


def test_overlapping_evidence_is_cut_where_one_of_it_begins_or_ends() -> None:
    found = passages(TEXT, {"category": [span("The switch failed")], "mode": [span("switch failed at nine")]})

    assert found[:3] == [
        Passage("The ", ("category",), ("category",)),
        Passage("switch failed", ("category", "mode"), ("mode",)),
        Passage(" at nine", ("mode",)),
    ]


def test_one_span_can_be_evidence_for_several_facets_and_is_told_once_for_each() -> None:
    same = span("moved traffic")

    found = [one for one in passages(TEXT, {"mitigation": [same, same], "mode": [same]}) if one.facets]

    assert found == [Passage("moved traffic", ("mitigation", "mode"), ("mitigation", "mode"))]


def test_a_text_is_cut_at_breaks_too_and_a_mark_goes_on_behind_one() -> None:
    found = passages(TEXT, {"mode": [span("switch failed")]}, breaks=[10, 0, len(TEXT), 1000])

    assert [one.text for one in found if one.facets] == ["switch", " failed"]
    assert [one.begun for one in found if one.facets] == [("mode",), ()]


def test_evidence_beyond_the_text_is_cut_off() -> None:
    found = passages("short", {"a": [Evidence(start=2, end=99, quote="-"), Evidence(start=50, end=60, quote="-")]})

    assert found == [Passage("sh"), Passage("ort", ("a",), ("a",))]
    assert passages("short", {"a": [Evidence(start=3, end=3, quote="")]}) == [Passage("short")]


def test_title_and_write_up_are_told_apart_and_evidence_may_reach_over_both() -> None:
    incident = Incident(id="i", title="Zone down", write_up="A switch failed.")
    evidence = {"a": [Evidence(start=5, end=len("Zone down\n\nA switch"), quote="")]}

    found = read(incident, evidence)

    assert [(one.text, one.facets) for one in found.title] == [("Zone ", ()), ("down", ("a",))]
    assert [(one.text, one.facets) for one in found.write_up] == [("A switch", ("a",)), (" failed.", ())]
    assert not found.is_cut
    untitled = read(Incident(id="i", write_up="A switch failed."), {})
    assert (untitled.title, "".join(one.text for one in untitled.write_up)) == ([], "A switch failed.")


def test_of_a_long_write_up_the_beginning_is_read() -> None:
    found = read(Incident(id="i", title="Zone down", write_up="A switch failed."), {}, most=8)

    assert ([one.text for one in found.write_up], found.is_cut) == (["A switch"], True)


@given(
    st.text(max_size=60),
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 70), st.integers(0, 70)), max_size=6),
)
def test_the_pieces_are_the_text_and_each_character_keeps_its_facets(
    text: str, spans: list[tuple[str, int, int]]
) -> None:
    evidence: dict[str, list[Evidence]] = {}
    for facet, start, end in spans:
        evidence.setdefault(facet, []).append(Evidence(start=start, end=end, quote=text[start:end]))

    found = passages(text, evidence)

    assert "".join(one.text for one in found) == text
    place = 0
    for one in found:
        for at in range(place, place + len(one.text)):
            assert set(one.facets) == {facet for facet, start, end in spans if start <= at < end}
        place += len(one.text)
