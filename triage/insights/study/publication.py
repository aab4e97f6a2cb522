"""The published study that the corpus is compared with."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field

from triage.agreement.proportion import Proportion
from triage.domain.yaml_file import read_yaml

Measure = Literal["share", "automated", "hotfix", "kappa"]


class Published(BaseModel, frozen=True, extra="forbid"):
    """One figure. `of` is the number of incidents behind it, as far as it is known or can be derived.

    `measure` is the `share` of a kind of incident, the share detected `automated` or in need of a `hotfix`, or a
    `kappa`. `read` is `first_hand` if it was read in the publication itself, else `second_hand`.
    """

    id: str
    name: str
    measure: Measure
    value: float = Field(ge=-1, le=1)
    of: int = Field(gt=0)
    read: Literal["first_hand", "second_hand"]
    source: str
    remark: str = ""

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95% interval of the share; None for a kappa."""
        if self.measure == "kappa":
            return None
        return Proportion(hits=round(self.value * self.of), n=self.of).interval


class Publication(BaseModel, frozen=True, extra="forbid"):
    """A study and its figures; `population` describes its incidents."""

    title: str
    url: str
    population: str
    figures: tuple[Published, ...]


@cache
def publication() -> Publication:
    """The study that `triage study` repeats."""
    file = read_yaml(Path(__file__).with_name("publication.yaml"), Publication, "figures")
    if file.model is None:
        raise RuntimeError(f"the shipped publication.yaml is damaged: {file.problems}")
    return file.model
