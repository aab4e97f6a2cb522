"""How fast suites run, against a fake endpoint and beside bare loops over the `openai` client on the same requests.

    python -m evals.bench.runner speed --repeats 5
    python -m evals.bench.runner trouble --repeats 5
    python -m evals.bench.runner kill
    python -m evals.bench.runner limited --per-second 100
    python -m evals.bench.runner pipeline --cases 100

`speed`: 1,000 cases at 200 ms. The ideal is cases / concurrency x latency; time counts from the first request to the
last answer, as the endpoint saw them. CPU is that of the client process for a whole run: prompts, redaction, requests,
decision, cache and journal; the bare loop only sends requests that were built beforehand. `trouble`: the same with 5%
429 (Retry-After: 1) and 2% 500, beside a loop that sleeps in its slot. `kill`: a run killed ten times, compared with an
undisturbed one. `limited`: an endpoint that refuses what is above a rate. `pipeline`: CPU of the whole pipeline.

Runs take turns, so that what else the machine does hits all alike; medians are told. Where processes had to wait for a
core, the share of the time that they waited is told too.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import yaml

from triage.domain.taxonomy import Taxonomy
from triage.evaluation.datasets import load_dataset

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "evals/datasets/llm_incidents/incidents.jsonl"
FACETS = ("category", "failure_mode", "mitigation", "detection")


def make_suite(folder: Path, cases: int, subject: str = "model") -> Path:
    """A suite of so many cases in `folder`: the shipped incidents, over and over, each case with its number."""
    rows = [json.loads(line) for line in SHIPPED.read_text(encoding="utf-8").splitlines()]
    numbered = []
    for n in range(cases):
        row = rows[n % len(rows)]
        numbered.append(row | {"id": f"case-{n}", "title": f"[case {n}] {row['title']}"})
    (folder / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in numbered), encoding="utf-8")
    suite = {
        "name": "speed",
        "description": "Cases to measure the runner with",
        "taxonomy": "llm_inference",
        "adapter": "llm_incidents",
        "data": "data.jsonl",
        "facets": list(FACETS),
        "subject": subject,
        "history": "none" if subject == "model" else "leave_one_out",
    }
    (folder / "suite.yaml").write_text(yaml.safe_dump(suite), encoding="utf-8")
    return folder / "suite.yaml"


def make_answers(folder: Path) -> Path:
    """What the endpoint says of each shipped incident: its labels, and a passage of it."""
    taxonomy = Taxonomy.load("llm_inference")
    answers = []
    for case in load_dataset("llm_incidents", SHIPPED, taxonomy).cases:
        quote = case.incident.write_up.split(". ")[0]
        said: dict[str, Any] = {"rationale": "The write-up says so."}
        for facet in taxonomy.triaged:
            labels = case.gold.get(facet.id) or (facet.ids[0],)
            said[facet.id] = {"labels": labels, "certainty": 80, "runner_up": facet.ids[-1], "quotes": [quote]}
        answers.append(json.dumps(said))
    (folder / "answers.json").write_text(json.dumps(answers))
    return folder / "answers.json"


@contextlib.contextmanager
def endpoint(answers: Path, *options: str) -> Iterator[str]:
    """The base URL of a fake endpoint in a process of its own."""
    command = [sys.executable, "-m", "evals.bench.fake_endpoint", "--answers", str(answers), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.kill()


def asked(url: str, path: str) -> dict[str, Any]:
    with urllib.request.urlopen(url.replace("/v1", path), timeout=20) as response:
        found: dict[str, Any] = json.load(response)
    return found


def await_quiet(within_s: float) -> None:
    """Wait until the rest of the machine leaves a core and a half idle for a second, so long at most."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        before = _idle_s()
        time.sleep(1)
        if _idle_s() - before > 1.5:
            return


def _idle_s() -> float:
    """Seconds that all cores were idle together, as Linux counts them."""
    fields = Path("/proc/stat").read_text().splitlines()[0].split()
    return (int(fields[4]) + int(fields[5])) / os.sysconf("SC_CLK_TCK")


def measured(kind: str, url: str, suite: Path, concurrency: int) -> dict[str, float]:
    """One run of `kind` in a process of its own: what it says of itself, and what the endpoint saw."""
    asked(url, "/reset")
    with tempfile.TemporaryDirectory() as out:
        arguments = ["--suite", str(suite), "--url", url, "--concurrency", str(concurrency), "--out", out]
        command = [sys.executable, "-m", "evals.bench.runner_child", kind, *arguments]
        told = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, cwd=ROOT).stdout)
    seen = asked(url, "/stats")
    answered = sum(1 for times in seen["answered"].values() if times)
    return told | {
        "seconds": seen["seconds"],
        "answered": answered,
        "requests": seen["requests"],
        "most_at_once": seen["most_at_once"],
        "server_cpu_s": seen["cpu_s"],
    }


