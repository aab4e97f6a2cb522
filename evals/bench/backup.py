"""How long backup, restore and upgrade take: `python -m evals.bench.backup --help`."""

from __future__ import annotations

import argparse
import asyncio
import resource
import tempfile
import time
from pathlib import Path

import numpy as np

from triage.domain.annotation import Annotation
from triage.domain.incident import Incident
from triage.domain.triage_result import FacetResult, Provenance, Triage
from triage.store import Store, downgrade, restore_backup, upgrade, write_backup

_WORDS = "The node lost its network and requests queued up until the scheduler was restarted. "
_PORTION = 500


async def _fill(url: str, incidents: int, characters: int) -> None:
    store = Store(url)
    write_up = (_WORDS * (characters // len(_WORDS) + 1))[:characters]
    random = np.random.default_rng(0)
    for start in range(0, incidents, _PORTION):
        keys = [f"i{n}" for n in range(start, min(start + _PORTION, incidents))]
        said = {"facet": "category", "labels": ("infrastructure",), "annotator": "ada", "is_gold": True}
        await store.record(
            [Annotation.model_validate(said | {"incident_id": key}) for key in keys],
            imported={key: Incident(id=key, title=_WORDS, write_up=write_up) for key in keys},
            taxonomy="t",
            fingerprint="bench",
            vectors={key: random.normal(size=384).astype(np.float32) for key in keys},
        )
        for key in keys[::10]:
            facets = {"category": FacetResult(facet="category", labels=("infrastructure",), rationale=_WORDS)}
            provenance = Provenance(taxonomy="t", taxonomy_version="1.0.0")
            await store.triages.save(key, Triage(incident_id=key, facets=facets, provenance=provenance))
    await store.close()


async def _measure(source: str, target: str, incidents: int, characters: int, folder: Path) -> None:
    await upgrade(source)
    await _fill(source, incidents, characters)
    for revision in ("0002", "0001"):
        await downgrade(source, revision)
        started = time.perf_counter()
        await upgrade(source)
        print(f"upgrade from {revision}: {time.perf_counter() - started:.2f} s")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    await write_backup(source, folder / "backup.zip")
    print(f"backup: {time.perf_counter() - started:.1f} s, {(folder / 'backup.zip').stat().st_size / 1e6:.1f} MB")
    started = time.perf_counter()
    await restore_backup(target, folder / "backup.zip")
    print(f"restore: {time.perf_counter() - started:.1f} s")
    print(f"memory: {(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024:.0f} MB more at most")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--incidents", type=int, default=500)
    parser.add_argument("--characters", type=int, default=2_000, help="length of each write-up")
    parser.add_argument("--source", help="an empty database; SQLite in a temporary folder if none is given")
    parser.add_argument("--target", help="another empty database to restore into")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source, target = (
            given or f"sqlite:///{folder / f'{which}.db'}"
            for which, given in (("source", options.source), ("target", options.target))
        )
        asyncio.run(_measure(source, target, options.incidents, options.characters, folder))


if __name__ == "__main__":
    main()
