"""`triage demo`: three incidents of the shipped history, triaged as if they were new."""

from __future__ import annotations

from triage.app.settings import Settings
from triage.cli.classify import triage_all
from triage.cli.terminal import messages, run
from triage.domain.errors import InvalidInput

INCIDENTS = (
    "openai-2023-11-08-router-memory",
    "github-copilot-2025-12-08-completion-flag",
    "github-copilot-2025-03-18-chat-store",
)
"""An engine out of resources, a misconfigured model, and an infrastructure failure."""

_NEXT = """
Start the service        make serve                      (or: triage serve)
Triage your own          triage classify FILE            (or paste it into: triage classify)
Use another model        TRIAGE_MODEL=gpt-5-mini OPENAI_API_KEY=...
...at any endpoint that  TRIAGE_MODEL=name TRIAGE_BASE_URL=http://host:port/v1
speaks OpenAI's API      then any of the commands above; `triage doctor` checks the settings
"""


def demo() -> None:
    """Triage three real incidents with the settings as they are: without any, with the local model."""
    run(_demo())


async def _demo() -> None:
    from triage.evaluation.datasets import shipped_history

    settings = Settings()
    if settings.taxonomy != "llm_inference":
        raise InvalidInput("The demo's incidents are of LLM services: unset TRIAGE_TAXONOMY.", field="taxonomy")
    shipped = {incident.id: incident for incident, _ in shipped_history()}
    console = messages()
    console.print(
        "Three public incidents of LLM services are triaged. They stand in the shipped history; each is left out of it "
        "while it is triaged itself.\n"
    )
    await triage_all([shipped[incident_id] for incident_id in INCIDENTS], settings, as_json=False)
    console.print(_NEXT)
