"""What encryption at rest costs per incident: `python -m evals.bench.sealing --help`."""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from pathlib import Path

from triage.domain.incident import Incident
from triage.domain.triage_result import Evidence, FacetResult, Provenance, Triage
from triage.store import Store, upgrade
from triage.store.encryption import Cipher, new_key

_WORDS = "The node lost its network and requests queued up until the scheduler was restarted. "


async def _measure(cipher: Cipher, incidents: int, characters: int, url: str | None) -> tuple[float, float, float]:
    """Microseconds per incident: stored, its triage stored, and both read again."""
    write_up = (_WORDS * (characters // len(_WORDS) + 1))[:characters]
    evidence = tuple(found for found in [Evidence.locate("lost its network", write_up)] if found)
    facets = {
        f"facet_{n}": FacetResult(facet=f"facet_{n}", labels=("label",), evidence=evidence, rationale=_WORDS)
        for n in range(6)
    }
    with tempfile.TemporaryDirectory() as folder:
        url = url or f"sqlite:///{Path(folder) / 'triage.db'}"
        await upgrade(url)
        store = Store(url, cipher)
        took = []
        keys = [f"{time.time_ns()}-{n}" for n in range(incidents)]
        for work in ("incident", "triage", "read"):
            started = time.perf_counter()
            for key in keys:
                if work == "incident":
                    await store.incidents.add(Incident(id=key, title=_WORDS, write_up=write_up), "t")
                elif work == "triage":
                    provenance = Provenance(taxonomy="t", taxonomy_version="1.0.0")
                    await store.triages.save(key, Triage(incident_id=key, facets=facets, provenance=provenance))
                else:
                    await store.incidents.get(key)
                    await store.triages.find_document(key)
            took.append((time.perf_counter() - started) / incidents * 1e6)
        await store.close()
    return took[0], took[1], took[2]


def _alone(cipher: Cipher, characters: int, times: int = 2_000) -> tuple[float, float]:
    text = (_WORDS * (characters // len(_WORDS) + 1))[:characters]
    started = time.perf_counter()
    kept = [cipher.encrypt(text) for _ in range(times)]
    middle = time.perf_counter()
    for one in kept:
        cipher.decrypt(one)
    return (middle - started) / times * 1e6, (time.perf_counter() - middle) / times * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--incidents", type=int, default=200)
    parser.add_argument("--characters", type=int, default=2_000, help="length of each write-up")
    parser.add_argument("--url", help="a database to fill instead of SQLite in a temporary folder")
    options = parser.parse_args()
    sealing = Cipher([new_key()])
    for characters in (100, options.characters, 5 * options.characters):
        seal, opened = _alone(sealing, characters)
        print(f"one text of {characters} characters: sealed in {seal:.0f} us, opened in {opened:.0f} us")
    for name, cipher in (("plain", Cipher()), ("sealed", sealing)):
        took = asyncio.run(_measure(cipher, options.incidents, options.characters, options.url))
        print(
            f"{name:>6}: incident stored {took[0]:.0f} us, triage stored {took[1]:.0f} us, both read {took[2]:.0f} us"
        )


if __name__ == "__main__":
    main()
