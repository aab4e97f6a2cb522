"""How long the preview of a correction takes: `python evals/bench/preview.py --history 120 1000 --recent 200`.

The history is the shipped one, and further incidents that are made of it: each takes its labels and a third of its
sentences from one shipped incident and the rest from two others with the same category, so that words, lengths and
embeddings are those of real write-ups. The recent incidents are made likewise and triaged by the pipeline without a
model; a share of them (`--gold`) has gold labels by then, and so needs classifiers of its own. Measured are previews of
recent incidents that join the history with another category and failure mode, and of incidents of the history that
change theirs. `CPU` is the processor time of the process, which tells more than the clock where others need the cores.
What was made for a size is kept in `--folder`.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from triage.app.settings import Settings
from triage.app.wiring.components import Components, open_components
from triage.domain.annotation import Annotation, Labels
from triage.domain.incident import Incident
from triage.domain.principal import SHARED_TEAM
from triage.evaluation.datasets import shipped_history
from triage.labels.preview import DEFAULT_OPTIONS
from triage.pipeline.classification.sentences import split

Record = tuple[Incident, Labels]

_EVER = datetime(2000, 1, 1, tzinfo=UTC)


def made(shipped: list[Record], count: int, prefix: str, seed: int) -> list[Record]:
    """`count` incidents made of the shipped ones, the same ones for the same seed."""
    chance = random.Random(seed)
    records = []
    for n in range(count):
        one, labels = chance.choice(shipped)
        alike = [incident for incident, others in shipped if others["category"] == labels["category"]]
        parts = [split(each.text)[part::3] for part, each in enumerate((one, *chance.choices(alike, k=2)))]
        sentences = [sentence.text for part in parts for sentence in part]
        chance.shuffle(sentences)
        records.append((Incident(id=f"{prefix}{n}", title=f"Incident {n}", write_up="\n".join(sentences)), labels))
    return records


async def fill(components: Components, shipped: list[Record], size: int, recent: int, gold: float) -> None:
    """Bring the history to `size`, and triage the recent incidents, unless that was done before."""
    more = made(shipped, max(size - len(shipped), 0), "more-", seed=1)
    await components.casebook.import_history(more, "the project", "derived", team=SHARED_TEAM)
    records = made(shipped, recent, "recent-", seed=2)
    triaged = {
        one.incident.id for one in await components.store.triages.list_recent(components.taxonomy.id, _EVER, recent)
    }
    for incident, _ in records:
        if incident.id not in triaged:
            await components.casebook.accept(incident)
            triage, vector = await components.pipeline.run(incident, teams={"default", SHARED_TEAM})
            await components.store.triages.save(incident.id, triage, vector)
    for incident, labels in records[: round(gold * recent)]:
        await components.casebook.annotate(incident.id, annotations(incident.id, labels))


def annotations(incident_id: str, labels: Labels) -> list[Annotation]:
    """Gold labels of category and failure mode."""
    return [
        Annotation(incident_id=incident_id, facet=facet, labels=labels[facet], annotator="ada", is_gold=True)
        for facet in ("category", "failure_mode")
        if facet in labels
    ]


async def measure(
    components: Components, shipped: list[Record], recent: int, seconds: float, times: int
) -> list[list[str]]:
    """One row for each kind of correction."""
    rows = []
    chance = random.Random(3)
    corrected = {
        "joins": [f"recent-{chance.randrange(recent // 2, recent)}" for _ in range(times)],
        "changes": [chance.choice(shipped)[0].id for _ in range(times)],
    }
    for kind, ids in corrected.items():
        wall, cpu, looked, others, unreached = [], [], [], [], []
        for incident_id in ids:
            labels = chance.choice(shipped)[1]
            options = DEFAULT_OPTIONS._replace(days=3_650, most=recent, seconds=seconds)
            began, spent = time.perf_counter(), time.process_time()
            found = await components.previewer.preview(incident_id, annotations(incident_id, labels), options=options)
            wall.append(time.perf_counter() - began)
            cpu.append(time.process_time() - spent)
            looked.append(found.looked_at)
            unreached.append(len(found.not_reached))
            others.append(sum(one.has_other_labels for one in found.incidents))
        figures = [f"{np.median(wall):.2f}", f"{np.median(cpu):.2f}", f"{max(cpu):.2f}"]
        counts = [f"{np.median(each):.0f}" for each in (looked, unreached, others)]
        rows.append([kind, str(found.history), *figures, *counts])
    return rows


async def main() -> None:
    """Measure each size of the history, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--history", type=int, nargs="+", default=[122])
    parser.add_argument("--recent", type=int, default=200)
    parser.add_argument("--gold", type=float, default=0.1, help="share of the recent incidents with gold labels")
    parser.add_argument("--seconds", type=float, default=DEFAULT_OPTIONS.seconds)
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--folder", type=Path, default=Path("preview-bench"))
    options = parser.parse_args()
    head = ["correction", "history", "median s", "median CPU s", "most CPU s", "looked at", "no time", "other labels"]
    print("| " + " | ".join(head) + " |\n" + "|" + " --- |" * len(head))
    shipped = shipped_history()
    for size in options.history:
        folder = options.folder / str(size)
        folder.mkdir(parents=True, exist_ok=True)
        async with open_components(Settings(model="none", data_dir=folder)) as components:
            await fill(components, shipped, size, options.recent, options.gold)
            for row in await measure(components, shipped, options.recent, options.seconds, options.times):
                print("| " + " | ".join(row) + " |", flush=True)


if __name__ == "__main__":
    asyncio.run(main())
