"""Prices of models, from the user's own file. A price that isn't in the file is unknown, never guessed."""

from __future__ import annotations

from pathlib import Path

import yaml
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from triage.domain.errors import MisconfiguredService


class Price(BaseModel, frozen=True, extra="forbid"):
    """US dollars per million tokens."""

    prompt: float = Field(ge=0)
    completion: float = Field(ge=0)

    def of(self, prompt_tokens: int, completion_tokens: int) -> float:
        """The cost in US dollars.

        >>> Price(prompt=0.5, completion=2).of(3_000_000, 500_000)
        2.5
        """
        return (prompt_tokens * self.prompt + completion_tokens * self.completion) / 1_000_000


_PRICES = TypeAdapter(dict[str, Price])


def load_prices(path: Path) -> dict[str, Price]:
    """Read model name -> price from a YAML file with lines such as `gpt-5-mini: {prompt: 0.25, completion: 2}`.

    Raises `MisconfiguredService` for a missing or invalid file.
    """
    try:
        return _PRICES.validate_python(yaml.safe_load(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise MisconfiguredService(f"There is no price file {path}: check TRIAGE_PRICES.", path=str(path)) from error
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise MisconfiguredService(f"The price file {path} is not YAML: {error}", path=str(path)) from error
    except ValidationError as error:
        found = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()[:5])
        raise MisconfiguredService(
            f"The price file {path} must hold lines such as `gpt-5-mini: {{prompt: 0.25, completion: 2}}`, in US "
            f"dollars per million tokens: {found}.",
            path=str(path),
        ) from error
