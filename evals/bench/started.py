"""A service started for a measurement, in one process or in many, and a fake model behind it."""

from __future__ import annotations

import argparse
import contextlib
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from evals.bench.runner import ROOT, endpoint, make_answers
from evals.bench.topology import Topology

_READY_WITHIN_S = 180.0
_STOP_WITHIN_S = 20.0


class Started(NamedTuple):
    """Where it answers, its processes, and by name those that it needs beside them."""

    urls: list[str]
    pids: list[int]
    needed: dict[str, int]


@contextlib.contextmanager
def started(options: argparse.Namespace, folder: Path) -> Iterator[Started]:
    """One `triage serve` that does the work itself, on SQLite; with `--workers` a `Topology`. It ends afterwards."""
    with endpoint(make_answers(folder), "--latency", str(options.delay_ms / 1000)) as model:
        settings = {
            "TRIAGE_MODEL": "fake",
            "TRIAGE_BASE_URL": model,
            "TRIAGE_EMBEDDING_MODEL": options.embedder,
            "OPENAI_API_KEY": "a-key-for-nobody",
            "TRIAGE_LOG_FORMAT": "json",
            **dict(pair.split("=", 1) for pair in options.setting),
        }
        if options.workers:
            with Topology(folder, apis=options.apis, workers=options.workers, settings=settings) as parts:
                pids = {name: parts.pid(name) for name in parts.names}
                needed = {name: pids.pop(name) for name in ("postgres", "chroma")}
                yield Started(parts.api_urls, list(pids.values()), needed)
        else:
            port, log = _free_port(), folder / "api.log"
            with _process(["serve", "--port", str(port)], _environment(folder) | settings, log) as pid:
                url = f"http://127.0.0.1:{port}"
                _await_ready(url, log)
                yield Started([url], [pid], {})


def _environment(folder: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TRIAGE_", "OPENAI_", "OTEL_"))}
    return kept | {"TRIAGE_DATA_DIR": str(folder / "data"), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


@contextlib.contextmanager
def _process(arguments: list[str], environment: dict[str, str], log: Path) -> Iterator[int]:
    with log.open("wb") as file:
        process = subprocess.Popen(
            [str(Path(sys.executable).with_name("triage")), *arguments],
            env=environment | {"PYTHONPATH": str(ROOT)},
            stdout=file,
            stderr=file,
            cwd=log.parent,
        )
    try:
        yield process.pid
    finally:
        process.terminate()
        try:
            process.wait(_STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _await_ready(url: str, log: Path) -> None:
    deadline = time.monotonic() + _READY_WITHIN_S
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{url}/healthz", timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise SystemExit(f"The service did not come up; its log:\n{log.read_text()[-4000:]}")


def _free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port: int = s.getsockname()[1]
        return port
