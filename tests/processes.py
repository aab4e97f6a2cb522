"""Commands and functions in processes of their own, forked from one in which everything is imported already.

Loading the modules takes a core two or three seconds, ten times what most commands do. The installed command itself is
started where it matters how it starts: in `test_serving.py`, `test_secrets.py`, `test_interrupt.py` and
`test_commands.py`.
"""

from __future__ import annotations

import asyncio
import atexit
import inspect
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

_FORKING = multiprocessing.get_context("forkserver")
_FORKING.set_forkserver_preload(["tests.preloaded"])
_STREAMS = (("stdin", os.O_RDONLY), ("stdout", os.O_WRONLY | os.O_APPEND), ("stderr", os.O_WRONLY | os.O_APPEND))


class Forked:
    """A process that calls a function. It has what the tests use of `subprocess.Popen`; its streams are files."""

    def __init__(
        self,
        function: Callable[..., Any],
        *arguments: Any,
        environment: Mapping[str, str] = os.environ,
        folder: Path | None = None,
        stdin: bytes = b"",
        stdout: Path | None = None,
        stderr: Path | None = None,
    ) -> None:
        """Call `function` in `folder`. What it writes is appended to `stdout` and `stderr`, if they are given."""
        streams = Path(tempfile.mkdtemp())
        weakref.finalize(self, shutil.rmtree, streams, ignore_errors=True)
        self._paths = {"stdin": streams / "stdin", "stdout": stdout, "stderr": stderr}
        self._paths = {name: path or streams / name for name, path in self._paths.items()}
        (streams / "stdin").write_bytes(stdin)
        for path in self._paths.values():
            path.touch()
        place = folder or Path.cwd()
        self._process = _FORKING.Process(
            target=_be, args=(function, arguments, dict(environment), place, self._paths), daemon=True
        )
        self._process.start()

    @property
    def pid(self) -> int:
        return self._process.pid or 0

    @property
    def returncode(self) -> int | None:
        """The exit code, -N if signal N ended it, None while it runs."""
        return self._process.exitcode

    def poll(self) -> int | None:
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit code. Raises `subprocess.TimeoutExpired` if it runs longer."""
        self._process.join(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0)
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Wait, and return what it wrote to standard output and standard error."""
        self.wait(timeout)
        return self.text("stdout"), self.text("stderr")

    def text(self, stream: str) -> str:
        """What it has written so far."""
        return self._paths[stream].read_bytes().decode()

    def await_line(self, timeout: float = 60) -> str:
        """The first line of its standard output."""
        deadline = time.monotonic() + timeout
        while "\n" not in (written := self.text("stdout")):
            assert self.returncode is None, self.text("stderr")
            assert time.monotonic() < deadline, f"no line in {timeout} s"
            time.sleep(0.05)
        return written.splitlines()[0]

    def send_signal(self, number: int) -> None:
        if self.returncode is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def start_triage(arguments: Sequence[str], **options: Any) -> Forked:
    """Start `triage` with these arguments; the options are those of `Forked`."""
    return Forked(_be_triage, list(arguments), **options)


def run_triage(
    arguments: Sequence[str], stdin: bytes, environment: Mapping[str, str], folder: Path, timeout_s: float = 240
) -> subprocess.CompletedProcess[str]:
    """Run `triage` with these arguments in `folder`. Raises `subprocess.TimeoutExpired` if it takes longer."""
    process = start_triage(arguments, environment=environment, folder=folder, stdin=stdin)
    try:
        stdout, stderr = process.communicate(timeout_s)
    finally:
        process.kill()
    return subprocess.CompletedProcess(["triage", *arguments], process.returncode or 0, stdout, stderr)


def _be(
    function: Callable[..., Any],
    arguments: Sequence[Any],
    environment: dict[str, str],
    folder: Path,
    paths: dict[str, Path],
) -> None:
    """From here on the process has nothing of the tests around it."""
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    for number, (name, flags) in enumerate(_STREAMS):
        os.dup2(os.open(paths[name], flags), number)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False)  # noqa: SIM115
    try:
        made = function(*arguments)
        if inspect.iscoroutine(made):
            asyncio.run(made)
    finally:
        # A process that was forked ends without them.
        atexit._run_exitfuncs()


def _be_triage(arguments: list[str]) -> None:
    sys.argv = [str(Path(sys.executable).with_name("triage")), *arguments]
    from triage.cli import main

    main()
