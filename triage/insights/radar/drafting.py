"""A draft of a label, by rule: from the words that tell a group of incidents apart, and its telling sentences."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import yaml

from triage.domain.taxonomy import Facet, Label, Taxonomy
from triage.insights.radar.report import Draft, Radar
from triage.labels.codebook.deciding_rules import Labelled, draft
from triage.labels.codebook.rule_drafting import without_orders
from triage.labels.codebook.terms import Term, terms_of
from triage.pipeline.classification.sentences import cause_words, is_boilerplate, split
from triage.render.markdown import shortened

_MOST_INCLUDED = 6
_NAMED = 2
_LONGEST_ID = 40
_LONGEST_SENTENCE = 300
_LEAST_WORDS = 6
_CAUSE_WORD = 0.5


class Material(NamedTuple):
    """What a draft is made from: the redacted texts of the group and the `terms` that tell it apart, its telling
    `sentences`, the parents that triage or people gave its incidents, and the `nearest` labels with the texts of their
    incidents, nearest first."""

    texts: Sequence[str]
    terms: Sequence[Term]
    sentences: Sequence[str]
    parents: Sequence[str]
    nearest: Mapping[str, Sequence[str]]


def draft_label(facet: Facet, material: Material, taken: Collection[str] = ()) -> Draft:
    """A label that `facet` could have, under an id that neither it nor `taken` has."""
    words = [term.term for term in material.terms[:_MOST_INCLUDED]] or ["what these incidents have in common"]
    label_id = new_id("_".join(words[:_NAMED]) if material.terms else "new", {*names_of(facet), *taken})
    nearest = [facet.label(label) for label in material.nearest]
    return Draft(
        label=Label(
            id=label_id,
            name=" ".join(words[:_NAMED]).capitalize(),
            parent=_parent(facet, material.parents),
            definition=f"Draft, from {len(material.texts)} incidents that no label fitted: the write-up tells of "
            f"{_listed(words)}.",
            includes=tuple(words),
            excludes=tuple(f"{label.includes[0]} ({label.id})" for label in nearest) or ("what another label fits",),
            rival=nearest[0].id if nearest else None,
            deciding_rule=_deciding_rule(label_id, material),
            example=material.sentences[0] if material.sentences else "None of the write-ups has a sentence that tells.",
            replaces=(),
        )
    )


def new_id(name: str, taken: Collection[str]) -> str:
    """An id made of `name` that none of `taken` is.

    >>> new_id("Power supply, rack's", {"power_supply_rack_s"})
    'power_supply_rack_s_2'
    """
    slug = re.sub(r"[^a-z0-9]+", "_", name.casefold()).strip("_")[:_LONGEST_ID].rstrip("_")
    slug = slug if slug[:1].isalpha() else f"new_{slug}".rstrip("_")
    number = 2
    unique = slug
    while unique in taken:
        unique, number = f"{slug}_{number}", number + 1
    return unique


def names_of(facet: Facet) -> set[str]:
    """What a new label of the facet can't be called: ids, names and aliases, in small letters."""
    return {name.casefold() for label in facet.labels for name in (label.id, label.name, *label.aliases)}


def telling_sentences(texts: Sequence[str], terms: Sequence[Term], taxonomy: Taxonomy) -> list[str]:
    """For each text the sentence that tells most of `terms` ("" where none does), without those that read as orders
    to a model: a draft may end in a prompt."""
    weights = {term.term: term.z for term in terms}
    found = []
    for text in texts:
        kept = split(without_orders(text, taxonomy))
        ranked = [
            (sum(weights[term] for term in held), cause_words(one.text), -place, one.text)
            for place, one in enumerate(kept)
            if (held := terms_of(one.text) & weights.keys()) and not is_boilerplate(one.text)
        ]
        best = max(
            ranked,
            key=lambda one: (one[0] + _CAUSE_WORD * min(one[1], 2), len(one[3].split()) >= _LEAST_WORDS, one[2]),
            default=None,
        )
        found.append(shortened(best[3], _LONGEST_SENTENCE) if best else "")
    return found


def as_yaml(radar: Radar) -> str:
    """The drafts as items for `labels:` of the facet in a taxonomy file, with a comment above each."""
    parts = [
        f"# Drafts for facet {radar.facet} of {radar.taxonomy}, to go under its `labels:`. Nobody has checked them: "
        "reword\n# each, look at its incidents, and run `triage taxonomy check` on the file.\n"
    ]
    for group in radar.groups:
        label = group.draft.label.model_dump(mode="json", exclude_defaults=True)
        parts.append(
            f"# From {len(group.incidents)} incidents, worded by {group.draft.by}: {', '.join(group.incidents)}\n"
        )
        parts.append(yaml.safe_dump([label], sort_keys=False, allow_unicode=True, width=110))
    return "\n".join(parts)


def _parent(facet: Facet, parents: Sequence[str]) -> str | None:
    """The commonest of `parents`, or that of most labels, for a facet that refines another."""
    if facet.parent is None:
        return None
    known = [label.parent for label in facet.labels if label.parent is not None]
    counts = Counter([parent for parent in parents if parent in known] or known)
    return max(sorted(counts), key=lambda parent: counts[parent], default=None)


def _deciding_rule(label_id: str, material: Material) -> str:
    """The words that tell the group from the nearest label's incidents; where none do, that the definitions decide."""
    rival = next(iter(material.nearest), None)
    if rival is None:
        return f"If no other label's definition fits, choose {label_id}."
    cases = [Labelled(label_id, text) for text in material.texts]
    cases += [Labelled(rival, text) for text in material.nearest[rival]]
    rule = draft(label_id, rival, cases, [case.text for case in cases])
    return rule.text if rule else f"If the definition of {rival} fits, choose {rival}; otherwise {label_id}."


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"
