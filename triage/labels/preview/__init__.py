"""What a correction would change: other recent incidents, decided again with the history as it would then be."""

from triage.labels.preview.preview import DEFAULT_OPTIONS, Previewer, PreviewOptions

__all__ = ["DEFAULT_OPTIONS", "PreviewOptions", "Previewer"]
