"""Prompts: versioned template files with front matter."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from functools import cache
from importlib import resources
from pathlib import Path

import yaml
from pydantic import BaseModel, Field

from triage.domain.errors import MisconfiguredService
from triage.models.chat import Message


class FrontMatter(BaseModel, frozen=True, extra="forbid"):
    """The metadata above a prompt's text."""

    id: str
    version: str = Field(pattern=r"^\d+\.\d+\.\d+$")
    summary: str
    inputs: tuple[str, ...]
    output: str
    changelog: tuple[str, ...]


class Prompt:
    """One prompt file: its front matter and its messages."""

    def __init__(self, about: FrontMatter, parts: Sequence[tuple[str, str]], edition: str = "") -> None:
        self.about = about
        self._parts = tuple(parts)
        self._edition = edition

    @property
    def name(self) -> str:
        """`id@version`, as results name it; a user's own file adds a hash of its text."""
        return f"{self.about.id}@{self.about.version}{self._edition}"

    def messages(self, **values: str) -> tuple[Message, ...]:
        """The messages with `values` filled in; values are never read as templates."""
        # `str.format` is several times faster than LangChain's templates.
        return tuple(
            Message.model_validate({"role": role, "content": text.format(**values)}) for role, text in self._parts
        )


@cache
def load(prompt_id: str, folder: Path | None = None) -> Prompt:
    """The prompt with this id, from `folder` if it has one, else the shipped one.

    Raises `MisconfiguredService` if the file is missing or malformed.
    """
    from langchain_core.prompts import ChatPromptTemplate

    own = folder / f"{prompt_id}.md" if folder is not None else None
    path = own if own is not None and own.is_file() else _folder() / f"{prompt_id}.md"
    if not path.is_file():
        raise MisconfiguredService(f"The prompt file {path} is missing: reinstall triage.", path=str(path))
    text = path.read_text(encoding="utf-8")
    try:
        _, head, body = text.split("---\n", 2)
        about = FrontMatter.model_validate(yaml.safe_load(head))
    except (ValueError, yaml.YAMLError) as error:
        raise MisconfiguredService(
            f"{path} needs front matter between two lines of ---, as the shipped prompts have it: {error}",
            path=str(path),
        ) from error
    pieces = re.split(r"^## (system|user|assistant)\n", body, flags=re.MULTILINE)[1:]
    parts = [(role, piece.strip()) for role, piece in zip(pieces[::2], pieces[1::2], strict=True)]
    unknown = set(ChatPromptTemplate.from_messages(parts).input_variables) ^ set(about.inputs)
    if about.id != prompt_id or unknown:
        raise MisconfiguredService(f"{path}: front matter and text differ on {', '.join(sorted(unknown)) or 'the id'}.")
    return Prompt(about, parts, f"+{hashlib.sha256(text.encode()).hexdigest()[:6]}" if path == own else "")


def _folder() -> Path:
    """The folder in the package if installed from a wheel, beside it in a checkout."""
    packaged = Path(str(resources.files("triage"))) / "prompts"
    return packaged if packaged.is_dir() else packaged.parent.parent / "prompts"
