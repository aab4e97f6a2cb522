"""A taxonomy made of the labels that stand in a file, for a corpus that has none."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping

from triage.domain.errors import InvalidInput
from triage.domain.taxonomy import Facet, Label, Taxonomy

MOST_LABELS = 200
"""A field with more different values is text, and no facet."""
_LONGEST = 100


def taxonomy_of(facets: Mapping[str, str], rows: Iterable[Mapping[str, list[str]]]) -> Taxonomy:
    """A taxonomy of the labels in `rows` (facet -> labels), the most frequent first; `facets` names the fields.

    Raises `InvalidInput` for a field with fewer than two labels, or with so many that it is text.
    """
    found = list(rows)
    made = []
    for name, field in facets.items():
        given = [list(dict.fromkeys(map(identifier, row[name]))) for row in found]
        counts = Counter(label for labels in given for label in labels)
        as_written = {identifier(value): value for row in found for value in row[name]}
        longest = max(map(len, as_written.values()), default=0)
        if not 2 <= len(counts) <= MOST_LABELS or longest > _LONGEST:
            raise InvalidInput(
                f"Field {field!r} has {len(counts)} different value(s), up to {longest} characters long: a facet has 2 "
                f"to {MOST_LABELS} labels of at most {_LONGEST} characters.",
                field="facet",
            )
        labels = tuple(_label(label, as_written[label]) for label, _ in counts.most_common())
        many = any(len(labels) > 1 for labels in given)
        made.append(
            Facet(
                id=identifier(name),
                name=name.replace("_", " ").strip().capitalize(),
                question=f"What stands in {field}?",
                cardinality="multi" if many else "single",
                replaces=(),
                labels=labels,
            )
        )
    return Taxonomy(
        id="labels_of_the_file",
        version="0.0.0",
        title="Labels of the file",
        description="The labels that stand in a file, without definitions.",
        facets=tuple(made),
    )


def _label(id_: str, written: str) -> Label:
    said = f"Called {written!r} in the file."
    return Label(
        id=id_,
        name=written,
        definition=said,
        includes=(written,),
        excludes=("all else",),
        deciding_rule=said,
        example=written,
        replaces=(),
    )


def identifier(written: str) -> str:
    """What is written as an id of a facet or label."""
    slug = re.sub(r"[^a-z0-9]+", "_", written.casefold()).strip("_")
    return slug if slug[:1].isalpha() else f"l_{slug}"
