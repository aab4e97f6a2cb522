"""Taxonomies: facets and their labels, read from YAML files with line-numbered errors."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from triage.domain.annotation import NOT_TOLD, Labels
from triage.domain.errors import InvalidInput, NotFound
from triage.domain.yaml_file import Problem, YamlFile, read_yaml

_IDENTIFIER = r"^[a-z][a-z0-9_]*$"

Replaced = Annotated[tuple[str, ...], Field(default=(), exclude_if=lambda ids: not ids)]
"""Ids of an earlier version. Omitted from dumps if empty, so that older fingerprints stay the same."""


class UnknownLabel(InvalidInput):
    """The facet has no such label."""

    title = "Unknown label"

    def __init__(self, label: str, facet: Facet) -> None:
        close = difflib.get_close_matches(label, facet.ids) or facet.ids[:12]
        super().__init__(
            f"{label!r} is no label of facet {facet.id!r}. Did you mean: {', '.join(close)}?",
            field="labels",
            label=label,
            facet=facet.id,
        )


class UnknownFacet(InvalidInput):
    """The taxonomy has no such facet."""

    title = "Unknown facet"

    def __init__(self, facet: str, taxonomy: Taxonomy) -> None:
        ids = ", ".join(f.id for f in taxonomy.facets)
        super().__init__(
            f"{facet!r} is no facet of taxonomy {taxonomy.id!r}. It has: {ids}.", field="facet", facet=facet
        )


class InvalidTaxonomy(InvalidInput):
    """The taxonomy file has mistakes. The detail lists each with its line."""

    title = "The taxonomy file is not valid"

    def __init__(self, path: str, problems: Sequence[Problem]) -> None:
        lines = "\n".join(f"  line {p.line}: {p.message}" for p in problems)
        count = f"{len(problems)} mistake{'s' if len(problems) > 1 else ''}"
        super().__init__(f"{path} has {count}:\n{lines}", field="taxonomy", path=path)
        self.problems = problems


class Label(BaseModel, frozen=True, extra="forbid"):
    """A label of a facet, defined so that two strangers would agree when to use it.

    `undisclosed` marks the label for write-ups that don't say. `residual` marks the label for what fits no other one.
    A mitigation that responders don't carry out, such as a spontaneous recovery, has `is_action: false` and gets no
    playbook. `cues` are words and phrases that point to the label (`*` stands for any ending); the service learns what
    each is worth, and annotators don't see them. `is_action`, `residual` and `cues` don't affect labelling by people,
    so they are not in the fingerprint and dumps.
    `replaces` names the labels of the previous version that this one replaces, wholly or in part.
    """

    id: str = Field(pattern=_IDENTIFIER)
    name: str = Field(min_length=1)
    parent: str | None = None
    definition: str = Field(min_length=1)
    includes: tuple[str, ...] = Field(min_length=1)
    excludes: tuple[str, ...] = Field(min_length=1)
    rival: str | None = None
    deciding_rule: str = Field(min_length=1)
    example: str = Field(min_length=1)
    aliases: tuple[str, ...] = ()
    undisclosed: bool = False
    is_action: bool = Field(default=True, exclude=True)
    residual: bool = Field(default=False, exclude=True)
    cues: tuple[str, ...] = Field(default=(), exclude=True)
    replaces: Replaced


class Facet(BaseModel, frozen=True, extra="forbid"):
    """A question asked of every incident, and the labels that can answer it.

    `cardinality` is `single` (one label), `multi` (at least one) or `primary_first` (several; the first is the primary
    one, which agreement is measured on). A facet with a `parent` refines that facet's labels. Suggestions come from the
    facet whose `role` is `mitigation`. `replaces` names this facet's id in the previous version.
    """

    id: str = Field(pattern=_IDENTIFIER)
    name: str = Field(min_length=1)
    question: str = Field(min_length=1)
    cardinality: Literal["single", "multi", "primary_first"]
    parent: str | None = None
    ordered: bool = False
    triage: bool = True
    role: Literal["mitigation"] | None = None
    replaces: Replaced
    labels: tuple[Label, ...] = Field(min_length=2)

    @property
    def ids(self) -> list[str]:
        """The label ids, in file order."""
        return [label.id for label in self.labels]

    @cached_property
    def _by_name(self) -> dict[str, Label]:
        by_name = {alias.casefold(): label for label in self.labels for alias in (label.name, *label.aliases)}
        return by_name | {label.id: label for label in self.labels}

    def label(self, name: str) -> Label:
        """The label with this id, name or alias. Raises `UnknownLabel`."""
        found = self._by_name.get(name) or self._by_name.get(name.strip().casefold())
        if found is None:
            raise UnknownLabel(name, self)
        return found

    @property
    def may_be_untold(self) -> bool:
        """True if no label is an answer: the facet has no label, and no place on a scale, for what is not told."""
        return not self.ordered and not any(label.undisclosed for label in self.labels)

    @property
    def groups(self) -> list[list[Label]]:
        """The labels grouped by their parent label: one group if there are no parents."""
        under = dict.fromkeys(label.parent for label in self.labels)
        return [[label for label in self.labels if label.parent == parent] for parent in under]

    def children(self, parents: Iterable[str]) -> list[Label]:
        """The labels under `parents`; all labels if the facet has no parent."""
        ids = set(parents)
        return [label for label in self.labels if self.parent is None or label.parent in ids]


class Taxonomy(BaseModel, frozen=True, extra="forbid"):
    """A versioned set of facets."""

    id: str = Field(pattern=_IDENTIFIER)
    version: str = Field(pattern=r"^\d+\.\d+\.\d+$")
    title: str = Field(min_length=1)
    description: str = Field(min_length=1)
    source: str = ""
    facets: tuple[Facet, ...] = Field(min_length=1)

    @classmethod
    def load(cls, name_or_path: str | Path) -> Taxonomy:
        """Load a shipped taxonomy by its id, or one from a YAML file. Raises `NotFound` or `InvalidTaxonomy`."""
        path = Path(name_or_path)
        if path.suffix not in (".yaml", ".yml"):
            path = Path(str(resources.files("triage").joinpath("taxonomies", f"{name_or_path}.yaml")))
            if not path.is_file():
                raise NotFound(
                    f"There is no taxonomy {str(name_or_path)!r}. Name one of {', '.join(shipped())}, or a .yaml file.",
                    taxonomy=str(name_or_path),
                )
        problems, taxonomy = _read(path)
        if taxonomy is None:
            raise InvalidTaxonomy(str(path), problems)
        return taxonomy

    def facet(self, facet_id: str) -> Facet:
        """The facet with this id. Raises `UnknownFacet`."""
        for facet in self.facets:
            if facet.id == facet_id:
                return facet
        raise UnknownFacet(facet_id, self)

    @property
    def fingerprint(self) -> str:
        """A hash of the content, independent of the file's layout."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:12]

    @property
    def mitigation(self) -> Facet | None:
        """The facet with the mitigations, if there is one."""
        return next((facet for facet in self.facets if facet.role == "mitigation"), None)

    @property
    def triaged(self) -> list[Facet]:
        """The facets that the model labels, in file order: each after the facet that it refines."""
        return [facet for facet in self.facets if facet.triage]

    def narrow(self, facets: Collection[str]) -> Taxonomy:
        """The taxonomy with only these facets, and those they refine, to be triaged. Raises `UnknownFacet`."""
        asked = {*facets, *(parent for name in facets if (parent := self.facet(name).parent))}
        return self.model_copy(
            update={"facets": tuple(f.model_copy(update={"triage": f.id in asked}) for f in self.facets)}
        )

    def canonical(self, facet_id: str, labels: Iterable[str]) -> tuple[str, ...]:
        """Label ids for names, aliases or ids, without repeats. Raises for unknown or too many of them."""
        facet = self.facet(facet_id)
        ids = tuple(dict.fromkeys(facet.label(label).id for label in labels))
        if not ids or (facet.cardinality == "single" and len(ids) > 1):
            number = "exactly one label" if facet.cardinality == "single" else "at least one label"
            raise InvalidInput(f"Facet {facet_id!r} takes {number}, not {len(ids)}.", field="labels", facet=facet_id)
        return ids

    def canonical_answer(self, facet_id: str, labels: Sequence[str]) -> tuple[str, ...]:
        """`canonical`, or no labels for "not told". Raises also if the facet has a label for what is not told."""
        facet = self.facet(facet_id)
        if labels or facet.may_be_untold:
            return self.canonical(facet_id, labels) if labels else ()
        undisclosed = [label.id for label in facet.labels if label.undisclosed]
        fix = f"give {undisclosed[0]!r} if the write-up doesn't tell" if undisclosed else "give one, or leave it out"
        raise InvalidInput(f"Facet {facet_id!r} needs a label: {fix}.", field="labels", facet=facet_id)

    def refining(self, facet_id: str) -> list[Facet]:
        """The facets that refine this one, directly or through another."""
        found: list[Facet] = []
        for facet in self.facets:
            if facet.parent is not None and facet.parent in (facet_id, *(above.id for above in found)):
                found.append(facet)
        return found

    def validate_labels(self, labels: Labels) -> Labels:
        """`labels` in canonical form; those of a facet may be none, see `canonical_answer`.

        Raises if a facet or label is unknown, or a child contradicts its parent.
        """
        canonical = {facet_id: self.canonical_answer(facet_id, ids) for facet_id, ids in labels.items()}
        for facet_id, ids in canonical.items():
            facet = self.facet(facet_id)
            if facet.parent is None or (parents := canonical.get(facet.parent)) is None:
                continue
            misfit = next((label for label in map(facet.label, ids) if label.parent not in parents), None)
            if misfit is None and bool(ids) == bool(parents):
                continue
            child = f"Facet {facet_id!r} is {NOT_TOLD}"
            if misfit is not None:
                child = f"{misfit.id!r} of facet {facet_id!r} belongs under {misfit.parent!r}"
            raise InvalidInput(
                f"{child}, but {facet.parent!r} is {', '.join(parents) or NOT_TOLD}: change one of the two.",
                field="labels",
                facet=facet_id,
            )
        return canonical


