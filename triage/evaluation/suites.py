"""Suites: YAML files that say what is run on which labelled data, and what is scored."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Literal

import numpy as np
import yaml
from pydantic import BaseModel, Field, ValidationError, field_validator

from triage.errors import InvalidInput, NotFound
from triage.evaluation.cases import Case, Dataset
from triage.evaluation.datasets import ADAPTERS, load_dataset
from triage.evaluation.folds import stratified_folds
from triage.incident import Scalar
from triage.taxonomy import Taxonomy


class Folds(BaseModel, frozen=True, extra="forbid"):
    """The history of a case is the other folds. Folds are stratified by the suite's first facet."""

    folds: int = Field(ge=2, le=50)


class InvalidSuite(InvalidInput):
    """A suite file that can't be used as it is."""

    title = "The suite file is not valid"


class Suite(BaseModel, frozen=True, extra="forbid"):
    """One evaluation: data, what to run, what to score.

    `facets` are scored; `labels` names the data's field for a facet where it differs from the facet's id. `history` is
    `leave_one_out` (all other cases), `folds: k` (the other folds), `as_of` (those that began before it, its write-up
    being read without how it ended) or `none`; the case itself and copies of it are never in it. `limit` runs a seeded
    sample of that many cases; the history stays whole. `subject` is the `pipeline`, or the prompted `model` alone as a
    baseline for it; `pipeline` is handed to the pipeline as it is.
    """

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    description: str = Field(min_length=1)
    taxonomy: str = Field(min_length=1)
    adapter: str
    data: str | None = None
    facets: tuple[str, ...] = Field(min_length=1)
    labels: dict[str, str] = Field(default_factory=dict)
    leave_out: dict[str, Scalar] = Field(default_factory=dict)
    history: Literal["leave_one_out", "as_of", "none"] | Folds = "leave_one_out"
    seed: int = Field(default=0, ge=0)
    concurrency: int = Field(default=4, ge=1, le=256)
    limit: int | None = Field(default=None, ge=1)
    subject: Literal["pipeline", "model"] = "pipeline"
    pipeline: dict[str, Scalar] = Field(default_factory=dict)

    @field_validator("adapter")
    @classmethod
    def _is_known(cls, adapter: str) -> str:
        if adapter not in ADAPTERS:
            raise ValueError(f"{adapter!r} is no data adapter; there are: {', '.join(ADAPTERS)}")
        return adapter

    @classmethod
    def load(cls, path: Path) -> Suite:
        """A suite from its YAML file; relative paths in it are relative to the file. Raises `InvalidSuite`."""
        try:
            content: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (FileNotFoundError, IsADirectoryError) as error:
            raise NotFound(f"There is no suite file {path}.", path=str(path)) from error
        except (UnicodeDecodeError, yaml.YAMLError) as error:
            raise InvalidSuite(f"{path} is not YAML: {error}", field="suite") from error
        if not isinstance(content, dict):
            raise InvalidSuite(f"{path} must be a mapping with name, taxonomy, adapter and facets.", field="suite")
        try:
            suite = cls.model_validate(content)
        except ValidationError as error:
            found = [f"  {'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
            raise InvalidSuite(f"{path} has {len(found)} mistake(s):\n" + "\n".join(found), field="suite") from error
        paths = {"data": suite.data, "taxonomy": suite.taxonomy if suite.taxonomy.endswith((".yaml", ".yml")) else None}
        near = {key: str((path.parent / value).resolve()) for key, value in paths.items() if value is not None}
        return suite.model_copy(update=near)

    def load_data(self, taxonomy: Taxonomy, path: Path | None = None) -> Dataset:
        """The suite's cases, from `path` or else from the suite's own data."""
        if path is None and self.data is None:
            raise InvalidSuite(f"Suite {self.name!r} has no data of its own: give the file with --data.", field="data")
        facets = {facet: self.labels.get(facet, facet) for facet in self.facets}
        return load_dataset(self.adapter, path or Path(str(self.data)), taxonomy, facets, leave_out=self.leave_out)

    def narrow(self, taxonomy: Taxonomy) -> Taxonomy:
        """The taxonomy in which only the scored facets, and the facets they refine, are asked for."""
        asked = set(self.facets) | {parent for name in self.facets if (parent := taxonomy.facet(name).parent)}
        facets = tuple(f.model_copy(update={"triage": f.id in asked}) for f in taxonomy.facets)
        return taxonomy.model_copy(update={"facets": facets})

    def folds_of(self, cases: tuple[Case, ...]) -> dict[str, int] | None:
        """Case id -> fold; None where the suite has no folds."""
        if not isinstance(self.history, Folds):
            return None
        if len(cases) < self.history.folds:
            raise InvalidSuite(f"{len(cases)} case(s) can't be cut into {self.history.folds} folds.", field="history")
        labels = [" ".join(case.gold.get(self.facets[0], ())[:1]) for case in cases]
        folds = stratified_folds(labels, self.history.folds, self.seed)
        return {case.id: fold for case, fold in zip(cases, folds, strict=True)}

    def sample(self, cases: tuple[Case, ...]) -> list[Case]:
        """The cases to run, in the order of the file. A larger limit gives a superset of a smaller one's."""
        if self.limit is None or self.limit >= len(cases):
            return list(cases)
        chosen = np.random.default_rng(self.seed).permutation(len(cases))[: self.limit]
        return [cases[index] for index in sorted(chosen.tolist())]

    @property
    def fingerprint(self) -> str:
        """Changes with everything that can change a case's result; not with pace, paths and the sample's size."""
        leave = {"description", "concurrency", "limit", "data", "taxonomy"}
        if self.subject == "pipeline":
            leave.add("subject")  # runs from before there was a choice stay what they are
        content = json.dumps(self.model_dump(mode="json", exclude=leave), sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:16]
