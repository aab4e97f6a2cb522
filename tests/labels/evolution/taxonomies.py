"""Taxonomies to try changes on, and the changes: every function takes the plain content and gives a changed copy."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis.strategies as st

from triage.domain.annotation import Annotation
from triage.domain.taxonomy import Facet, Label, Taxonomy, shipped

HERE = Path(__file__).parent
Content = dict[str, Any]

SHIPPED = [Taxonomy.load(name) for name in shipped()]


def places(taxonomies: list[Taxonomy] = SHIPPED) -> st.SearchStrategy[tuple[Taxonomy, Facet, Label]]:
    """A taxonomy with one of its facets and one of the facet's labels."""
    return st.sampled_from([(t, f, label) for t in taxonomies for f in t.facets for label in f.labels])


def pairs() -> st.SearchStrategy[tuple[Taxonomy, Facet, Label, Label]]:
    """A taxonomy with a facet and two of its labels, of the same parent, other labels being left."""
    found = [
        (t, f, a, b)
        for t in SHIPPED
        for f in t.facets
        for n, a in enumerate(f.labels)
        for b in f.labels[n + 1 :]
        if a.parent == b.parent and len(f.labels) > 2
    ]
    return st.sampled_from(found)


def changed(taxonomy: Taxonomy, facet_id: str, change: Callable[[Content], None]) -> Taxonomy:
    """The taxonomy after `change` of one facet's content."""
    content = copy.deepcopy(taxonomy.model_dump(mode="json"))
    change(next(facet for facet in content["facets"] if facet["id"] == facet_id))
    content["version"] = "9.0.0"
    return Taxonomy.model_validate(content)


def label_of(facet: Content, label_id: str) -> Content:
    return next(label for label in facet["labels"] if label["id"] == label_id)


def rename(label_id: str, new_id: str, *, tell: bool) -> Callable[[Content], None]:
    """Give a label another id and name; with `tell` the old id is kept among the aliases."""

    def change(facet: Content) -> None:
        label = label_of(facet, label_id)
        label["id"], label["name"] = new_id, new_id.replace("_", " ").title()
        if tell:
            label["aliases"] = [*label["aliases"], label_id]
        for other in facet["labels"]:
            other["rival"] = new_id if other["rival"] == label_id else other["rival"]

    return change


def merge(first_id: str, second_id: str, new_id: str, *, tell: bool) -> Callable[[Content], None]:
    """Put one label in the place of two; with `tell` it says what it replaces."""

    def change(facet: Content) -> None:
        first, second = label_of(facet, first_id), label_of(facet, second_id)
        joined = first | {
            "id": new_id,
            "name": f"{first['name']} or {second['name']}",
            "definition": f"{first['definition']} Or: {second['definition']}",
            "includes": [*first["includes"], *second["includes"]],
            "aliases": [],
            "rival": None,
            "replaces": [first_id, second_id] if tell else [],
        }
        facet["labels"] = [*(one for one in facet["labels"] if one["id"] not in {first_id, second_id}), joined]
        for other in facet["labels"]:
            other["rival"] = None if other["rival"] in {first_id, second_id} else other["rival"]

    return change


def split(label_id: str, ids: tuple[str, str], *, tell: bool) -> Callable[[Content], None]:
    """Put two labels in the place of one, each with half of its inclusions and of its definition."""

    def change(facet: Content) -> None:
        whole = label_of(facet, label_id)
        words, items = whole["definition"].split(), whole["includes"]
        halves = [(words[: len(words) // 2], items[::2]), (words[len(words) // 2 :], items[1::2] or items)]
        parts = [
            whole
            | {
                "id": new_id,
                "name": new_id,
                "definition": " ".join(told),
                "includes": included,
                "aliases": [],
                "rival": None,
                "replaces": [label_id] if tell else [],
            }
            for new_id, (told, included) in zip(ids, halves, strict=True)
        ]
        facet["labels"] = [*(one for one in facet["labels"] if one["id"] != label_id), *parts]
        for other in facet["labels"]:
            other["rival"] = None if other["rival"] == label_id else other["rival"]

    return change


def remove(label_id: str) -> Callable[[Content], None]:
    def change(facet: Content) -> None:
        facet["labels"] = [one for one in facet["labels"] if one["id"] != label_id]
        for other in facet["labels"]:
            other["rival"] = None if other["rival"] == label_id else other["rival"]

    return change


def annotation(
    incident_id: str, facet: str, *labels: str, by: str = "ana", is_gold: bool = False, note: str = ""
) -> Annotation:
    return Annotation(incident_id=incident_id, facet=facet, labels=labels, annotator=by, is_gold=is_gold, note=note)
