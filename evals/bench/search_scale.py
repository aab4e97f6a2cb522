"""How the search in the history's index grows with it: `python evals/bench/search_scale.py --sizes 10000 100000`.

The vectors resemble real ones: each is a mixture of two shipped incidents' embeddings (weights from a Beta(2, 1)) with
a little normal noise (`--noise`, its length relative to the vector's), brought to length 1; queries are made the same
way. So they lie in the same narrow cone and as unevenly as write-ups do, which uniform noise would not. A tenth of the
incidents is of team `small`, a tenth `shared`, the rest `large`; the search by team is that of `small` and `shared`.
Recall is against the exact neighbours, computed in portions. A size's result is kept in a file,
and not measured again.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from triage.domain.incident import Incident
from triage.evaluation.datasets import shipped_history
from triage.history.chroma import ChromaHistory
from triage.history.texts import IncidentText
from triage.models.embedding import Vectors
from triage.models.embedding.onnx import MiniLM

_BATCH = 5_000
_K = 10
_TEAMS = ("small", "shared", *["large"] * 8)


class NoTexts:
    """The same short text for every incident: what is measured is the index."""

    async def texts(self, incident_ids: Any) -> dict[str, IncidentText]:
        return {key: IncidentText("", f"Incident {key}.") for key in incident_ids}

    async def change(self) -> int:
        return 0


def mixtures(real: Vectors, count: int, noise: float, seed: int) -> Iterator[Vectors]:
    """`count` vectors in portions, the same ones for the same seed."""
    random = np.random.default_rng(seed)
    for start in range(0, count, _BATCH):
        n = min(_BATCH, count - start)
        one, other = real[random.integers(len(real), size=n)], real[random.integers(len(real), size=n)]
        share = random.beta(2, 1, size=(n, 1))
        scatter = random.normal(size=one.shape)
        scatter *= noise / np.linalg.norm(scatter, axis=1, keepdims=True)
        mixed = share * one + (1 - share) * other
        mixed = mixed / np.linalg.norm(mixed, axis=1, keepdims=True) + scatter
        yield (mixed / np.linalg.norm(mixed, axis=1, keepdims=True)).astype(np.float32)


async def measure(size: int, options: argparse.Namespace, real: Vectors) -> dict[str, Any]:
    """Build an index of that size, search it, and say what both took."""
    folder = options.folder / f"index-{size}"
    name = f"bench-{size}-{int(time.time())}"
    history = ChromaHistory.connect(options.server, name) if options.server else ChromaHistory.open(folder, name)
    history.read_from(NoTexts())
    began = time.perf_counter()
    place = 0
    for portion in mixtures(real, size, options.noise, seed=1):
        incidents = [Incident(id=f"i{place + n}", write_up="x") for n in range(len(portion))]
        teams = [_TEAMS[(place + n) % len(_TEAMS)] for n in range(len(portion))]
        await history.remember([(incident, {"category": ("x",)}) for incident in incidents], portion, teams)
        place += len(portion)
    built_s = time.perf_counter() - began
    queries = np.concatenate(list(mixtures(real, options.queries, options.noise, seed=2)))
    result: dict[str, Any] = {"size": size, "where": "server" if options.server else "in process", "build_s": built_s}
    for label, teams in (("all", None), ("team", {"small", "shared"})):
        exact = exact_neighbours(real, size, options.noise, queries, teams)
        took, hits = [], 0
        for query, wanted in zip(queries, exact, strict=True):
            began = time.perf_counter()
            rows, _ = await history._run(history._query, query, _K, set(), teams)  # noqa: SLF001
            took.append((time.perf_counter() - began) * 1000)
            hits += len({row.incident_id for row in rows[:_K]} & wanted)
        result |= {
            f"{label}_p50_ms": float(np.percentile(took, 50)),
            f"{label}_p99_ms": float(np.percentile(took, 99)),
            f"{label}_recall@{_K}": hits / (_K * len(queries)),
        }
    result["memory_mb"] = _memory_mb()
    history.close()
    if not options.server:
        result["disk_mb"] = sum(f.stat().st_size for f in folder.rglob("*") if f.is_file()) / 1e6
    return result


def exact_neighbours(
    real: Vectors, size: int, noise: float, queries: Vectors, teams: set[str] | None
) -> list[set[str]]:
    """The ids of the exact nearest ones of each query, by comparison with every vector of these teams."""
    best = np.full((len(queries), _K), -np.inf, dtype=np.float32)
    ids = np.zeros((len(queries), _K), dtype=np.int64)
    place = 0
    for portion in mixtures(real, size, noise, seed=1):
        mine = place + np.arange(len(portion))
        alike = queries @ portion.T
        if teams is not None:
            alike[:, [_TEAMS[n % len(_TEAMS)] not in teams for n in mine]] = -np.inf
        every = np.concatenate([best, alike], axis=1)
        named = np.concatenate([ids, np.broadcast_to(mine, alike.shape)], axis=1)
        first = np.argpartition(-every, _K, axis=1)[:, :_K]
        best, ids = np.take_along_axis(every, first, axis=1), np.take_along_axis(named, first, axis=1)
        place += len(portion)
    return [{f"i{n}" for n in row} for row in ids]


def _memory_mb() -> float:
    """What this process holds in memory now; that of a server is not in it."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 1e6


def table(results: list[dict[str, Any]]) -> str:
    """The results as Markdown."""
    columns = list(dict.fromkeys(name for result in results for name in result))
    lines = ["| " + " | ".join(columns) + " |", "| " + " | ".join("---" for _ in columns) + " |"]
    for result in results:
        cells = [f"{v:.3g}" if isinstance(v := result.get(name, ""), float) else str(v) for name in columns]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


async def main() -> None:
    """Measure each size that has no result yet, and print all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--folder", type=Path, default=Path("search-scale"), help="for the indexes and the results")
    parser.add_argument("--server", help="the URL of a Chroma server; without it the index is in process")
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--noise", type=float, default=0.3)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    real, results = None, []
    for size in options.sizes:
        kept = options.folder / f"{'server' if options.server else 'process'}-{size}.json"
        if not kept.exists():
            if real is None:
                real = await MiniLM().embed([incident.text for incident, _ in shipped_history()])
            kept.write_text(json.dumps(await measure(size, options, real), indent=2))
        results.append(json.loads(kept.read_text()))
        print(json.dumps(results[-1]), flush=True)
    print(table(results))


if __name__ == "__main__":
    asyncio.run(main())
