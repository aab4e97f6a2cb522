"""Roles: what the labels of a taxonomy mean to the study, in a small file next to the taxonomy."""

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
"""The roles that options can give to labels, see `Roles.given`."""
_OF_DETECTION = ("automated", "reported")


class Detection(BaseModel, frozen=True, extra="forbid"):
    """The facet for detection, with its labels for detection by machines and by customers."""

    facet: str
    automated: tuple[str, ...] = ()
    reported: tuple[str, ...] = ()


class Mitigation(BaseModel, frozen=True, extra="forbid"):
    """The labels of the mitigation facet that are hotfixes, and those that automation could do.

    Without `facet`, the taxonomy's facet with the role `mitigation` is used.
    """

    facet: str | None = None
    hotfix: tuple[str, ...] = ()
    automatable: tuple[str, ...] = ()


class Meant(BaseModel, frozen=True, extra="forbid"):
    """The labels behind a published figure, among the incidents with the parent label `within`.

    A kappa is about the whole facet.
    """

    facet: str
    labels: tuple[str, ...] = ()
    within: str | None = None


class Roles(BaseModel, frozen=True, extra="forbid"):
    """The roles of labels in a study; parts without a role are left out.

    `undisclosed` names, by facet, further labels for "not disclosed". `compare` maps published figures (by id) to
    labels.
    """

    detection: Detection | None = None
    mitigation: Mitigation | None = None
    undisclosed: Mapping[str, tuple[str, ...]] = Field(default_factory=dict)
    compare: Mapping[str, Meant] = Field(default_factory=dict)

    @classmethod
    def load(cls, taxonomy: Taxonomy, path: Path | None = None) -> Roles:
        """The roles in `path`, else those shipped for this taxonomy, else none. Raises `NotFound` or `InvalidInput`."""
        if path is None:
            path = Path(str(resources.files("triage").joinpath("taxonomies", "study", f"{taxonomy.id}.yaml")))
            if not path.is_file():
                return cls()
        file = read_yaml(path, cls, "detection, mitigation or compare")
        if file.model is None or file.problems:
            problems = "\n".join(f"  line {problem.line}: {problem.message}" for problem in file.problems)
            raise InvalidInput(f"{path} has {len(file.problems)} mistake(s):\n{problems}", field="roles")
        return file.model.checked(taxonomy)

    def given(self, taxonomy: Taxonomy, options: Iterable[str]) -> Roles:
        """These roles with some replaced, such as `automated=noticed_by:monitor,probe` (role, facet, labels).

        The facet is optional if the role has one. Raises `InvalidInput`, `UnknownFacet` or `UnknownLabel`.
        """
        roles = self
        for option in options:
            name, facet, labels = _parsed(option)
            changed: dict[str, object]
            if name == "undisclosed":
                changed = {name: {**roles.undisclosed, facet or _missing(option, name): labels}}
            elif name in _OF_DETECTION:
                own = roles.detection.facet if roles.detection else None
                facet = facet or own or _missing(option, name)
                detection = roles.detection if roles.detection and facet == own else Detection(facet=facet)
                changed = {"detection": detection.model_copy(update={name: labels})}
            else:
                own = _own_facet(roles, taxonomy)
                facet = facet or own or _missing(option, name)
                mitigation = roles.mitigation if roles.mitigation and facet == own else Mitigation(facet=facet)
                changed = {"mitigation": mitigation.model_copy(update={name: labels})}
            roles = roles.model_copy(update=changed)
        return roles.checked(taxonomy)

    def mitigations(self, taxonomy: Taxonomy) -> Facet | None:
        """The mitigation facet of the roles or of the taxonomy; None if there is none."""
        facet = _own_facet(self, taxonomy)
        return None if facet is None else taxonomy.facet(facet)

    def applied(self, taxonomy: Taxonomy) -> Taxonomy:
        """The taxonomy with all labels for "not disclosed" marked as such."""
        return taxonomy.model_copy(update={"facets": tuple(map(self._marked, taxonomy.facets))})

    def _marked(self, facet: Facet) -> Facet:
        silent = {facet.label(label).id for label in self.undisclosed.get(facet.id, ())}
        labels = (
            label.model_copy(update={"undisclosed": True}) if label.id in silent else label for label in facet.labels
        )
        return facet.model_copy(update={"labels": tuple(labels)}) if silent else facet

    def checked(self, taxonomy: Taxonomy) -> Roles:
        """These roles with label ids instead of names and aliases.

        Raises `UnknownFacet`, `UnknownLabel` or `InvalidInput` for anything the taxonomy or the publication lacks.
        """
        detection, mitigation = self.detection, self.mitigation
        if detection is not None:
            facet = taxonomy.facet(detection.facet)
            ids_by_role = {name: _ids(facet, getattr(detection, name)) for name in _OF_DETECTION}
            detection = detection.model_copy(update=ids_by_role)
        if mitigation is not None:
            actions = self.mitigations(taxonomy)
            if actions is None:
                raise InvalidInput(
                    f"Taxonomy {taxonomy.id!r} has no facet with the role 'mitigation'. Name the facet in these roles.",
                    field="mitigation",
                )
            ids_by_role = {name: _ids(actions, getattr(mitigation, name)) for name in ("hotfix", "automatable")}
            mitigation = mitigation.model_copy(update=ids_by_role)
        for name, labels in self.undisclosed.items():
            _ids(taxonomy.facet(name), labels)
        known = [figure.id for figure in publication().figures]
        for figure, meant in self.compare.items():
            if figure not in known:
                message = f"{figure!r} is not a published figure. Use one of: {', '.join(known)}."
                raise InvalidInput(message, field="compare")
            facet = taxonomy.facet(meant.facet)
            _ids(facet, meant.labels)
            if meant.within is not None:
                if facet.parent is None:
                    raise InvalidInput(f"Facet {facet.id!r} has no parent facet. Leave `within` out.", field="compare")
                taxonomy.facet(facet.parent).label(meant.within)
        return self.model_copy(update={"detection": detection, "mitigation": mitigation})


def _own_facet(roles: Roles, taxonomy: Taxonomy) -> str | None:
    if roles.mitigation is not None and roles.mitigation.facet is not None:
        return roles.mitigation.facet
    return taxonomy.mitigation.id if taxonomy.mitigation else None


def _ids(facet: Facet, labels: Iterable[str]) -> tuple[str, ...]:
    return tuple(facet.label(label).id for label in labels)


def _parsed(option: str) -> tuple[str, str | None, tuple[str, ...]]:
    name, equals, rest = (part.strip() for part in option.partition("="))
    facet, colon, labels = rest.rpartition(":")
    if name not in NAMES or not equals or not labels.strip():
        close = difflib.get_close_matches(name, NAMES, 1)
        hint = f" Did you mean {close[0]!r}?" if close and close[0] != name else ""
        raise InvalidInput(
            f"{option!r} is not a role. Write automated=FACET:LABEL,LABEL. Roles are {', '.join(NAMES)}.{hint}",
            field="role",
        )
    return name, facet.strip() if colon else None, tuple(part.strip() for part in labels.split(",") if part.strip())


def _missing(option: str, name: str) -> NoReturn:
    raise InvalidInput(
        f"{option!r} names no facet, and the role has none yet. Write {name}=FACET:LABEL,LABEL.", field="role"
    )
