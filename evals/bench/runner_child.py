"""One run for `evals.bench.runner`, in a process of its own, so that its CPU is its own. Prints JSON.

`suite` is triage's own runner; `loop` asks for the same through `chat.completions.create` under a semaphore, and
`sleeping` tries again what failed, asleep in its slot; `lean` is `loop` through the client's `post`, as triage's own
adapter asks.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import time
from pathlib import Path
from typing import Any

import openai

from triage.app.settings import Settings
from triage.app.wiring.models import provider_gate
from triage.app.wiring.suites import open_subject
from triage.cli.eval.run import showing_pace
from triage.cli.terminal import watching
from triage.domain.errors import ModelUnavailable
from triage.domain.taxonomy import Taxonomy
from triage.evaluation.run_progress import RunProgress
from triage.evaluation.runner import run_suite
from triage.evaluation.subjects import ModelUnderTest
from triage.evaluation.suites import Suite
from triage.models.chat import Reply, Request
from triage.models.chat.dialect import Dialect
from triage.pipeline.classification.structured import StructuredClassifier
from triage.redaction import Redactor

KEY = "a-key-for-nobody"


class Recorder:
    """A chat model that takes requests down and answers none."""

    name = "fake"

    def __init__(self) -> None:
        self.requests: list[Request] = []

    async def complete(self, request: Request) -> Reply:
        self.requests.append(request)
        raise ModelUnavailable("only taken down")


async def run_as_suite(path: Path, url: str, concurrency: int, out: Path) -> tuple[float, int]:
    """The CPU seconds that the run took, and how many cases are done."""
    settings = Settings(model="fake", base_url=url, api_key=KEY)  # type: ignore[arg-type]
    suite = Suite.load(path).model_copy(update={"concurrency": concurrency})
    taxonomy = Taxonomy.load(suite.taxonomy)
    data = suite.load_data(taxonomy)
    gate = provider_gate(settings, concurrency)
    pace = RunProgress(gate, None)
    with watching() as watch:
        async with open_subject(settings, suite, taxonomy, gate=gate, cache=out / "cache") as (subject, decisive):
            started = time.process_time()
            with showing_pace(pace, watch) as progress:
                run = await run_suite(
                    suite,
                    data,
                    taxonomy,
                    subject,
                    out / "run",
                    settings=decisive,
                    progress=progress,
                    finished=pace.finish,
                    gate=gate,
                )
        cpu_s = time.process_time() - started
    return cpu_s, sum(record.status == "done" and not record.degraded for record in run.records)


async def run_as_loop(kind: str, path: Path, url: str, concurrency: int) -> tuple[float, int]:
    """As `run_as_suite`, for a bare loop over the same requests, built beforehand."""
    bodies = await requests_of(path)
    client = openai.AsyncOpenAI(api_key=KEY, base_url=url, max_retries=0, http_client=openai.DefaultAioHttpClient())
    semaphore = asyncio.Semaphore(concurrency)

    async def create(body: dict[str, Any]) -> Any:
        completion = await client.chat.completions.create(**body, timeout=60)
        return json.loads(completion.choices[0].message.content or "")

    async def post(body: dict[str, Any]) -> Any:
        answer = await client.post("/chat/completions", cast_to=bytes, body=body, options={"timeout": 60})
        return json.loads(json.loads(answer)["choices"][0]["message"]["content"])

    async def ask(body: dict[str, Any]) -> Any:
        async with semaphore:
            for tries in range(6):
                try:
                    return await (post(body) if kind == "lean" else create(body))
                except openai.APIStatusError as error:
                    if kind != "sleeping":
                        raise
                    asked = float(error.response.headers.get("retry-after", 0))
                    ceiling = min(0.5 * 2**tries, 10.0)
                    await asyncio.sleep(
                        asked + random.uniform(0, 0.1 * asked) if asked else random.uniform(ceiling / 2, ceiling)
                    )
            return None

    started = time.process_time()
    answers = await asyncio.gather(*(ask(body) for body in bodies))
    cpu_s = time.process_time() - started
    await client.close()
    return cpu_s, sum(answer is not None for answer in answers)


async def requests_of(path: Path) -> list[dict[str, Any]]:
    """What the suite asks, as keyword arguments of `chat.completions.create`."""
    suite = Suite.load(path)
    taxonomy = Taxonomy.load(suite.taxonomy)
    recorder = Recorder()
    subject = ModelUnderTest(suite.narrow(taxonomy), Redactor(), StructuredClassifier(recorder), "fake", 24_000)
    for case in suite.load_data(taxonomy).cases:
        try:
            await subject.run(case.incident)
        except ModelUnavailable:
            continue
    return [{"model": "fake", **Dialect().arguments(request)} for request in recorder.requests]


def waited_s() -> float:
    """How long the threads of this process were ready to run and had no core; 0 where the system doesn't tell."""
    try:
        tasks = list(Path("/proc/self/task").glob("*/schedstat"))
        return sum(int(task.read_text().split()[1]) for task in tasks) / 1e9
    except OSError:
        return 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=["suite", "loop", "sleeping", "lean"])
    parser.add_argument("--suite", type=Path, required=True)
    parser.add_argument("--url", required=True)
    parser.add_argument("--concurrency", type=int, required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    waited, started = waited_s(), time.perf_counter()
    if options.kind == "suite":
        run = run_as_suite(options.suite, options.url, options.concurrency, options.out)
    else:
        run = run_as_loop(options.kind, options.suite, options.url, options.concurrency)
    cpu_s, finished = asyncio.run(run)
    told = {"cpu_s": cpu_s, "finished": finished, "wall_s": time.perf_counter() - started}
    print(json.dumps(told | {"waited_s": waited_s() - waited}))


if __name__ == "__main__":
    main()
