"""Write the description of the API: `python -m tests.server.api.write_contract`, or `make contract`.

docs/openapi.json always; the baseline of version 1 only where nothing in it would break a client.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from tests.parts import DIMENSION, HashingEmbedder, KeywordPipeline, app_without_model
from triage.domain.taxonomy import Taxonomy
from triage.history.casebook import Casebook
from triage.history.chroma import ChromaHistory
from triage.redaction import Redactor
from triage.server.api.contract import breaks, normalised
from triage.server.jobs import Jobs
from triage.store import Store

ROOT = Path(__file__).parents[3]
DESCRIPTION = ROOT / "docs" / "openapi.json"
BASELINE = ROOT / "tests" / "server" / "api" / "contract" / "v1.json"


def description() -> str:
    """The description of the API as it is now."""
    with tempfile.TemporaryDirectory() as folder:
        taxonomy = Taxonomy.load("llm_inference")
        store = Store(f"sqlite:///{folder}/triage.db")
        history = ChromaHistory.open(None, "hashing-64", DIMENSION)
        jobs = Jobs(store, KeywordPipeline(taxonomy), f"sqlite:///{folder}/jobs.db")
        casebook = Casebook(store, history, Redactor(), HashingEmbedder(), taxonomy)
        text = normalised(app_without_model(casebook, store, jobs, taxonomies={taxonomy.id: taxonomy}).openapi())
        history.close()
        return text


def main() -> None:
    now = description()
    DESCRIPTION.write_text(now, encoding="utf-8")
    if BASELINE.exists() and (found := breaks(json.loads(BASELINE.read_text(encoding="utf-8")), json.loads(now))):
        sys.exit("The baseline stays as it is, for this breaks its clients:\n" + "\n".join(map(str, found)))
    BASELINE.write_text(now, encoding="utf-8")


if __name__ == "__main__":
    main()
