"""triage: LLM-assisted incident triage. `from triage import Triager` is the way in from Python."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from triage.app.triager import Triager
    from triage.domain.incident import Incident

__all__ = ["Incident", "Triager"]
__version__ = "0.2.0"


def __getattr__(name: str) -> Any:
    """Import on first use, so that `import triage` costs milliseconds."""
    if name == "Triager":
        from triage.app.triager import Triager

        return Triager
    if name == "Incident":
        from triage.domain.incident import Incident

        return Incident
    raise AttributeError(name)
