"""The preview of a correction: other recent incidents, decided again with the corrected history."""

from triage.labels.preview.preview import DEFAULT_OPTIONS, Previewer, PreviewOptions

__all__ = ["DEFAULT_OPTIONS", "PreviewOptions", "Previewer"]