class DisplayNames:
    """Names of a taxonomy's facets and labels for people. Unknown facets and labels keep their ids."""

    def __init__(self, taxonomy: Taxonomy | None = None) -> None:
        facets = taxonomy.facets if taxonomy else ()
        self._facets = {facet.id: facet.name for facet in facets}
        self._labels = {(facet.id, label.id): label.name for facet in facets for label in facet.labels}
        self._mitigation = taxonomy.mitigation.id if taxonomy and taxonomy.mitigation else ""

    def facet(self, facet: str) -> str:
        """The facet's name."""
        return self._facets.get(facet, facet)

    def labels(self, facet: str, labels: Iterable[str]) -> str:
        """The labels' names, separated by commas."""
        return ", ".join(self._labels.get((facet, label), label) for label in labels)

    def mitigation(self, label: str) -> str:
        """A mitigation's name."""
        return self.labels(self._mitigation, (label,))


def shipped() -> list[str]:
    """The ids of the taxonomies shipped with triage."""
    folder = resources.files("triage").joinpath("taxonomies")
    return sorted(entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml"))


def check(path: Path) -> list[Problem]:
    """The mistakes in a taxonomy file, in line order."""
    return _read(path)[0]


def _read(path: Path) -> tuple[list[Problem], Taxonomy | None]:
    file = read_yaml(path, Taxonomy, "id, version, title, description and facets")
    problems = file.problems + (list(_inconsistencies(file.model, file)) if file.model else [])
    return sorted(problems), None if problems else file.model


def _inconsistencies(taxonomy: Taxonomy, file: YamlFile[Taxonomy]) -> Iterator[Problem]:
    facet_ids = [facet.id for facet in taxonomy.facets]
    for f, facet in enumerate(taxonomy.facets):
        at: tuple[str | int, ...] = ("facets", f)
        if facet.id in facet_ids[:f]:
            yield Problem(file.line((*at, "id")), f"facet {facet.id!r} appears twice; give one another id")
        if facet.parent is not None and facet.parent not in facet_ids[:f]:
            yield Problem(file.line((*at, "parent")), f"parent {facet.parent!r} is no facet above this one")
        parents = next((other.ids for other in taxonomy.facets if other.id == facet.parent), [])
        seen: dict[str, str] = {}
        for n, label in enumerate(facet.labels):
            here = (*at, "labels", n)
            for name in (label.id, *(alias.casefold() for alias in label.aliases)):
                if seen.setdefault(name, label.id) != label.id or (name == label.id and label.id in facet.ids[:n]):
                    yield Problem(file.line((*here, "id")), f"{name!r} appears twice in facet {facet.id!r}")
            if label.rival is not None and (label.rival == label.id or label.rival not in facet.ids):
                yield Problem(file.line((*here, "rival")), f"rival {label.rival!r} is no other label of this facet")
            if facet.parent is None and label.parent is not None:
                message = f"facet {facet.id!r} has no parent, so its labels have none"
                yield Problem(file.line((*here, "parent")), message)
            elif facet.parent is not None and label.parent not in parents:
                message = f"label {label.id!r} needs a parent from facet {facet.parent!r}: {', '.join(parents)}"
                yield Problem(file.line((*here, "parent")), message)
