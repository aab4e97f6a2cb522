"""Suites: YAML files that say what is run on which labelled data, and what is scored."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import (
    BaseModel,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from triage.domain.errors import InvalidInput, NotFound
from triage.domain.incident import Scalar
from triage.domain.taxonomy import Taxonomy
from triage.domain.yaml_file import read_yaml
from triage.evaluation.datasets import ADAPTERS, Case, Dataset, load_dataset
from triage.evaluation.gate_rules import Gate, parse_gate
from triage.evaluation.metrics import check_metric


class Folds(BaseModel, frozen=True, extra="forbid"):
    """The history of a case is the other folds. Folds are stratified by the suite's first facet."""

    folds: int = Field(ge=2, le=50)


class HistoryFile(BaseModel, frozen=True, extra="forbid"):
    """The history of every case is this file, read like the suite's data, with all its rows."""

    data: str


class Split(BaseModel, frozen=True, extra="forbid"):
    """One of two parts of the data, drawn at random.

    A case's part depends on its words and the seed only: copies stay together, and new cases don't move old ones.
    """

    part: Literal["dev", "test"]
    test_share: float = Field(default=0.3, gt=0, lt=1)
    seed: int = Field(default=0, ge=0)

    def holds(self, case: Case) -> bool:
        """True if the case is in this part."""
        drawn = hashlib.sha256(f"{self.seed} {case.group}".encode()).digest()
        is_test = int.from_bytes(drawn[:8]) / 2**64 < self.test_share
        return is_test == (self.part == "test")

    def teaches(self, case: Case) -> bool:
        """True if the case is in the other part."""
        return not self.holds(case)


class FieldSplit(BaseModel, frozen=True, extra="forbid"):
    """Parts of the data, by a field of its rows: `test` is run, `history` (default: all others) is the history."""

    field: str
    test: tuple[Scalar, ...] = Field(min_length=1)
    history: tuple[Scalar, ...] = ()

    def holds(self, case: Case) -> bool:
        """True if the case is run."""
        return self._part(case) in self.test

    def teaches(self, case: Case) -> bool:
        """True if the case is in the history."""
        return self._part(case) in self.history if self.history else not self.holds(case)

    def check(self, cases: Sequence[Case]) -> None:
        """Raise `InvalidSuite` for a part without cases."""
        known = dict.fromkeys(map(self._part, cases))
        for part in (*self.test, *self.history):
            if part not in known:
                there = ", ".join(repr(one) for one in known if one is not None) or "no values"
                raise InvalidSuite(
                    f"No case has {part!r} in its field {self.field!r}. There are: {there}.", field="split"
                )

    def _part(self, case: Case) -> Scalar | None:
        return case.facts.get(self.field)


class Budget(BaseModel, frozen=True, extra="forbid"):
    """What a run may spend before it stops. `cost` is in the currency of the prices."""

    cost: float | None = Field(default=None, gt=0)
    tokens: int | None = Field(default=None, ge=1)
    calls: int | None = Field(default=None, ge=1)
    minutes: float | None = Field(default=None, gt=0)


class InvalidSuite(InvalidInput):
    """An invalid suite file."""

    title = "The suite is not valid"


def _kind_of_split(value: Any) -> str:
    return "Field" if isinstance(value, FieldSplit) or (isinstance(value, dict) and "field" in value) else "Drawn"


def _kind_of_history(value: Any) -> str:
    if isinstance(value, HistoryFile) or (isinstance(value, dict) and "data" in value):
        return "File"
    return "Folds" if isinstance(value, Folds | dict) else "Rule"


_Split = Annotated[Annotated[Split, Tag("Drawn")] | Annotated[FieldSplit, Tag("Field")], Discriminator(_kind_of_split)]
_Rule = Literal["leave_one_out", "as_of", "other_split", "none"]
_History = Annotated[
    Annotated[_Rule, Tag("Rule")] | Annotated[Folds, Tag("Folds")] | Annotated[HistoryFile, Tag("File")],
    Discriminator(_kind_of_history),
]


