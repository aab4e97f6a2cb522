"""What the labels of a taxonomy mean to the study: a small file beside the taxonomy, so that no code knows a label."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field

from triage.errors import InvalidInput
from triage.taxonomy import Taxonomy
from triage.yaml_file import read_yaml

Measure = Literal["share", "automated", "hotfix", "kappa"]


class Detection(BaseModel, frozen=True, extra="forbid"):
    """The facet that says how incidents were noticed; its labels for by a machine, and for by customers."""

    facet: str
    automated: tuple[str, ...] = Field(min_length=1)
    reported: tuple[str, ...] = ()


class Mitigation(BaseModel, frozen=True, extra="forbid"):
    """Which labels of the mitigation facet are hotfixes, and which are actions that automation could take."""

    hotfix: tuple[str, ...] = ()
    automatable: tuple[str, ...] = ()


class Published(BaseModel, frozen=True, extra="forbid"):
    """A figure of the study that is repeated, to stand beside one's own.

    `measure` says what it is: the `share` of `labels` in `facet`, among the incidents whose parent label is `within`
    where that is given; the share `automated` or `hotfix` as the roles define them; or `kappa` on `facet`. `read` is
    `first_hand` where it was read in the publication's own text, else `second_hand`, from `source`.
    """

    id: str
    name: str
    measure: Measure
    value: float = Field(ge=-1, le=1)
    facet: str | None = None
    labels: tuple[str, ...] = ()
    within: str | None = None
    read: Literal["first_hand", "second_hand"]
    source: str
    remark: str = ""


class Publication(BaseModel, frozen=True, extra="forbid"):
    """The study whose figures are stood beside one's own; `population` says what it looked at."""

    title: str
    url: str
    population: str
    incidents: int = Field(gt=0)
    figures: tuple[Published, ...] = ()


class Roles(BaseModel, frozen=True, extra="forbid"):
    """The parts that labels play in a study. What is left out is not studied."""

    detection: Detection | None = None
    mitigation: Mitigation | None = None
    publication: Publication | None = None

    @classmethod
    def load(cls, taxonomy: Taxonomy, path: Path | None = None) -> Roles:
        """The roles in `path`, or those shipped for this taxonomy, or none. Raises `NotFound` or `InvalidInput`."""
        if path is None:
            path = Path(str(resources.files("triage").joinpath("taxonomies", "study", f"{taxonomy.id}.yaml")))
            if not path.is_file():
                return cls()
        file = read_yaml(path, cls, "detection, mitigation or publication")
        if file.model is None or file.problems:
            told = "\n".join(f"  line {problem.line}: {problem.message}" for problem in file.problems)
            raise InvalidInput(f"{path} has {len(file.problems)} mistake(s):\n{told}", field="roles")
        file.model.check(taxonomy)
        return file.model

    def check(self, taxonomy: Taxonomy) -> None:
        """Raises `UnknownFacet`, `UnknownLabel` or `InvalidInput` for what the taxonomy does not have."""
        if self.detection is not None:
            facet = taxonomy.facet(self.detection.facet)
            for label in (*self.detection.automated, *self.detection.reported):
                facet.label(label)
        if self.mitigation is not None:
            if taxonomy.mitigation is None:
                raise InvalidInput(
                    f"Taxonomy {taxonomy.id!r} has no facet with the role 'mitigation': remove these roles.",
                    field="mitigation",
                )
            for label in (*self.mitigation.hotfix, *self.mitigation.automatable):
                taxonomy.mitigation.label(label)
        for figure in self.publication.figures if self.publication else ():
            if figure.facet is not None:
                for label in figure.labels:
                    taxonomy.facet(figure.facet).label(label)
