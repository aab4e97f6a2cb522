"""What the labels of a taxonomy mean to the study: a small file beside the taxonomy, so that no code knows a label."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import NoReturn

from pydantic import BaseModel, Field

from triage.domain.errors import InvalidInput
from triage.domain.taxonomy import Facet, Taxonomy
from triage.domain.yaml_file import read_yaml
from triage.insights.study.publication import publication

NAMES = ("automated", "reported", "hotfix", "automatable", "undisclosed")
"""What labels can be said to mean, apart from a file too: see `Roles.given`."""
_OF_DETECTION = ("automated", "reported")


class Detection(BaseModel, frozen=True, extra="forbid"):
    """The facet that says how incidents were detected; its labels for by a machine, and for by customers."""

    facet: str
    automated: tuple[str, ...] = ()
    reported: tuple[str, ...] = ()


class Mitigation(BaseModel, frozen=True, extra="forbid"):
    """Which labels of the mitigation facet are hotfixes, and which are actions that automation could take.

    Without `facet` it is the taxonomy's facet with the role `mitigation`.
    """

    facet: str | None = None
    hotfix: tuple[str, ...] = ()
    automatable: tuple[str, ...] = ()


class Meant(BaseModel, frozen=True, extra="forbid"):
    """The labels of a facet that a published figure is about, among the incidents whose parent label is `within`.

    A kappa is about the facet alone.
    """

    facet: str
    labels: tuple[str, ...] = ()
    within: str | None = None


class Roles(BaseModel, frozen=True, extra="forbid"):
    """The parts that labels play in a study. What is left out is not studied.

    `undisclosed` names by facet labels that say that the write-up does not tell, beside those that the taxonomy marks
    so. `compare` tells for published figures (by id) which labels they are about.
    """

    detection: Detection | None = None
    mitigation: Mitigation | None = None
    undisclosed: Mapping[str, tuple[str, ...]] = Field(default_factory=dict)
    compare: Mapping[str, Meant] = Field(default_factory=dict)

    @classmethod
    def load(cls, taxonomy: Taxonomy, path: Path | None = None) -> Roles:
        """The roles in `path`, or those shipped for this taxonomy, or none. Raises `NotFound` or `InvalidInput`."""
        if path is None:
            path = Path(str(resources.files("triage").joinpath("taxonomies", "study", f"{taxonomy.id}.yaml")))
            if not path.is_file():
                return cls()
        file = read_yaml(path, cls, "detection, mitigation or compare")
        if file.model is None or file.problems:
            told = "\n".join(f"  line {problem.line}: {problem.message}" for problem in file.problems)
            raise InvalidInput(f"{path} has {len(file.problems)} mistake(s):\n{told}", field="roles")
        return file.model.checked(taxonomy)

    def given(self, taxonomy: Taxonomy, said: Iterable[str]) -> Roles:
        """These roles with some said anew, as `automated=noticed_by:monitor,probe`: a role, a facet, its labels.

        The facet may be left out where the role has one. Raises `InvalidInput`, `UnknownFacet` or `UnknownLabel`.
        """
        roles = self
        for one in said:
            name, facet, labels = _parsed(one)
            if name in _OF_DETECTION:
                own = roles.detection.facet if roles.detection else None
                facet = facet or own or _missing(one, name)
                detection = roles.detection if roles.detection and facet == own else Detection(facet=facet)
                roles = roles.model_copy(update={"detection": detection.model_copy(update={name: labels})})
            elif name == "undisclosed":
                silent = {**roles.undisclosed, facet or _missing(one, name): labels}
                roles = roles.model_copy(update={"undisclosed": silent})
            else:
                own = _own_facet(roles, taxonomy)
                facet = facet or own or _missing(one, name)
                mitigation = roles.mitigation if roles.mitigation and facet == own else Mitigation(facet=facet)
                roles = roles.model_copy(update={"mitigation": mitigation.model_copy(update={name: labels})})
        return roles.checked(taxonomy)

    def mitigations(self, taxonomy: Taxonomy) -> Facet | None:
        """The facet of mitigations: that of the roles, or the taxonomy's own; None where there is none."""
        facet = _own_facet(self, taxonomy)
        return None if facet is None else taxonomy.facet(facet)

    def applied(self, taxonomy: Taxonomy) -> Taxonomy:
        """The taxonomy with the labels marked that say that the write-up does not tell."""
        return taxonomy.model_copy(update={"facets": tuple(map(self._marked, taxonomy.facets))})

    def _marked(self, facet: Facet) -> Facet:
        silent = {facet.label(label).id for label in self.undisclosed.get(facet.id, ())}
        labels = (
            label.model_copy(update={"undisclosed": True}) if label.id in silent else label for label in facet.labels
        )
        return facet.model_copy(update={"labels": tuple(labels)}) if silent else facet

    def checked(self, taxonomy: Taxonomy) -> Roles:
        """These roles, with label ids for names and aliases.

        Raises `UnknownFacet`, `UnknownLabel` or `InvalidInput` for what the taxonomy or the publication does not have.
        """
        detection, mitigation = self.detection, self.mitigation
        if detection is not None:
            facet = taxonomy.facet(detection.facet)
            found = {name: _ids(facet, getattr(detection, name)) for name in _OF_DETECTION}
            detection = detection.model_copy(update=found)
        if mitigation is not None:
            actions = self.mitigations(taxonomy)
            if actions is None:
                raise InvalidInput(
                    f"Taxonomy {taxonomy.id!r} has no facet with the role 'mitigation': name the facet in these roles.",
                    field="mitigation",
                )
            found = {name: _ids(actions, getattr(mitigation, name)) for name in ("hotfix", "automatable")}
            mitigation = mitigation.model_copy(update=found)
        for name, labels in self.undisclosed.items():
            _ids(taxonomy.facet(name), labels)
        known = [figure.id for figure in publication().figures]
        there = ", ".join(known)
        for figure, meant in self.compare.items():
            if figure not in known:
                raise InvalidInput(f"{figure!r} is no published figure. There are: {there}.", field="compare")
            facet = taxonomy.facet(meant.facet)
            _ids(facet, meant.labels)
            if meant.within is not None:
                if facet.parent is None:
                    raise InvalidInput(f"Facet {facet.id!r} refines no other: leave `within` out.", field="compare")
                taxonomy.facet(facet.parent).label(meant.within)
        return self.model_copy(update={"detection": detection, "mitigation": mitigation})


