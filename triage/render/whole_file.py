"""Files that are written whole or not at all, whatever ends the process meanwhile."""

from __future__ import annotations

from pathlib import Path


def write_whole(path: Path, content: str | bytes) -> None:
    """Put `content` (text as UTF-8) into the place of what is at `path`: readers see the old file or the new one."""
    whole = path.with_name(f"{path.name}.tmp")
    whole.write_bytes(content.encode() if isinstance(content, str) else content)
    whole.replace(path)
