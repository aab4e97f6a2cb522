"""What pages show beside the parts of the service."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, NamedTuple, cast

from fastapi import Depends, Request


class PageOptions(NamedTuple):
    """`runs` and `suites` are the folders of eval runs and suites. `settings` are those in effect, without secrets.

    `warnings` say what impairs every answer of the service.
    """

    runs: Path = Path("runs")
    suites: Path = Path("evals/suites")
    settings: Mapping[str, str] = {}
    warnings: tuple[str, ...] = ()


def _options(request: Request) -> PageOptions:
    return cast("PageOptions", request.app.state.page_options)


Options = Annotated[PageOptions, Depends(_options)]
