from __future__ import annotations

import asyncio
import re
import textwrap
from pathlib import Path

import httpx
import pytest

from tests.server.api.conftest import client as service
from tests.server.api.conftest import database, folder, pipeline

__all__ = ["database", "folder", "pipeline", "service"]

PAGE = Path(__file__).parents[2] / "docs" / "python-client.md"
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_examples_of_the_documentation_run(service: httpx.Client, example: str) -> None:
    code = example.replace("http://127.0.0.1:8350", str(service.base_url))
    names: dict[str, object] = {}
    exec(f"async def example():\n{textwrap.indent(code, '    ')}", names)
    asyncio.run(names["example"]())  # type: ignore[operator]
