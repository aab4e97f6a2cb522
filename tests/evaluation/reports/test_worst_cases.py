"""Which mistakes are worst, and how a text is cut where evidence stands."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from triage.agreement import Interval
from triage.domain.incident import Incident
from triage.domain.taxonomy import Facet, Label
from triage.evaluation import Case, CaseRecord
from triage.evaluation.reports.run_view import bar_of
from triage.evaluation.reports.worst_cases import WriteUps, worst_cases
from triage.evaluation.scores import Measured
from triage.redaction import Redactor

WORDS = st.sampled_from(["router", "jane@example.org", "10.1.2.3", "password=hunter2", "é", "<b>", "🔥", "\n"])
FINITE = st.floats(-1, 1, allow_nan=False)


def facet(cardinality: str) -> Facet:
    words: dict[str, Any] = {
        "definition": "d",
        "includes": ("i",),
        "excludes": ("e",),
        "deciding_rule": "r",
        "example": "x",
    }
    labels = tuple(Label(id=name, name=name.title(), **words) for name in ("power", "network", "code"))
    return Facet(id="cause", name="Cause", question="Why?", cardinality=cardinality, labels=labels)


def record(case_id: str, gold: tuple[str, ...], predicted: tuple[str, ...], **stated: float) -> CaseRecord:
    return CaseRecord(
        case_id=case_id,
        status="done",
        gold={"cause": gold},
        predicted={"cause": predicted},
        distributions={"cause": stated} if stated else {},
        sources={"cause": {"model": {"network": 0.6, "power": 0.4}, "words": {"power": 0.9}, "prior": {"code": 1.0}}},
        seconds=1.0,
    )


def test_what_was_stated_most_surely_is_worst_and_an_abstention_is_no_mistake() -> None:
    records = [
        record("unsure", ("power",), ("network",), network=0.4, power=0.3),
        record("right", ("power",), ("power",), power=0.9),
        record("abstained", ("power",), (), network=0.9),
        record("unstated", ("power",), ("network",)),
        record("sure", ("power",), ("network",), network=0.95, power=0.01),
    ]
    found = worst_cases(records, [facet("single")])
    assert [case.record.case_id for case in found] == ["sure", "unsure", "unstated"]
    (answer,) = found[0].answers
    assert answer.labels == ("network", "power")
    assert answer.decided == (0.95, 0.01)
    assert {source.name: source.led for source in answer.sources} == {
        "model": "led to the mistake",
        "words": "spoke for the gold label",
        "prior": "",
    }


def test_with_several_labels_a_sure_miss_is_as_bad_as_a_sure_addition() -> None:
    records = [
        record("added", ("power",), ("power", "code"), power=0.9, code=0.8),
        record("missed", ("power", "code"), ("power",), power=0.9, code=0.05),
        record("equal", ("power", "code"), ("code", "power"), power=0.9, code=0.8),
    ]
    found = worst_cases(records, [facet("multi")])
    assert [(case.record.case_id, case.answers[0].confidence) for case in found] == [("missed", 0.95), ("added", 0.8)]


def test_where_the_primary_counts_a_gold_label_further_down_is_told() -> None:
    (found,) = worst_cases([record("second", ("power",), ("network", "power"), network=0.6)], [facet("primary_first")])
    assert found.answers[0].has_primary_among_others


@given(st.lists(WORDS, max_size=12).map(lambda words: " ".join(["a", *words])), st.data())
def test_the_pieces_are_the_whole_redacted_text_with_the_evidence_marked(text: str, data: st.DataObject) -> None:
    case = Case(incident=Incident(id="one", write_up=text), gold={})
    edges = st.integers(0, len(text))
    spans = {
        name: [tuple(sorted(data.draw(st.tuples(edges, edges))))] for name in data.draw(st.sets(st.sampled_from("abc")))
    }
    write_up = WriteUps({"one": case}).of("one", spans)
    assert write_up is not None
    redacted = Redactor().redact(text)
    assert "".join(piece.text for piece in write_up.pieces) == redacted.text
    for name, ((start, end),) in spans.items():
        marked = "".join(piece.text for piece in write_up.pieces if name in piece.facets)
        assert marked == (redacted.text[slice(*redacted.redacted_span(start, end))] if start < end else "")


def test_a_long_text_is_cut_and_says_so() -> None:
    case = Case(incident=Incident(id="one", title="T", write_up="word " * 3000), gold={})
    write_up = WriteUps({"one": case}).of("one", {"cause": [(14_000, 14_010), (0, 1), (20_000, 20_001)]})
    assert write_up is not None
    assert sum(len(piece.text) for piece in write_up.pieces) == 6000
    assert write_up.cut == len(case.incident.text) - 6000
    assert [piece.text for piece in write_up.pieces if piece.facets] == ["T"]


def test_a_link_that_holds_a_secret_or_is_no_web_address_is_left_out() -> None:
    urls = {"web": "https://example.org/1", "script": "javascript:alert(1)", "secret": "https://u:hunter2hunter@x.org/"}
    cases = {name: Case(incident=Incident(id=name, write_up="text", url=url), gold={}) for name, url in urls.items()}
    shown = WriteUps(cases)
    assert {name: shown.heading(name).url for name in cases} == {"web": urls["web"], "script": "", "secret": ""}


@given(st.tuples(FINITE, FINITE, FINITE).map(sorted), st.sampled_from(["kappa.cause", "latency.p95", "degraded.share"]))
def test_a_bar_keeps_the_order_of_its_figures_on_its_scale(figures: list[float], metric: str) -> None:
    low, value, high = figures
    bar = bar_of(Measured(metric=metric, value=value, interval=Interval(low=low, high=high, resamples=9), n=5))
    if bar is not None:
        assert 0 <= bar.low <= bar.value <= bar.high <= 100
        if low >= 0:
            assert bar.zero is None
        elif metric.startswith("kappa"):
            assert bar.zero == 50
