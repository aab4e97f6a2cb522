"""Recorded answers of models to replay: from the `recorded` field of a data file, or from an earlier run."""

from __future__ import annotations

from pathlib import Path

from triage.domain.errors import InvalidInput, MisconfiguredService
from triage.domain.taxonomy import Taxonomy
from triage.evaluation.runs import Run
from triage.intake.data_files import read_rows
from triage.models.chat.replay import RecordedAnswer, Recording, ReplayChat, recordings_in
from triage.pipeline.classification.letters import WITHOUT_CONTENT


def open_replay(source: str, taxonomy: Taxonomy) -> ReplayChat:
    """A chat model that replays `FILE.jsonl#RUN` (rows with `recorded`) or a run's folder.

    Raises `InvalidInput` or `MisconfiguredService`, naming what there is to replay.
    """
    names = {facet.id: {label.id: label.name for label in facet.labels} for facet in taxonomy.facets}
    place, _, run = source.partition("#")
    if Path(place).is_dir():
        return _of_run(Run.read(Path(place)), names)
    rows, problems, _ = read_rows(Path(place))
    if problems:
        raise MisconfiguredService(f"{place} can't be replayed: line {problems[0].line}: {problems[0].message}.")
    content = [row for _, row in rows]
    runs = sorted({name for row in content for name in row.get("recorded", {})})
    if run not in runs:
        known = ", ".join(runs) or "none: its rows have no field `recorded`"
        raise InvalidInput(f"{place} has no recorded run {run!r}. There are: {known}.", field="model")
    return ReplayChat(f"{run} (recorded)", recordings_in(content, run), names)


def _of_run(run: Run, names: dict[str, dict[str, str]]) -> ReplayChat:
    info = run.info
    taxonomy = Taxonomy.load(run.suite.taxonomy)
    texts = {case.id: case.incident.text for case in run.suite.load_cases(taxonomy, Path(info.data_path)).cases}
    recordings = []
    for record in run.records:
        distributions = {facet: one["model"] for facet, one in record.sources.items() if one.get("model")}
        if record.status == "done" and distributions and record.case_id in texts:
            answers = {facet: RecordedAnswer(labels=labels) for facet, labels in distributions.items()}
            recordings.append(Recording(incident_id=record.case_id, text=texts[record.case_id], answers=answers))
    if not recordings:
        raise InvalidInput(f"{run.folder} holds no answer of a model to replay.", field="model")
    recordings.append(_without_content(run, names))
    return ReplayChat(str(info.identity.settings.get("model", run.folder.name)), recordings, names, "letters")


def _without_content(run: Run, names: dict[str, dict[str, str]]) -> Recording:
    """The answer to a write-up without content: the square of the model's prior, see `LetterClassifier`."""
    answers = {}
    for facet, labels in names.items():
        priors = (record.sources.get(facet, {}).get("prior") for record in run.records)
        prior = next((found for found in priors if found), dict.fromkeys(labels, 1.0))
        answers[facet] = RecordedAnswer(labels={label: share**2 for label, share in prior.items()})
    return Recording(incident_id=WITHOUT_CONTENT, text=WITHOUT_CONTENT, answers=answers)
