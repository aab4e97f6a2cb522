"""The runs below one folder, found by path, name or tag."""

from __future__ import annotations

import json
from pathlib import Path

from filelock import FileLock
from pydantic import AwareDatetime, BaseModel

from triage.domain.errors import InvalidInput, NotFound
from triage.evaluation.runs import Run, RunInfo, RunMismatch
from triage.evaluation.summary import read_summary
from triage.render.atomic_write import write_atomically

_TAGS = "tags.json"


class Listed(BaseModel, frozen=True):
    """A run in a list. `kappa` maps facets to kappa with its interval; it is empty for an unfinished run."""

    run: str
    suite: str
    started_at: AwareDatetime
    model: str
    cases: int | None
    kappa: dict[str, str]
    tags: tuple[str, ...]


class Archive:
    """The runs in the folders below `root`.

    A tag names one run per suite: `vs main` in a gate means the run of the same suite that is tagged `main`.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def infos(self) -> list[tuple[Path, RunInfo]]:
        """Each run's folder and description, newest first. Damaged runs are left out."""
        found = []
        for path in sorted(self.root.glob("*/run.json")):
            try:
                found.append((path.parent, RunInfo.model_validate_json(path.read_bytes())))
            except ValueError:
                continue
        return sorted(found, key=lambda item: item[1].started_at, reverse=True)

    def find(self, name: str, suite: str | None = None) -> Run:
        """A run by its folder, name, unique prefix of its name, tag, or `latest`. Raises `NotFound`, `InvalidInput`.

        A tag may name one run per suite; `suite` chooses among them.
        """
        return Run.read(self.folder(name, suite))

    def folder(self, name: str, suite: str | None = None) -> Path:
        """The folder of the run that `find` reads. Raises the same errors."""
        for folder in (Path(name), self.root / name):
            if (folder / "run.json").is_file():
                return folder
        tagged = self.tags().get(name, {})
        # With a tag and a suite the other runs need not be read.
        if suite in tagged and (self.root / tagged[suite] / "run.json").is_file():
            return self.root / tagged[suite]
        runs = [(path, info) for path, info in self.infos() if suite is None or info.suite.name == suite]
        matches = [path for path, info in runs if tagged.get(info.suite.name) == path.name]
        matches = matches or [path for path, _ in runs if path.name.startswith(name)]
        if name == "latest":
            matches = [path for path, _ in runs][:1]
        if len(matches) == 1:
            return matches[0]
        if matches:
            raise InvalidInput(
                f"{name!r} matches several runs: {', '.join(path.name for path in matches)}. Name one of them.",
                field="run",
            )
        known = ", ".join(path.name for path, _ in runs[:5]) or "none yet: `triage eval run SUITE` makes one"
        raise NotFound(f"There is no run {name!r} below {self.root}. There are: {known}.", run=name)

    def find_or_none(self, name: str, suite: str) -> Run | None:
        """Like `find`, but None if there is no such run."""
        try:
            return self.find(name, suite)
        except (NotFound, RunMismatch):
            return None

    def tags(self) -> dict[str, dict[str, str]]:
        """Tag -> suite -> name of the run's folder."""
        path = self.root / _TAGS
        if not path.is_file():
            return {}
        content = json.loads(path.read_text(encoding="utf-8"))
        return {tag: dict(runs) for tag, runs in content.items()}

    def tag(self, run: Run, name: str) -> str | None:
        """Tag a run. Returns the name of the suite's run that had the tag before."""
        if not name.replace("-", "").replace("_", "").isalnum() or name == "latest":
            raise InvalidInput(f"Invalid tag {name!r}: use letters, digits, - and _, but not 'latest'.", field="tag")
        if run.folder.resolve().parent != self.root.resolve():
            raise InvalidInput(f"{run.folder} is not below {self.root}: give --out {run.folder.parent}.", field="run")
        with FileLock(self.root / f"{_TAGS}.lock"):
            tags = self.tags()
            before = tags.setdefault(name, {}).get(run.suite.name)
            tags[name][run.suite.name] = run.folder.name
            write_atomically(self.root / _TAGS, json.dumps(tags, indent=2) + "\n")
        return before


def listed(archive: Archive) -> list[Listed]:
    """Every run of the archive, newest first."""
    tags = archive.tags()
    rows = []
    for folder, info in archive.infos():
        summary = read_summary(folder)
        facets = summary.facets if summary else ()
        rows.append(
            Listed(
                run=folder.name,
                suite=info.suite.name,
                started_at=info.started_at,
                model=str(info.identity.settings.get("model", "")),
                cases=summary.done if summary else None,
                kappa={one.facet: str(one.kappa) for one in facets if one.kappa is not None},
                tags=tuple(sorted(tag for tag, runs in tags.items() if folder.name in runs.values())),
            )
        )
    return rows
