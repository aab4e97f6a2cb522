"""Pages of the manual that show what commands print; `python tests/cli/manual.py FILE...` brings them up to date.

A block begins with ```console and `$ triage ...`; paths that begin with tests/ are those of this repository.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
_BLOCK = re.compile(r"(```console\n\$ triage )(.*?)\n(.*?)(```)", re.DOTALL)


def blocks(page: str) -> Iterator[tuple[list[str], list[str]]]:
    """Each command's words, paths made absolute, and the lines that the page shows for it."""
    for _, command, shown, _ in _BLOCK.findall(page):
        yield words_of(command), shown.splitlines()


def words_of(command: str) -> list[str]:
    """The command's words with absolute paths."""
    return [str(ROOT / word) if word.startswith("tests/") else word for word in shlex.split(command)]


def refreshed(page: str) -> str:
    """The page with what the commands print now."""

    def run(match: re.Match[str]) -> str:
        environment = os.environ | {"NO_COLOR": "1", "TRIAGE_MODEL": "none"}
        command = [str(Path(sys.executable).with_name("triage")), *words_of(match[2])]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
        lines = "".join(f"{line.rstrip()}\n" for line in done.stdout.splitlines())
        return f"{match[1]}{match[2]}\n{lines}{match[4]}"

    return _BLOCK.sub(run, page)


if __name__ == "__main__":
    for name in sys.argv[1:]:
        path = Path(name)
        path.write_text(refreshed(path.read_text(encoding="utf-8")), encoding="utf-8")