class Suite(BaseModel, frozen=True, extra="forbid"):
    """One evaluation: data, what to run, what to score, what must hold.

    - `facets` are scored; `labels` maps a facet to the data's field if that differs from the facet's id.
    - `leave_out` drops the rows whose facts match all of it, `keep` those whose facts don't match all of it.
    - `adapter` says how the data is read: `rows` as `triage import` does, others are for published data sets.
    - `history` of a case is `leave_one_out` (all other cases), `folds: k` (the other folds), `as_of` (cases that began
      before it; how it ended is hidden), `other_split` (the part that is not run), `data: FILE` (that file, read like
      the data, without `keep` and `leave_out`) or `none`. It never holds the case itself or its copies.
    - `split` and `limit` (a seeded sample) choose the cases to run; the history stays whole. A split by a field has the
      history `other_split` unless another is named.
    - `subject` is the `pipeline`, or as a baseline the prompted `model` alone.
    - `pipeline` overrides settings (model, answers, samples, calibrator, prompts, half_life_days, embedding_model) and
      options (neighbours, ...) of the pipeline.
    - `repeats` is the number of independent rounds, which show how much labels change by chance.
    - `metrics` are reported and compared (see `metrics.py`); `gates` must hold (see `gate_rules.py`).
    """

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    description: str = Field(min_length=1)
    taxonomy: str = Field(min_length=1)
    adapter: str = "rows"
    data: str | None = None
    facets: tuple[str, ...] = Field(min_length=1)
    labels: dict[str, str] = Field(default_factory=dict)
    leave_out: dict[str, Scalar] = Field(default_factory=dict)
    keep: dict[str, Scalar] = Field(default_factory=dict)
    split: _Split | None = None
    history: _History = "leave_one_out"
    seed: int = Field(default=0, ge=0)
    concurrency: int = Field(default=4, ge=1, le=256)
    limit: int | None = Field(default=None, ge=1)
    subject: Literal["pipeline", "model"] = "pipeline"
    pipeline: dict[str, Scalar] = Field(default_factory=dict)
    repeats: int = Field(default=1, ge=1, le=20)
    metrics: tuple[str, ...] = ()
    gates: tuple[str, ...] = ()
    budget: Budget | None = None

    @field_validator("metrics")
    @classmethod
    def _are_metrics(cls, metrics: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        for metric in metrics:
            check_metric(metric, info.data.get("facets", ()))
        return metrics

    @field_validator("gates")
    @classmethod
    def _are_gates(cls, gates: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        return tuple(parse_gate(gate, info.data.get("facets", ())).text for gate in gates)

    @model_validator(mode="before")
    @classmethod
    def _learns_from_the_other_part(cls, values: Any) -> Any:
        if isinstance(values, dict) and "history" not in values and _kind_of_split(values.get("split")) == "Field":
            return {**values, "history": "other_split"}
        return values

    @model_validator(mode="after")
    def _has_another_part(self) -> Self:
        if isinstance(self.split, FieldSplit) and self.split.history and self.history != "other_split":
            raise ValueError("the split and `history` name different histories: remove one of them")
        if self.history == "other_split" and self.split is None:
            raise ValueError("history: other_split needs a split: add `split: {part: test}`")
        return self

    @field_validator("adapter")
    @classmethod
    def _is_known(cls, adapter: str) -> str:
        if adapter not in ADAPTERS:
            raise ValueError(f"unknown data adapter {adapter!r}; there are: {', '.join(ADAPTERS)}")
        return adapter

    @classmethod
    def load(cls, path: Path) -> Suite:
        """Read a suite from YAML. Paths in it are relative to the file. Raises `NotFound`, `InvalidSuite`."""
        if not path.is_file():
            raise NotFound(f"There is no suite file {path}.", path=str(path))
        file = read_yaml(path, cls, "name, description, taxonomy and facets")
        if file.model is None or file.problems:
            lines = "\n".join(f"  line {problem.line}: {problem.message}" for problem in file.problems)
            raise InvalidSuite(f"{path} has {len(file.problems)} mistake(s):\n{lines}", field="suite")
        suite = file.model
        if isinstance(suite.history, HistoryFile):
            history = HistoryFile(data=str((path.parent / suite.history.data).resolve()))
            suite = suite.model_copy(update={"history": history})
        paths = {"data": suite.data, "taxonomy": suite.taxonomy if suite.taxonomy.endswith((".yaml", ".yml")) else None}
        near = {key: str((path.parent / value).resolve()) for key, value in paths.items() if value is not None}
        pipeline = {name: _near(path.parent, name, value) for name, value in suite.pipeline.items()}
        return suite.model_copy(update={**near, "pipeline": pipeline})

    @classmethod
    def checked(cls, suite: Suite, **changes: Any) -> Suite:
        """`suite` with some fields changed. Raises `InvalidSuite` if one of them is invalid."""
        try:
            return cls.model_validate({**suite.model_dump(), **changes})
        except ValidationError as error:
            message = "; ".join(one["msg"].removeprefix("Value error, ") for one in error.errors())
            raise InvalidSuite(message, field=", ".join(changes)) from error

    def load_data(self, taxonomy: Taxonomy, path: Path | None = None) -> Dataset:
        """The suite's cases, from `path` or the suite's own data, and its history if that is another file."""
        data = self.load_cases(taxonomy, path)
        if not isinstance(self.history, HistoryFile):
            return data
        history = load_dataset(self.adapter, Path(self.history.data), taxonomy, self._columns)
        return data.model_copy(update={"history": history})

    def load_cases(self, taxonomy: Taxonomy, path: Path | None = None) -> Dataset:
        """The suite's cases alone."""
        if path is None and self.data is None:
            raise InvalidSuite(f"Suite {self.name!r} has no data of its own: give the file with --data.", field="data")
        file = path or Path(str(self.data))
        data = load_dataset(self.adapter, file, taxonomy, self._columns, leave_out=self.leave_out, keep=self.keep)
        if isinstance(self.split, FieldSplit):
            self.split.check(data.cases)
        return data

    def narrow(self, taxonomy: Taxonomy) -> Taxonomy:
        """The taxonomy with only the scored facets, and those they refine, to be triaged."""
        return taxonomy.narrow(self.facets)

    def folds_of(self, cases: tuple[Case, ...]) -> dict[str, int] | None:
        """The fold of each case id; None if the suite has no folds."""
        if not isinstance(self.history, Folds):
            return None
        if len(cases) < self.history.folds:
            raise InvalidSuite(f"{len(cases)} case(s) don't make {self.history.folds} folds.", field="history")
        labels = [" ".join(case.gold.get(self.facets[0], ())[:1]) for case in cases]
        folds = stratified_folds(labels, self.history.folds, self.seed)
        return {case.id: fold for case, fold in zip(cases, folds, strict=True)}

    def sample(self, cases: tuple[Case, ...]) -> list[Case]:
        """The cases to run, in the order of the file. A larger limit gives a superset."""
        part = [case for case in cases if self.split is None or self.split.holds(case)]
        if self.limit is None or self.limit >= len(part):
            return part
        chosen = np.random.default_rng(self.seed).permutation(len(part))[: self.limit]
        return [part[index] for index in sorted(chosen.tolist())]

    def history_of(self, data: Dataset) -> tuple[Case, ...]:
        """The cases in the history."""
        if data.history is not None:
            return data.history.cases
        if self.history == "none":
            return ()
        if self.history == "other_split" and self.split is not None:
            return tuple(case for case in data.cases if self.split.teaches(case))
        return data.cases

    @property
    def _columns(self) -> dict[str, str]:
        """Each scored facet with the data's field for it."""
        return {facet: self.labels.get(facet, facet) for facet in self.facets}

    @property
    def parsed_gates(self) -> list[Gate]:
        """The gates, parsed."""
        return [parse_gate(gate, self.facets) for gate in self.gates]

    @property
    def fingerprint(self) -> str:
        """Changes with everything that can change a case's result, but not with concurrency, paths or sample size."""
        leave = {"description", "concurrency", "limit", "data", "taxonomy", "repeats", "metrics", "gates", "budget"}
        # Older runs, without these fields, keep their fingerprint.
        unset = {name for name in ("keep", "split") if not getattr(self, name)}
        unset |= {"subject"} if self.subject == "pipeline" else set()
        fields = self.model_dump(mode="json", exclude=leave | unset)
        # The run's settings identify the content of these files; their paths don't matter.
        fields["pipeline"] = {k: v for k, v in self.pipeline.items() if k not in _FILES and not _is_replay(v)}
        if isinstance(self.history, HistoryFile):
            fields["history"] = "file"
        content = json.dumps(fields, sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:16]


_FILES = ("calibrator", "prompts")


def _is_replay(value: Scalar) -> bool:
    return isinstance(value, str) and value.startswith("replay:")


def _near(folder: Path, name: str, value: Scalar) -> Scalar:
    """A path in the suite's pipeline made absolute; any other value unchanged."""
    if name in _FILES and isinstance(value, str) and value not in ("auto", "none"):
        return str((folder / value).resolve())
    if _is_replay(value):
        place, mark, run = str(value).removeprefix("replay:").partition("#")
        return f"replay:{(folder / place).resolve()}{mark}{run}"
    return value


def stratified_folds(labels: Sequence[str], k: int, seed: int = 0) -> list[int]:
    """The fold, 0 to k-1, of each case; labels are spread evenly.

    They are those of scikit-learn's `StratifiedKFold(k, shuffle=True, random_state=seed)`, so that runs are comparable
    with the baselines of `evals/bench`.
    """
    if k > len(labels):
        raise ValueError(f"{len(labels)} case(s) don't make {k} folds")
    rng = np.random.RandomState(seed)
    order = {label: index for index, label in enumerate(dict.fromkeys(labels))}
    codes = np.array([order[label] for label in labels])
    in_order = np.sort(codes)
    folds = np.empty(len(codes), dtype=np.int64)
    sizes = np.array([np.bincount(in_order[fold::k], minlength=len(order)) for fold in range(k)])
    for code in range(len(order)):
        mine = np.arange(k).repeat(sizes[:, code])
        rng.shuffle(mine)
        folds[codes == code] = mine
    return [int(fold) for fold in folds]
