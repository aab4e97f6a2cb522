from __future__ import annotations

from triage.domain.annotation import Annotation, agreed_by_people


def said(labels: str, who: str = "ada", **values: object) -> Annotation:
    return Annotation(incident_id="i", facet="category", labels=tuple(labels.split()), annotator=who, **values)


def words(*annotations: Annotation) -> tuple[str, ...] | None:
    found = agreed_by_people(annotations)
    return found["category"].labels if found else None


def test_a_persons_word_counts_if_it_is_gold_or_nobody_says_otherwise() -> None:
    assert words(said("a"), said("a", "max")) == ("a",)
    assert words(said("a"), said("b", "max")) is None
    assert words(said("a"), said("b", "max"), said("c", "lin", is_gold=True)) == ("c",)
    # The latest word of one annotator counts.
    assert words(said("a"), said("b", "max"), said("b")) == ("b",)
    assert words(said("a", is_gold=True), said("b", "max", is_gold=True)) == ("b",)


def test_models_and_derived_labels_are_nobodys_word() -> None:
    assert words(said("a", "model:x", origin="model"), said("b", "rules", origin="derived", is_gold=True)) is None
