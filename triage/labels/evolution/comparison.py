"""The changes between two versions of a taxonomy."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

from pydantic import BaseModel, Field

from triage.domain.taxonomy import Facet, Label, Taxonomy
from triage.labels.evolution.rewording import Rewording, Similarity, is_same, lexical, reworded, rewordings
from triage.labels.evolution.succession import Basis, Link, Succession, successions

Kind = Literal["added", "removed", "renamed", "split", "merged", "moved", "redefined", "cardinality"]


class Change(BaseModel, frozen=True):
    """One change of a facet or of its labels.

    `facet` is the id in the new taxonomy, or in the old one if the facet was removed. `old` and `new` are label ids, or
    facet ids if the change is `of` a facet. A guessed change has a `score` from 0 to 1 and needs confirmation. `before`
    and `after` hold the changed parent, cardinality or name.
    """

    kind: Kind
    of: Literal["label", "facet"] = "label"
    facet: str
    old: tuple[str, ...] = ()
    new: tuple[str, ...] = ()
    basis: Basis = "unchanged"
    score: float | None = Field(default=None, ge=0, le=1)
    before: str = ""
    after: str = ""
    rewordings: tuple[Rewording, ...] = ()

    @property
    def is_guess(self) -> bool:
        """True if only similarity supports it."""
        return self.basis == "guess"


class Comparison(BaseModel, frozen=True):
    """The changes between two versions, and what became of each facet and label."""

    old: str
    new: str
    changes: tuple[Change, ...]
    successions: tuple[Succession, ...]

    @property
    def guesses(self) -> tuple[Change, ...]:
        """The changes that a person has to confirm."""
        return tuple(change for change in self.changes if change.is_guess)

    def of_label(self, facet: str, label: str) -> tuple[Change, ...]:
        """The changes of an old label; `facet` is the id in the new taxonomy."""
        return tuple(c for c in self.changes if c.of == "label" and c.facet == facet and label in c.old)


def compare(old: Taxonomy, new: Taxonomy, similarity: Similarity = lexical) -> Comparison:
    """Compare two versions. `similarity` guesses successors that neither an id nor the new file names."""
    facet_pairs = successions(old, new, similarity)
    facets = {
        succession.old: succession.new
        for succession in facet_pairs
        if succession.old is not None and succession.new is not None
    }
    parents = {succession.old: succession for succession in facet_pairs}
    changes: list[Change] = []
    for succession in facet_pairs:
        if succession.old is None or succession.new is None:
            kind: Kind = "added" if succession.old is None else "removed"
            facet = succession.new or succession.old or ""
            ids = {"new": (facet,)} if succession.old is None else {"old": (facet,)}
            changes.append(Change(kind=kind, of="facet", facet=facet, **ids))
            continue
        before, after = old.facet(succession.old), new.facet(succession.new)
        changes += _of_facet(succession, before, after, facets)
        changes += _of_labels(succession, before, after, parents.get(before.parent) if before.parent else None)
    return Comparison(
        old=f"{old.id} {old.version}",
        new=f"{new.id} {new.version}",
        changes=tuple(changes),
        successions=facet_pairs,
    )


def _of_facet(succession: Succession, old: Facet, new: Facet, facets: dict[str, str]) -> Iterator[Change]:
    ids = {"facet": new.id, "old": (old.id,), "new": (new.id,)}
    if old.id != new.id:
        yield Change(kind="renamed", of="facet", basis=succession.basis, score=succession.score, **ids)
    elif old.name != new.name:
        yield Change(kind="renamed", of="facet", before=old.name, after=new.name, **ids)
    if old.cardinality != new.cardinality:
        yield Change(kind="cardinality", of="facet", before=old.cardinality, after=new.cardinality, **ids)
    parent = facets.get(old.parent, old.parent) if old.parent else None
    settings = [("parent", parent, new.parent)]
    settings += [(name, getattr(old, name), getattr(new, name)) for name in ("ordered", "triage", "role")]
    rewordings = [] if is_same(old.question, new.question) else [reworded("question", old.question, new.question)]
    rewordings += [reworded(name, _setting_text(was), _setting_text(now)) for name, was, now in settings if was != now]
    if rewordings:
        yield Change(kind="redefined", of="facet", rewordings=tuple(rewordings), **ids)


def _of_labels(succession: Succession, old: Facet, new: Facet, parents: Succession | None) -> Iterator[Change]:
    joined: set[str] = set()
    for label in old.labels:
        heirs = succession.heirs(label.id)
        if not heirs:
            yield Change(kind="removed", facet=new.id, old=(label.id,))
        elif len(heirs) > 1:
            yield _split_or_merge("split", new.id, heirs)
        for heir in heirs:
            sources = succession.sources(heir.new)
            if len(sources) > 1 and heir.new not in joined:
                joined.add(heir.new)
                yield _split_or_merge("merged", new.id, sources)
        if len(heirs) == 1:
            is_alone = len(succession.sources(heirs[0].new)) == 1
            yield from _of_pair(heirs[0], label, new, succession.renamed, parents, is_alone=is_alone)
    for label in new.labels:
        if not succession.sources(label.id):
            yield Change(kind="added", facet=new.id, new=(label.id,))


def _of_pair(
    link: Link, old: Label, facet: Facet, renamed: dict[str, str], parents: Succession | None, *, is_alone: bool
) -> Iterator[Change]:
    """The changes of a label with one heir. Unless `is_alone`, the heir replaces other labels too."""
    new = facet.label(link.new)
    ids = {"facet": facet.id, "old": (old.id,), "new": (new.id,)}
    if is_alone and (old.id != new.id or old.name != new.name):
        yield Change(kind="renamed", basis=link.basis, score=link.score, before=old.name, after=new.name, **ids)
    # A new label that replaces several others differs from each of them anyway.
    if (is_alone or old.id == new.id) and (changed := tuple(rewordings(old, new, renamed))):
        yield Change(kind="redefined", rewordings=changed, **ids)
    follows = {heir.new for heir in parents.heirs(old.parent)} if parents and old.parent else {old.parent}
    if new.parent not in follows:
        yield Change(kind="moved", before=old.parent or "", after=new.parent or "", **ids)


def _split_or_merge(kind: Kind, facet: str, links: Sequence[Link]) -> Change:
    """A split or a merge; its basis is the weakest of its links."""
    guesses = [link for link in links if link.basis == "guess"]
    basis: Basis = "guess" if guesses else next((ln.basis for ln in links if ln.basis != "unchanged"), "unchanged")
    return Change(
        kind=kind,
        facet=facet,
        old=_ids(link.old for link in links),
        new=_ids(link.new for link in links),
        basis=basis,
        score=min((link.score for link in guesses if link.score is not None), default=None),
    )


def _ids(ids: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(ids))


def _setting_text(value: object) -> str:
    return "none" if value is None else str(value).lower()
