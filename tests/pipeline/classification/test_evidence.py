from __future__ import annotations

import numpy as np

from triage.domain.triage_result import FacetResult, LabelProbability
from triage.pipeline.classification.evidence import locate, show
from triage.pipeline.classification.likeness import Likeness, Theme
from triage.pipeline.classification.sentences import split
from triage.redaction import Redactor

TEXT = "Mail ops@corp.example.\n\nThe  Redis cluster\nran out of connections. Restarted at 10.2.3.4."


def test_a_quote_is_found_whatever_its_white_space_and_case_and_points_into_the_original() -> None:
    (evidence,) = locate(["the redis cluster ran out"], Redactor().redact(TEXT))

    assert TEXT[evidence.start : evidence.end] == "The  Redis cluster\nran out"


def test_a_quote_that_is_not_there_is_left_out() -> None:
    assert locate(["the cluster was fine", ""], Redactor().redact(TEXT)) == ()


def test_a_quote_over_a_placeholder_covers_the_whole_item_and_does_not_show_it() -> None:
    redacted = Redactor().redact(TEXT)
    (evidence,) = locate(["Restarted at <IP_1>"], redacted)

    assert TEXT[evidence.start : evidence.end] == "Restarted at 10.2.3.4"
    assert "10.2.3.4" not in evidence.quote


def likeness(write_up: str) -> Likeness:
    """Two labels: each sentence is like the one whose cue it has."""
    sentences = tuple(split(write_up))
    theme = Theme("", {"crash": ("crashed",), "hang": ("hung",), "slow": ("slow",)})
    none = np.zeros(len(sentences), dtype=np.float32)
    return Likeness({}, sentences, {"mode": dict.fromkeys(theme.cues, none)}, {"mode": theme})


def test_each_label_has_its_sentence_and_one_that_nothing_shows_has_none() -> None:
    text = "The router crashed after the release. All of its workers hung for an hour."
    result = FacetResult(facet="mode", labels=("hang", "slow"))

    (evidence,) = show(result, likeness(text), Redactor().redact(text))

    assert (evidence.label, evidence.quote) == ("hang", "All of its workers hung for an hour.")


def test_where_a_facet_abstains_its_close_labels_have_their_sentences() -> None:
    text = "The router crashed after the release. All of its workers hung for an hour."
    ranked = tuple(
        LabelProbability(label=k, probability=p) for k, p in {"hang": 0.5, "crash": 0.3, "slow": 0.1}.items()
    )
    result = FacetResult(facet="mode", labels=(), distribution=ranked, abstention="Not sure enough.")

    assert [each.label for each in show(result, likeness(text), Redactor().redact(text))] == ["hang", "crash"]
