"""The command line in a process of its own for each call, forked from one in which its modules are loaded already.

Loading them takes a core a second or two, ten times what most commands do. The installed command itself is started
where it matters how it starts: in `test_serving.py`, `test_interrupt.py`, `test_import.py` and some of
`test_commands.py`.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

_FORKING = multiprocessing.get_context("forkserver")
_FORKING.set_forkserver_preload(
    [
        *(
            "triage.cli",
            "triage.app.wiring.components",
            "triage.labels.preview",
            "triage.server.notifications",
            "triage.evaluation.runner",
        ),
        *("alembic.command", "chromadb", "matplotlib.figure", "openai", "sklearn.feature_extraction.text"),
        *("sklearn.linear_model", "sqlalchemy.dialects.sqlite.aiosqlite"),
    ]
)
_STREAMS = (("stdin", os.O_RDONLY), ("stdout", os.O_WRONLY), ("stderr", os.O_WRONLY))


def run_triage(
    arguments: Sequence[str], stdin: bytes, environment: Mapping[str, str], folder: Path, timeout_s: float = 240
) -> subprocess.CompletedProcess[str]:
    """Run `triage` with these arguments in `folder`. Raises `TimeoutError` if it takes longer."""
    with tempfile.TemporaryDirectory() as streams:
        paths = {name: Path(streams, name) for name, _ in _STREAMS}
        for path in paths.values():
            path.write_bytes(stdin if path.name == "stdin" else b"")
        process = _FORKING.Process(target=_be_triage, args=(list(arguments), dict(environment), folder, paths))
        process.start()
        process.join(timeout_s)
        if process.is_alive():
            process.kill()
            raise TimeoutError(f"triage {' '.join(arguments)} takes more than {timeout_s:g} s")
        said = [paths[name].read_bytes().decode() for name in ("stdout", "stderr")]
        return subprocess.CompletedProcess(["triage", *arguments], process.exitcode or 0, *said)


def _be_triage(arguments: list[str], environment: dict[str, str], folder: Path, paths: dict[str, Path]) -> None:
    """From here on the process is one of the command, with nothing of the tests around it."""
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    for number, (name, flags) in enumerate(_STREAMS):
        os.dup2(os.open(paths[name], flags), number)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False)  # noqa: SIM115
    sys.argv = [str(Path(sys.executable).with_name("triage")), *arguments]
    from triage.cli import main

    try:
        main()
    finally:
        # A process that was forked ends without them.
        atexit._run_exitfuncs()
