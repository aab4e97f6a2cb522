"""A run: one execution of a suite, in a folder of its own."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout
from pydantic import AwareDatetime, BaseModel, Field, ValidationError

from triage.domain.errors import Conflict, InvalidInput, NotFound
from triage.domain.incident import Scalar
from triage.domain.taxonomy import Taxonomy
from triage.evaluation.datasets import Case, Dataset
from triage.evaluation.journal import CaseRecord, read_journal
from triage.evaluation.suites import Suite
from triage.models.chat.prices import Price
from triage.render.atomic_write import write_atomically

CASES = "cases.jsonl"


class RunMismatch(Conflict):
    """The folder holds a run with another identity."""

    title = "The folder holds another run"


class RunIdentity(BaseModel, frozen=True, extra="forbid"):
    """Everything that determines a run's results. Runs with the same identity share finished cases."""

    suite: str
    data: str
    taxonomy: str
    settings: dict[str, Scalar] = Field(default_factory=dict)

    @classmethod
    def of(cls, suite: Suite, dataset: Dataset, taxonomy: Taxonomy, settings: Mapping[str, Scalar]) -> RunIdentity:
        """`settings` names the model, prompts, embedder and whatever else was configured."""
        name = f"{taxonomy.id} {taxonomy.version} {taxonomy.fingerprint}"
        history = {"history": dataset.history.sha256} if dataset.history is not None else {}
        return cls(suite=suite.fingerprint, data=dataset.sha256, taxonomy=name, settings={**settings, **history})

    @property
    def hash(self) -> str:
        content = json.dumps(self.model_dump(mode="json"), sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:10]

    def differences(self, other: RunIdentity) -> list[str]:
        """What changed from `other` to this identity, in words."""
        found = [name for name in ("suite", "data", "taxonomy") if getattr(self, name) != getattr(other, name)]
        for name in sorted(self.settings.keys() | other.settings.keys()):
            before, after = other.settings.get(name), self.settings.get(name)
            if before != after:
                found.append(f"{name} (was {before!r}, is {after!r})")
        return found


class RunInfo(BaseModel, frozen=True):
    """`run.json`: what was run, on which data, when it started, and the model's price if it was known."""

    identity: RunIdentity
    suite: Suite
    dataset: str
    data_path: str
    started_at: AwareDatetime
    price: Price | None = None


class Run(BaseModel, frozen=True):
    """One execution of a suite: its folder and the record of each case, in the order of the data.

    `stopped` says why some cases were not started; None if all were.
    """

    folder: Path
    suite: Suite
    records: tuple[CaseRecord, ...]
    skipped: int = 0
    left_out: int = 0
    repeats: int = 0
    resumed: int = 0
    stopped: str | None = None

    @property
    def info(self) -> RunInfo:
        """The description of the run. Raises `NotFound` if the folder is gone."""
        return _existing_info(self.folder)

    @classmethod
    def read(cls, folder: Path) -> Run:
        """Read a run from its folder. Raises `NotFound` if there is none."""
        info = _existing_info(folder)
        return cls(folder=folder, suite=info.suite, records=tuple(read_journal(folder / CASES)))


def rounds_of(run: Run) -> list[Run]:
    """The run and its repeats, which are independent runs of the same suite in folders inside the run's."""
    return [run, *(Run.read(folder) for folder in sorted(run.folder.glob(f"{_ROUND}*")) if folder.is_dir())]


def round_folder(folder: Path, number: int) -> Path:
    """The folder of a round of the run in `folder`, counted from 1."""
    return folder if number == 1 else folder / f"{_ROUND}{number:02}"


_ROUND = "round-"


def default_folder(root: Path, suite: Suite, identity: RunIdentity) -> Path:
    """The folder of this run below `root`, one per identity."""
    return root / f"{suite.name}-{identity.hash}"


@contextmanager
def claim(
    folder: Path, suite: Suite, dataset: Dataset, identity: RunIdentity, price: Price | None = None
) -> Iterator[None]:
    """Lock the folder for this run: a new one, or that of an earlier run with the same identity.

    The description in the folder is updated to the suite's current gates, metrics and the like.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / "run.lock", timeout=0):
            _open_run(folder, suite, dataset, identity, price)
            yield
    except Timeout as error:
        raise RunMismatch(
            f"Another process is running the suite in {folder}: wait for it.", path=str(folder)
        ) from error


def _open_run(folder: Path, suite: Suite, dataset: Dataset, identity: RunIdentity, price: Price | None) -> None:
    info = _read_info(folder)
    if info is not None and info.identity != identity:
        changed = ", ".join(identity.differences(info.identity))
        raise RunMismatch(
            f"{folder} holds a run that differs in: {changed}. Name another folder, or delete this one.",
            path=str(folder),
            changed=changed,
        )
    fresh = RunInfo(
        identity=identity,
        suite=suite,
        dataset=dataset.name,
        data_path=str(dataset.path.resolve()),
        started_at=info.started_at if info is not None else datetime.now(UTC),
        price=price or (info.price if info is not None else None),
    )
    if fresh != info:
        write_atomically(folder / "run.json", fresh.model_dump_json(indent=2) + "\n")


def _existing_info(folder: Path) -> RunInfo:
    info = _read_info(folder)
    if info is None:
        raise NotFound(
            f"{folder} holds no run (there is no run.json in it): `triage eval list` names those there are.",
            path=str(folder),
        )
    return info


def _read_info(folder: Path) -> RunInfo | None:
    path = folder / "run.json"
    try:
        return RunInfo.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError as error:
        raise RunMismatch(f"{path} is damaged: delete the folder to start afresh.", path=str(path)) from error


def cases_of(run: Run, taxonomy: Taxonomy, path: Path | None = None) -> dict[str, Case]:
    """The cases of a run by id, with their write-ups, from `path` or the run's own data file.

    Raises `NotFound` if the file is gone, `InvalidInput` if its content has changed since the run.
    """
    file = path or Path(run.info.data_path)
    if not file.exists():
        raise NotFound(f"The data file of the run, {file}, does not exist: give it with --data.", path=str(file))
    dataset = run.suite.load_cases(taxonomy, file)
    if dataset.sha256 != run.info.identity.data:
        raise InvalidInput(
            f"{dataset.path} has changed since the run (its SHA-256 was {run.info.identity.data[:12]} and is "
            f"{dataset.sha256[:12]}): name the file that it was made on with --data, or run the suite again.",
            field="data",
        )
    return {case.id: case for case in dataset.cases}
