"""Prices come from the user's file, or are unknown."""

from __future__ import annotations

from pathlib import Path

import pytest

from triage.domain.errors import MisconfiguredService
from triage.models.chat.prices import Price, load_prices


def test_prices_are_read_per_model(tmp_path: Path) -> None:
    (tmp_path / "prices.yaml").write_text(
        "gpt-5-mini: {prompt: 0.25, completion: 2}\n'a:b': {prompt: 1, completion: 0}\n"
    )
    prices = load_prices(tmp_path / "prices.yaml")

    assert prices["gpt-5-mini"].of(2_000_000, 100_000) == pytest.approx(0.7)
    assert prices["a:b"] == Price(prompt=1, completion=0)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no price file"),
        ("a: [", "is not YAML"),
        ("gpt: 3", "gpt: "),
        ("gpt: {prompt: -1, completion: 1}", "gpt.prompt"),
        ("gpt: {prompt: 1}", "gpt.completion"),
        ("", "must hold lines such as"),
    ],
)
def test_an_invalid_file_is_explained(tmp_path: Path, content: str | None, message: str) -> None:
    if content is not None:
        (tmp_path / "prices.yaml").write_text(content)

    with pytest.raises(MisconfiguredService, match=message):
        load_prices(tmp_path / "prices.yaml")
