"""Successors of old labels in a new version: first what the file states, then similarity."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from pydantic import BaseModel, Field

from triage.domain.taxonomy import Facet, Label, Taxonomy, UnknownLabel
from triage.labels.evolution.rewording import Matrix, Similarity, is_same, meaning

GUESS_FROM = 0.3
"""The similarity from which labels count as successors. Few rivals within the shipped facets come near it, see
docs/taxonomy-evolution.md."""

_GAIN = 0.1
_NEAR_BEST = 0.5
_SHARED_LABELS = 0.5

Basis = Literal["unchanged", "stated", "identical", "guess"]
"""Why a label counts as the successor: the same id; stated in the new file by `replaces`, a name or an alias; the same
definition under another id; or a guess from similar wording."""


class Link(BaseModel, frozen=True):
    """An old label and a label that replaces it, fully or in part. Only a guess has a `score`, 0 to 1."""

    old: str
    new: str
    basis: Basis
    score: float | None = Field(default=None, ge=0, le=1)


class Succession(BaseModel, frozen=True):
    """What became of a facet and its labels. `old` is None for a new facet, `new` for a removed one."""

    old: str | None
    new: str | None
    basis: Basis = "unchanged"
    score: float | None = None
    links: tuple[Link, ...] = ()

    def heirs(self, label: str) -> tuple[Link, ...]:
        return tuple(link for link in self.links if link.old == label)

    def sources(self, label: str) -> tuple[Link, ...]:
        return tuple(link for link in self.links if link.new == label)

    @property
    def renamed(self) -> dict[str, str]:
        """Old id -> new id of the labels with exactly one heir that replaces no other label."""
        alone = [(link.old, link.new) for link in self.links if len(self.heirs(link.old)) == 1]
        return {old: new for old, new in alone if old != new and len(self.sources(new)) == 1}


def successions(old: Taxonomy, new: Taxonomy, similarity: Similarity) -> tuple[Succession, ...]:
    """Every old facet in the order of its file, then the new facets that replace none."""
    pairs = _facet_pairs(old, new, similarity)
    results = []
    for facet in old.facets:
        pair = pairs.get(facet.id)
        if pair is None:
            results.append(Succession(old=facet.id, new=None))
            continue
        links = _links(facet, new.facet(pair.new), similarity)
        results.append(Succession(old=facet.id, new=pair.new, basis=pair.basis, score=pair.score, links=tuple(links)))
    taken = {pair.new for pair in pairs.values()}
    return (*results, *(Succession(old=None, new=facet.id) for facet in new.facets if facet.id not in taken))


def _facet_pairs(old: Taxonomy, new: Taxonomy, similarity: Similarity) -> dict[str, Link]:
    stay = {facet.id for facet in old.facets} & {facet.id for facet in new.facets}
    pairs = {facet: Link(old=facet, new=facet, basis="unchanged") for facet in stay}
    gone = [facet for facet in old.facets if facet.id not in stay]
    fresh = [facet for facet in new.facets if facet.id not in stay]
    for facet in fresh:
        for replaced in facet.replaces:
            if any(old_facet.id == replaced for old_facet in gone) and replaced not in pairs:
                pairs[replaced] = Link(old=replaced, new=facet.id, basis="stated")
    scored = []
    for old_facet in gone:
        for new_facet in fresh:
            shared = len(set(old_facet.ids) & set(new_facet.ids)) / len({*old_facet.ids, *new_facet.ids})
            questions = float(
                similarity([f"{old_facet.name} {old_facet.question}", f"{new_facet.name} {new_facet.question}"])[0, 1]
            )
            if max(shared, questions) >= _SHARED_LABELS:
                scored.append((max(shared, questions), old_facet.id, new_facet.id))
    for score, old_id, new_id in sorted(scored, reverse=True):
        if old_id not in pairs and all(pair.new != new_id for pair in pairs.values()):
            pairs[old_id] = Link(old=old_id, new=new_id, basis="guess", score=round(score, 4))
    return pairs


def _links(old: Facet, new: Facet, similarity: Similarity) -> list[Link]:
    links = {(label, label): Link(old=label, new=label, basis="unchanged") for label in old.ids if label in new.ids}
    for label in new.labels:
        for replaced in label.replaces:
            if replaced in old.ids and replaced != label.id:
                links[replaced, label.id] = Link(old=replaced, new=label.id, basis="stated")
    for label in _without_heir(old, links):
        known = next((heir for word in (label.id, label.name, *label.aliases) if (heir := _known(new, word))), None)
        if known is not None:
            links[label.id, known] = Link(old=label.id, new=known, basis="stated")
    fresh = _without_source(new, links)
    for label in _without_heir(old, links):
        for same in fresh:
            if is_same(label.definition, same.definition) and set(label.includes) == set(same.includes):
                links[label.id, same.id] = Link(old=label.id, new=same.id, basis="identical")
    guessed = _guesses(old, new, _without_heir(old, links), _without_source(new, links), similarity)
    return [*links.values(), *guessed]


def _known(facet: Facet, word: str) -> str | None:
    try:
        return facet.label(word).id
    except UnknownLabel:
        return None


def _without_heir(old: Facet, links: dict[tuple[str, str], Link]) -> list[Label]:
    return [label for label in old.labels if all(link.old != label.id for link in links.values())]


def _without_source(new: Facet, links: dict[tuple[str, str], Link]) -> list[Label]:
    return [label for label in new.labels if all(link.new != label.id for link in links.values())]


def _guesses(
    old: Facet, new: Facet, gone: Sequence[Label], fresh: Sequence[Label], similarity: Similarity
) -> Iterator[Link]:
    """Likely successors of removed labels, and likely origins of new labels."""
    if not gone and not fresh:
        return
    whole = similarity([meaning(label) for label in (*old.labels, *new.labels)])
    pairs = _Similarities(old.ids, new.ids, whole)
    gone_ids, fresh_ids = {label.id for label in gone}, {label.id for label in fresh}
    scores = {
        (old_id, label.id): pairs.across(old_id, label.id)
        for old_id in old.ids
        for label in new.labels
        if _is_candidate(old_id, label, gone_ids, fresh_ids, pairs)
    }
    for (old_id, heir), score in scores.items():
        best = max(s for (o, n), s in scores.items() if o == old_id or n == heir)
        if score >= GUESS_FROM and score >= _NEAR_BEST * best:
            yield Link(old=old_id, new=heir, basis="guess", score=round(min(score, 1.0), 4))


def _is_candidate(old_id: str, new_label: Label, gone: set[str], fresh: set[str], similarities: _Similarities) -> bool:
    """True for a removed and a new label, and if a remaining label gained or lost the meaning of the other."""
    if old_id in gone and new_label.id in fresh:
        return True
    new_id, across = new_label.id, similarities.across(old_id, new_label.id)
    if old_id in gone and new_id in similarities.old and not new_label.replaces:
        return across >= similarities.within(similarities.old, old_id, new_id) + _GAIN
    return (
        new_id in fresh
        and old_id in similarities.new
        and across >= similarities.within(similarities.new, old_id, new_id) + _GAIN
    )


class _Similarities:
    """Similarities of the labels of two versions of a facet, by their ids."""

    def __init__(self, old: Sequence[str], new: Sequence[str], whole: Matrix) -> None:
        self.old = {label: row for row, label in enumerate(old)}
        self.new = {label: row for row, label in enumerate(new, start=len(old))}
        self._whole = whole

    def across(self, old: str, new: str) -> float:
        return float(self._whole[self.old[old], self.new[new]])

    def within(self, version: Mapping[str, int], first: str, second: str) -> float:
        """The similarity of two labels of one version, `old` or `new`."""
        return float(self._whole[version[first], version[second]])
