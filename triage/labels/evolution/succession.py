"""Which labels of a new version take the place of which old ones: what the file states first, then likeness."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from pydantic import BaseModel, Field

from triage.domain.taxonomy import Facet, Label, Taxonomy, UnknownLabel
from triage.labels.evolution.wording import Matrix, Similarity, is_same, meaning

GUESS_FROM = 0.3
"""Labels at least so alike are taken for successors. Of the rivals within the shipped facets few come near it, see
docs/taxonomy-evolution.md."""

_GAIN = 0.1
_NEAR_BEST = 0.5
_SHARED_LABELS = 0.5

Basis = Literal["unchanged", "stated", "identical", "guess"]
"""How it is known that one takes the place of the other: the id stayed; the new file says so by `replaces`, a name or
an alias; the same definition stands under another id; or it only reads alike."""


class Link(BaseModel, frozen=True):
    """One old label and one that takes its place, wholly or in part. Only a guess has a `score`, 0 to 1."""

    old: str
    new: str
    basis: Basis
    score: float | None = Field(default=None, ge=0, le=1)


class Succession(BaseModel, frozen=True):
    """What became of one facet and its labels. `old` is None for a new facet, `new` for one that went."""

    old: str | None
    new: str | None
    basis: Basis = "unchanged"
    score: float | None = None
    links: tuple[Link, ...] = ()

    def heirs(self, label: str) -> tuple[Link, ...]:
        """What takes the place of the old `label`."""
        return tuple(link for link in self.links if link.old == label)

    def sources(self, label: str) -> tuple[Link, ...]:
        """What the new `label` takes the place of."""
        return tuple(link for link in self.links if link.new == label)

    @property
    def renamed(self) -> dict[str, str]:
        """Old id -> new id of the labels that one label took the place of, and that of no other."""
        alone = [(link.old, link.new) for link in self.links if len(self.heirs(link.old)) == 1]
        return {old: new for old, new in alone if old != new and len(self.sources(new)) == 1}


def successions(old: Taxonomy, new: Taxonomy, similarity: Similarity) -> tuple[Succession, ...]:
    """Every old facet in the order of its file, then the new ones that succeed none."""
    pairs = _facet_pairs(old, new, similarity)
    found = []
    for facet in old.facets:
        pair = pairs.get(facet.id)
        if pair is None:
            found.append(Succession(old=facet.id, new=None))
            continue
        links = _links(facet, new.facet(pair.new), similarity)
        found.append(Succession(old=facet.id, new=pair.new, basis=pair.basis, score=pair.score, links=tuple(links)))
    taken = {pair.new for pair in pairs.values()}
    return (*found, *(Succession(old=None, new=facet.id) for facet in new.facets if facet.id not in taken))


def _facet_pairs(old: Taxonomy, new: Taxonomy, similarity: Similarity) -> dict[str, Link]:
    stay = {facet.id for facet in old.facets} & {facet.id for facet in new.facets}
    pairs = {facet: Link(old=facet, new=facet, basis="unchanged") for facet in stay}
    gone = [facet for facet in old.facets if facet.id not in stay]
    fresh = [facet for facet in new.facets if facet.id not in stay]
    for facet in fresh:
        for replaced in facet.replaces:
            if any(one.id == replaced for one in gone) and replaced not in pairs:
                pairs[replaced] = Link(old=replaced, new=facet.id, basis="stated")
    scored = []
    for one in gone:
        for other in fresh:
            shared = len(set(one.ids) & set(other.ids)) / len({*one.ids, *other.ids})
            questions = float(similarity([f"{one.name} {one.question}", f"{other.name} {other.question}"])[0, 1])
            if max(shared, questions) >= _SHARED_LABELS:
                scored.append((max(shared, questions), one.id, other.id))
    for score, one_id, other_id in sorted(scored, reverse=True):
        if one_id not in pairs and all(pair.new != other_id for pair in pairs.values()):
            pairs[one_id] = Link(old=one_id, new=other_id, basis="guess", score=round(score, 4))
    return pairs


def _links(old: Facet, new: Facet, similarity: Similarity) -> list[Link]:
    found = {(one, one): Link(old=one, new=one, basis="unchanged") for one in old.ids if one in new.ids}
    for label in new.labels:
        for replaced in label.replaces:
            if replaced in old.ids and replaced != label.id:
                found[replaced, label.id] = Link(old=replaced, new=label.id, basis="stated")
    for label in _without_heir(old, found):
        known = next((heir for word in (label.id, label.name, *label.aliases) if (heir := _known(new, word))), None)
        if known is not None:
            found[label.id, known] = Link(old=label.id, new=known, basis="stated")
    fresh = _without_source(new, found)
    for label in _without_heir(old, found):
        for same in fresh:
            if is_same(label.definition, same.definition) and set(label.includes) == set(same.includes):
                found[label.id, same.id] = Link(old=label.id, new=same.id, basis="identical")
    guessed = _guesses(old, new, _without_heir(old, found), _without_source(new, found), similarity)
    return [*found.values(), *guessed]


def _known(facet: Facet, word: str) -> str | None:
    try:
        return facet.label(word).id
    except UnknownLabel:
        return None


def _without_heir(old: Facet, found: dict[tuple[str, str], Link]) -> list[Label]:
    taken = {one for one, _ in found}
    return [label for label in old.labels if label.id not in taken]


def _without_source(new: Facet, found: dict[tuple[str, str], Link]) -> list[Label]:
    taken = {other for _, other in found}
    return [label for label in new.labels if label.id not in taken]


def _guesses(
    old: Facet, new: Facet, gone: Sequence[Label], fresh: Sequence[Label], similarity: Similarity
) -> Iterator[Link]:
    """Likely successors of the labels that are gone, and likely origins of those that are fresh."""
    if not gone and not fresh:
        return
    whole = similarity([meaning(label) for label in (*old.labels, *new.labels)])
    likeness = _Likeness(old.ids, new.ids, whole)
    scores = {
        (one, other.id): likeness.across(one, other.id)
        for one in old.ids
        for other in new.labels
        if _is_candidate(one, other, {label.id for label in gone}, {label.id for label in fresh}, likeness)
    }
    for (one, heir), score in scores.items():
        best = max(s for (o, n), s in scores.items() if o == one or n == heir)
        if score >= GUESS_FROM and score >= _NEAR_BEST * best:
            yield Link(old=one, new=heir, basis="guess", score=round(min(score, 1.0), 4))


def _is_candidate(one: str, other: Label, gone: set[str], fresh: set[str], likeness: _Likeness) -> bool:
    """True for a gone and a fresh label; and where one of the two stayed but gained, or lost, what the other says."""
    if one in gone and other.id in fresh:
        return True
    if one in gone and other.id in likeness.old and not other.replaces:
        return likeness.across(one, other.id) >= likeness.within_old(one, other.id) + _GAIN
    if other.id in fresh and one in likeness.new:
        return likeness.across(one, other.id) >= likeness.within_new(one, other.id) + _GAIN
    return False


class _Likeness:
    """How alike the labels of two versions of a facet are, by their ids."""

    def __init__(self, old: Sequence[str], new: Sequence[str], whole: Matrix) -> None:
        self.old = {label: row for row, label in enumerate(old)}
        self.new = {label: row for row, label in enumerate(new, start=len(old))}
        self._whole = whole

    def across(self, old: str, new: str) -> float:
        return float(self._whole[self.old[old], self.new[new]])

    def within_old(self, one: str, other: str) -> float:
        return float(self._whole[self.old[one], self.old[other]])

    def within_new(self, one: str, other: str) -> float:
        return float(self._whole[self.new[one], self.new[other]])
