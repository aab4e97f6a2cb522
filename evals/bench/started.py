"""A service started for a measurement: API processes and workers over one database, and a fake model behind them."""

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

_READY_WITHIN_S = 180.0
_STOP_WITHIN_S = 20.0


class Started(NamedTuple):
    """Where it answers, and its processes."""

    urls: list[str]
    pids: list[int]


@contextlib.contextmanager
def started(options: argparse.Namespace, folder: Path) -> Iterator[Started]:
    """`--apis` times `triage serve` and `--workers` times `triage worker`; everything is ended afterwards.

    With one API and no worker the API does the work itself and SQLite is enough; more need `--database-url`.
    """
    with (
        endpoint(make_answers(folder), "--latency", str(options.delay_ms / 1000)) as model,
        contextlib.ExitStack() as stack,
    ):
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("TRIAGE_", "OPENAI_", "OTEL_"))
        }
        environment = kept | {
            "TRIAGE_DATA_DIR": str(folder / "data"),
            "TRIAGE_MODEL": "fake",
            "TRIAGE_BASE_URL": model,
            "TRIAGE_EMBEDDING_MODEL": options.embedder,
            "OPENAI_API_KEY": "a-key-for-nobody",
            "TRIAGE_LOG_FORMAT": "json",
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
            **({"TRIAGE_DATABASE_URL": options.database_url} if options.database_url else {}),
            **({"TRIAGE_CHROMA_URL": options.chroma_url} if options.chroma_url else {}),
            **({"TRIAGE_SERVE_WORKS": "false"} if options.workers else {}),
            **dict(pair.split("=", 1) for pair in options.setting),
        }
        ports = [_free_port() for _ in range(options.apis)]
        urls = [f"http://127.0.0.1:{port}" for port in ports]
        pids = []
        for n, port in enumerate(ports):
            pids.append(
                stack.enter_context(_process(["serve", "--port", str(port)], environment, folder / f"api-{n}.log"))
            )
            # The first one brings the database and the history in place.
            _await_ready(urls[n], folder / f"api-{n}.log")
        pids += [
            stack.enter_context(_process(["worker"], environment, folder / f"worker-{n}.log"))
            for n in range(options.workers)
        ]
        yield Started(urls, pids)


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
