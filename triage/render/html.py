"""HTML from Jinja templates, for pages and for reports in one file."""

from __future__ import annotations

import re

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

# Characters that HTML does not allow, and surrogates, which UTF-8 does not allow.
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def environment_of(*packages: str) -> Environment:
    """An environment with the templates of these packages. It escapes all values, and raises on undefined ones."""
    return Environment(
        loader=ChoiceLoader([PackageLoader(package) for package in packages]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def replace_unprintable(text: str) -> str:
    """`text` with the replacement character for those that HTML can't hold."""
    return _UNPRINTABLE.sub("\ufffd", text)
