"""Escape untrusted text for Markdown, so that every renderer shows the text and nothing more."""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import quote, urlsplit

# Starts a block (heading, list, quotation, rule) at the beginning of a line.
_BLOCK = re.compile(r"^(?:([#+=:-])|(\d{1,9})([.)]))")
# Escaped by backslashes, since people also read the Markdown source.
_MARKUP = re.compile(r"[\\`*\[\]|~$]|(?<![^\W_])_|_(?![^\W_])")
# Many renderers link bare addresses, some even a mere host name.
_BARE_ADDRESS = re.compile(
    r"(?<=:)/(?=/)|(?<=\bwww)\.|(?<=\bmailto):|(?<=\bxmpp):|@|(?<=\S)\.(?=[^\W\d_]{2})", re.IGNORECASE
)
_DIRECTION = {*range(0x200E, 0x2010), *range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x061C}
_LONGEST_ADDRESS = 2_000


def plain(text: str) -> str:
    """`text` on one line, escaped so that nothing in it is markup, HTML or a link.

    White space is collapsed. Control characters and those that change the direction of text are removed.
    """
    flat = " ".join(_visible(text).split())
    escaped = flat.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    escaped = _MARKUP.sub(r"\\\g<0>", escaped)
    escaped = _BARE_ADDRESS.sub(r"\\\g<0>", escaped)
    return _BLOCK.sub(lambda match: f"\\{match[1]}" if match[1] else f"{match[2]}\\{match[3]}", escaped)


def code(text: str) -> str:
    """`text` in a code span, on one line. Backquotes and bars, which would end a table cell, are replaced."""
    return "`" + " ".join(_visible(text).replace("`", "'").replace("|", "¦").split()) + "`"


def link(text: str, url: str) -> str:
    """`text` as a link to `url`, followed by the host. Plain text if `url` is no http(s) address.

    >>> link("[Outage]", "https://status.example.org/1"), link("Outage", "javascript:alert(1)")
    ('[\\\\[Outage\\\\]](https://status.example.org/1) (status\\\\.example\\\\.org)', 'Outage')
    """
    host = _host(url)
    if host is None:
        return plain(text)
    place = quote(url.strip(), safe=":/?#@!$&'+,;=%~.-_", errors="replace").replace("&", "&amp;")
    return f"[{plain(text)}]({place}) ({plain(host.removeprefix('www.'))})"


def shortened(text: str, most: int) -> str:
    """`text` on one line of at most `most` characters."""
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 1].rstrip() + "…"


def _visible(text: str) -> str:
    return "".join(
        c if c.isspace() or not (unicodedata.category(c) in ("Cc", "Cs") or ord(c) in _DIRECTION) else "" for c in text
    )


def _host(url: str) -> str | None:
    """The host of an http(s) address; None for other URLs, and for those that are too long or have a user."""
    if len(url) > _LONGEST_ADDRESS or any(c.isspace() or unicodedata.category(c) == "Cc" for c in url.strip()):
        return None
    try:
        parts = urlsplit(url.strip())
        host = parts.hostname
    except ValueError:
        return None
    return host if parts.scheme in ("http", "https") and host and "@" not in parts.netloc else None
