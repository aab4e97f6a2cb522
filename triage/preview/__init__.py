"""What a correction would change: other recent incidents, decided again with the history as it would then be."""

from triage.preview.preview import Previewer, PreviewOptions
from triage.preview.result import ChangedIncident, FacetChange, NotCompared, Preview

__all__ = ["ChangedIncident", "FacetChange", "NotCompared", "Preview", "PreviewOptions", "Previewer"]
