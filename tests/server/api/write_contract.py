"""Write docs/openapi.json, unless a change would break clients: `make contract`."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from tests.parts import HashingEmbedder, KeywordPipeline, app_without_model
from tests.server.api.contract import Break, breaks, normalised
from triage.domain.taxonomy import Taxonomy
from triage.history.casebook import Casebook
from triage.history.chroma import ChromaHistory
from triage.redaction import Redactor
from triage.server.jobs import Jobs
from triage.store import Store

ROOT = Path(__file__).parents[3]
DESCRIPTION = ROOT / "docs" / "openapi.json"


def description() -> str:
    """The description of the API as it is now."""
    with tempfile.TemporaryDirectory() as folder:
        taxonomy = Taxonomy.load("llm_inference")
        store = Store(f"sqlite:///{folder}/triage.db")
        history = ChromaHistory.open(None, "hashing-64")
        jobs = Jobs(store, KeywordPipeline(taxonomy), f"sqlite:///{folder}/jobs.db")
        casebook = Casebook(store, history, Redactor(), HashingEmbedder(), taxonomy)
        text = normalised(app_without_model(casebook, store, jobs, taxonomies={taxonomy.id: taxonomy}).openapi())
        history.close()
        return text


def broken(now: str) -> list[Break]:
    """The changes between the committed description and `now` that break clients."""
    return breaks(json.loads(DESCRIPTION.read_text(encoding="utf-8")), json.loads(now))


def main() -> None:
    now = description()
    if found := broken(now):
        sys.exit(f"{DESCRIPTION} is not written: these changes break clients.\n" + "\n".join(map(str, found)))
    DESCRIPTION.write_text(now, encoding="utf-8")


if __name__ == "__main__":
    main()
