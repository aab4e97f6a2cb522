"""How long `triage import` takes for a large history, and how it goes on after a kill.

    python -m evals.bench.backfill --incidents 100000 --folder /tmp/backfill

The incidents are the shipped ones with their sentences mixed and numbers changed, cut to `--characters`: embedding is
what an import waits for, and its time grows with the length of the texts. The import is a process of its own; it is
killed with SIGKILL once about half is in, and started again. Reported are the rate, the time that going on took before
the first new incident, the most memory, how long the index in the data folder took to follow (`triage index repair`),
and whether it fits the store at the end (`triage index verify`).
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from evals.bench.write_ups import WriteUps
from triage.evaluation.datasets import shipped_history

_LOOK_S = 0.25


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--incidents", type=int, default=100_000)
    parser.add_argument("--characters", type=int, default=250)
    parser.add_argument("--folder", type=Path, required=True, help="for the file, the database and the index")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    file = options.folder / "history.jsonl"
    with file.open("w", encoding="utf-8") as out:
        out.writelines(json.dumps(row) + "\n" for row in rows(options.incidents, options.characters))

    half = Import(file, options.folder)
    half.until(options.incidents // 2)
    half.process.send_signal(signal.SIGKILL)
    half.process.wait()
    before = stored(options.folder)
    rest = Import(file, options.folder)
    began_again_s = rest.until(before + 1)
    rest.until(None)
    began = time.monotonic()
    repaired = index(options.folder, "repair")
    repaired_s = time.monotonic() - began
    verified = index(options.folder, "verify")
    print(
        json.dumps(
            {
                "incidents": options.incidents,
                "mean_characters": round(file.stat().st_size / options.incidents),
                "first_half": half.told(before),
                "after_the_kill": {"kept": before, "went_on_after_s": round(began_again_s, 1)},
                "second_half": rest.told(stored(options.folder) - before),
                "stored": stored(options.folder),
                "index_filled_s": round(repaired_s, 1),
                "index_fits": verified == 0,
            },
            indent=2,
        )
    )
    sys.exit(0 if rest.process.returncode == repaired == verified == 0 else 1)


_TRIAGE = (str(Path(sys.executable).with_name("triage")),)


class Import:
    """A running `triage import`."""

    def __init__(self, file: Path, folder: Path) -> None:
        self._folder = folder
        self._began = time.monotonic()
        self.seconds = 0.0
        self.most_mib = 0.0
        with (folder / "import.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*_TRIAGE, "import", str(file)], env=_environment(folder), stdout=log, stderr=log
            )

    def until(self, count: int | None) -> float:
        """Wait until so many incidents are stored, or until it ends; returns the seconds since its start."""
        while self.process.poll() is None and (count is None or stored(self._folder) < count):
            self.most_mib = max(self.most_mib, _rss_mib(self.process.pid))
            time.sleep(_LOOK_S)
        self.seconds = time.monotonic() - self._began
        return self.seconds

    def told(self, incidents: int) -> dict[str, Any]:
        """What it took for so many incidents."""
        return {
            "incidents": incidents,
            "seconds": round(self.seconds, 1),
            "a_second": round(incidents / self.seconds, 1),
            "most_mib": round(self.most_mib),
        }


def rows(count: int, characters: int) -> Iterator[dict[str, Any]]:
    """Labelled incidents, each with the labels of a shipped one."""
    write_ups, shipped = WriteUps(7), shipped_history()
    for n in range(count):
        body = write_ups.make(n)
        labels = {facet: list(ids) for facet, ids in shipped[n % len(shipped)][1].items()}
        yield {"id": f"past-{n}", "title": body["title"], "write_up": body["write_up"][:characters], "labels": labels}


def index(folder: Path, what: str) -> int:
    """The exit code of `triage index WHAT`; a service that starts does the same as `repair`."""
    return subprocess.run(
        [*_TRIAGE, "index", what, "--json"], env=_environment(folder), stdout=subprocess.DEVNULL, check=False
    ).returncode


def stored(folder: Path) -> int:
    """How many of the incidents are in the database."""
    database = folder / "data" / "triage.db"
    if not database.exists():
        return 0
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=30) as connection:
        try:
            return int(connection.execute("SELECT count(*) FROM incidents WHERE id LIKE 'past-%'").fetchone()[0])
        except sqlite3.OperationalError:
            return 0


def _environment(folder: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TRIAGE_", "OPENAI_"))}
    return kept | {
        "TRIAGE_DATA_DIR": str(folder / "data"),
        "TRIAGE_MODEL": "none",
        "TRIAGE_SHIPPED_HISTORY": "false",
        "OPENBLAS_NUM_THREADS": "1",
    }


def _rss_mib(pid: int) -> float:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
    except (FileNotFoundError, IndexError):
        return 0.0


if __name__ == "__main__":
    main()