def _own_facet(roles: Roles, taxonomy: Taxonomy) -> str | None:
    if roles.mitigation is not None and roles.mitigation.facet is not None:
        return roles.mitigation.facet
    return taxonomy.mitigation.id if taxonomy.mitigation else None


def _ids(facet: Facet, labels: Iterable[str]) -> tuple[str, ...]:
    return tuple(facet.label(label).id for label in labels)


def _parsed(said: str) -> tuple[str, str | None, tuple[str, ...]]:
    name, equals, rest = (part.strip() for part in said.partition("="))
    facet, colon, labels = rest.rpartition(":")
    if name not in NAMES or not equals or not labels.strip():
        close = difflib.get_close_matches(name, NAMES, 1)
        hint = f" Did you mean {close[0]!r}?" if close and close[0] != name else ""
        raise InvalidInput(
            f"{said!r} is no role: write it as automated=FACET:LABEL,LABEL. Roles are {', '.join(NAMES)}.{hint}",
            field="role",
        )
    return name, facet.strip() if colon else None, tuple(part.strip() for part in labels.split(",") if part.strip())


def _missing(said: str, name: str) -> NoReturn:
    raise InvalidInput(
        f"{said!r} names no facet, and no facet is known to hold this role: write it as {name}=FACET:LABEL,LABEL.",
        field="role",
    )
