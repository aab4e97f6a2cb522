from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from triage.domain.incident import Incident
from triage.domain.triage_result import Evidence
from triage.server.web.incident import TextSpan, highlight, split_by_evidence

TEXT = "The switch failed at nine. We moved traffic."


def span(quote: str) -> Evidence:
    found = Evidence.locate(quote, TEXT)
    assert found is not None
    return found


def test_a_text_without_evidence_is_one_piece() -> None:
    assert split_by_evidence(TEXT, {}) == [TextSpan(TEXT)]
    assert split_by_evidence("", {}) == []


def test_overlapping_evidence_is_cut_where_one_of_it_begins_or_ends() -> None:
    found = split_by_evidence(TEXT, {"category": [span("The switch failed")], "mode": [span("switch failed at nine")]})

    assert found[:3] == [
        TextSpan("The ", ("category",), ("category",)),
        TextSpan("switch failed", ("category", "mode"), ("mode",)),
        TextSpan(" at nine", ("mode",)),
    ]


def test_one_span_can_be_evidence_for_several_facets_and_is_told_once_for_each() -> None:
    same = span("moved traffic")

    found = [each for each in split_by_evidence(TEXT, {"mitigation": [same, same], "mode": [same]}) if each.facets]

    assert found == [TextSpan("moved traffic", ("mitigation", "mode"), ("mitigation", "mode"))]


def test_a_text_is_cut_at_breaks_too_and_a_mark_goes_on_behind_one() -> None:
    found = split_by_evidence(TEXT, {"mode": [span("switch failed")]}, breaks=[10, 0, len(TEXT), 1000])

    assert [each.text for each in found if each.facets] == ["switch", " failed"]
    assert [each.starting for each in found if each.facets] == [("mode",), ()]


def test_evidence_beyond_the_text_is_cut_off() -> None:
    found = split_by_evidence(
        "short", {"a": [Evidence(start=2, end=99, quote="-"), Evidence(start=50, end=60, quote="-")]}
    )

    assert found == [TextSpan("sh"), TextSpan("ort", ("a",), ("a",))]
    assert split_by_evidence("short", {"a": [Evidence(start=3, end=3, quote="")]}) == [TextSpan("short")]


def test_title_and_write_up_are_told_apart_and_evidence_may_reach_over_both() -> None:
    incident = Incident(id="i", title="Zone down", write_up="A switch failed.")
    evidence = {"a": [Evidence(start=5, end=len("Zone down\n\nA switch"), quote="")]}

    found = highlight(incident, evidence)

    assert [(each.text, each.facets) for each in found.title] == [("Zone ", ()), ("down", ("a",))]
    assert [(each.text, each.facets) for each in found.write_up] == [("A switch", ("a",)), (" failed.", ())]
    assert not found.is_cut
    untitled = highlight(Incident(id="i", write_up="A switch failed."), {})
    assert (untitled.title, "".join(each.text for each in untitled.write_up)) == ([], "A switch failed.")


def test_of_a_long_write_up_the_beginning_is_read() -> None:
    found = highlight(Incident(id="i", title="Zone down", write_up="A switch failed."), {}, most=8)

    assert ([each.text for each in found.write_up], found.is_cut) == (["A switch"], True)


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

    found = split_by_evidence(text, evidence)

    assert "".join(each.text for each in found) == text
    place = 0
    for each in found:
        for at in range(place, place + len(each.text)):
            assert set(each.facets) == {facet for facet, start, end in spans if start <= at < end}
        place += len(each.text)