def compare(
    kinds: Sequence[str], url: str, suite: Path, cases: int, concurrency: int, repeats: int, quiet_s: float
) -> None:
    """Runs of each kind in turn, and a table of their medians."""
    runs: dict[str, list[dict[str, float]]] = {kind: [] for kind in kinds}
    for _ in range(repeats):
        for kind in kinds:
            await_quiet(quiet_s)
            runs[kind].append(measured(kind, url, suite, concurrency))
    ideal_s = cases / concurrency * 0.2
    print(f"\n{cases} cases, concurrency {concurrency}, 200 ms: ideal {ideal_s:.2f} s, medians of {repeats}\n")
    print("| | seconds (all) | ideal / seconds | CPU ms a case | waited for a core | requests | lost | at once |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for kind, found in runs.items():
        seconds = median(run["seconds"] for run in found)
        spread = " ".join(f"{run['seconds']:.2f}" for run in found)
        cpu = median(run["cpu_s"] for run in found) / cases * 1000
        waited = median(run["waited_s"] / run["wall_s"] for run in found)
        lost = max(cases - run["finished"] for run in found)
        most = max(run["most_at_once"] for run in found)
        requests = median(run["requests"] for run in found)
        print(
            f"| {kind} | {seconds:.2f} ({spread}) | {ideal_s / seconds:.3f} | {cpu:.3f} | {waited:.0%} | {requests:.0f}"
            f" | {lost:.0f} | {most:.0f} |"
        )
    first, *others = kinds
    for other in others:
        pairs = list(zip(runs[first], runs[other], strict=True))
        cpu = median(a["cpu_s"] / b["cpu_s"] for a, b in pairs)
        seconds = median(a["seconds"] / b["seconds"] for a, b in pairs)
        print(f"\n{first} against {other}, median of the ratios: CPU {cpu:.3f}, time {seconds:.3f}")


def kill(folder: Path, cases: int, kills: int, seed: int) -> None:
    """Kill a run at random points, let it end, and compare it with an undisturbed one."""
    suite, answers, rng = make_suite(folder, cases), make_answers(folder), random.Random(seed)
    with endpoint(answers) as url:
        _command(suite, url, folder / "whole").wait()
        points = sorted(rng.sample(range(1, cases), kills))
        asked(url, "/reset")
        killed_at, in_flight = [], 0
        for point in points:
            process = _command(suite, url, folder / "killed")
            while len(asked(url, "/stats")["answered"]) < point and process.poll() is None:
                time.sleep(0.01)
            time.sleep(rng.uniform(0, 0.2))
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
                killed_at.append(time.time())
            process.wait()
            time.sleep(0.3)
        _command(suite, url, folder / "killed").wait()
        seen = asked(url, "/stats")
    whole, killed = (_results(folder / name) for name in ("whole", "killed"))
    twice = {case: times for case, times in seen["answered"].items() if len(times) > 1}
    before = [min((k - t for k in killed_at for t in times[:-1] if k >= t), default=-1) for times in twice.values()]
    in_flight = seen["requests"] - sum(map(len, seen["answered"].values()))
    print(f"{len(killed_at)} kills in a run of {cases} cases at concurrency 50, when so many were answered: {points}")
    print(f"Same results as the undisturbed run: {whole == killed} ({len(killed)} cases)")
    print(f"Requests {seen['requests']}: {in_flight} were in flight at a kill and never answered")
    print(f"Answered twice: {len(twice)}, their first answer {[round(s * 1000, 1) for s in before]} ms before a kill")


def _command(suite: Path, url: str, out: Path) -> subprocess.Popen[bytes]:
    settings = {"TRIAGE_MODEL": "fake", "TRIAGE_BASE_URL": url, "OPENAI_API_KEY": "a-key-for-nobody"}
    program = str(Path(sys.executable).with_name("triage"))
    command = [program, "eval", "run", str(suite), "--out", str(out), "--concurrency", "50"]
    quiet = subprocess.DEVNULL
    return subprocess.Popen(command, env=os.environ | settings, cwd=ROOT, stdout=quiet, stderr=quiet)


def _results(out: Path) -> list[dict[str, Any]]:
    """The records of a run without what time and the cache change."""
    [journal] = out.glob("speed-*/cases.jsonl")
    records = [json.loads(line) for line in journal.read_text().splitlines()]
    for record in records:
        del record["seconds"], record["provenance"]
    return records


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["speed", "trouble", "kill", "limited", "pipeline"])
    parser.add_argument("--cases", type=int, default=1_000)
    parser.add_argument("--concurrency", type=int, nargs="+", default=[50, 200])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--per-second", type=int, default=100)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--quiet", type=float, default=0.0, help="wait so many seconds for a quiet machine at most")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if options.what == "kill":
            kill(folder, options.cases, options.kills, options.seed)
            return
        trouble: dict[str, list[str]] = {
            "trouble": ["--too-many", "0.05", "--failing", "0.02"],
            "limited": ["--per-second", str(options.per_second)],
        }
        kinds = {"speed": ["suite", "loop", "lean"], "pipeline": ["suite"]}.get(options.what, ["suite", "sleeping"])
        suite = make_suite(folder, options.cases, "pipeline" if options.what == "pipeline" else "model")
        seeded = ["--seed", str(options.seed)]
        with endpoint(make_answers(folder), *trouble.get(options.what, []), *seeded) as url:
            for concurrency in options.concurrency:
                compare(kinds, url, suite, options.cases, concurrency, options.repeats, options.quiet)


if __name__ == "__main__":
    main()
