"""Decodes disguised text: invisible and look-alike characters, digits as letters, encodings, reversed order."""

from __future__ import annotations

import base64
import binascii
import codecs
import html
import re
import unicodedata
from collections.abc import Iterator
from urllib.parse import unquote

# Letters of other scripts that look like Latin ones, after NFKC; source: confusables.txt of Unicode TS 39.
_LOOK_ALIKES = str.maketrans(
    "аеорсухіјѕԁһӏмткнвАВЕКМНОРСТХІЈЅαοερνικτυχΑΒΕΖΗΙΚΜΝΟΡΤΥΧ",
    "aeopcyxijsdhlmtkhbABEKMHOPCTXIJSaoepviktuxABEZHIKMNOPTYX",
)
_DIGITS_AS_LETTERS = str.maketrans("013457@$", "oieastas")
_MIXED_WORD = re.compile(r"(?<!\w)(?=\w*[A-Za-z])(?=\w*[013457@$])[\w@$]{3,}")
_SINGLE_LETTERS = re.compile(r"(?<!\w)(?:[^\W\d_][ .·_-]{1,3}){5,}[^\W\d_](?!\w)")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{24,}={0,2}")
_HEX = re.compile(r"(?:[0-9a-f]{2}[ :]?){16,}", re.IGNORECASE)
_CUES = ("ignor", "disregard", "forget", "overrid", "instruct", "answer", "label", "categor", "classif", "choose")
_ESCAPES = re.compile(r"%[0-9a-f]{2}|&#?\w{2,8};|\\u[0-9a-f]{4}", re.IGNORECASE)


def unmasked(text: str) -> str:
    """`text` with compatibility forms folded and invisible characters removed."""
    if text.isascii():
        return text
    folded = unicodedata.normalize("NFKC", text)
    return "".join(c for c in folded if unicodedata.category(c) != "Cf" and not 0xFE00 <= ord(c) <= 0xFE0F)


def hidden(text: str) -> Iterator[str]:
    """Other readings of `text` that contain a cue of an instruction; most texts have none."""
    yield from filter(has_cue, _readings(text))


def has_cue(text: str) -> bool:
    """True if `text` has a word that English instructions to a model rarely lack. A fast check."""
    lower = text.lower()
    return any(cue in lower for cue in _CUES)


def _readings(text: str) -> Iterator[str]:
    plain = unmasked(text)
    if "_" in plain:
        # Separate the identifiers: two of them make no sentence together.
        yield re.sub("[=,]", ". ", plain.replace("_", " "))
    if not plain.isascii():
        yield plain.translate(_LOOK_ALIKES)
    if len(_MIXED_WORD.findall(plain)) > 1:
        yield plain.translate(_DIGITS_AS_LETTERS)
    if _SINGLE_LETTERS.search(plain):
        yield _SINGLE_LETTERS.sub(lambda m: _joined(m.group()), plain)
    if _ESCAPES.search(plain):
        yield html.unescape(unquote(re.sub(r"\\u([0-9a-fA-F]{4})", lambda m: chr(int(m[1], 16)), plain)))
    yield from _decoded(text)
    yield codecs.encode(plain, "rot13")
    yield plain[::-1]


def _joined(letters: str) -> str:
    """Spaced-out letters as words; wider gaps separate words."""
    return " ".join(re.sub(r"[ .·_-]", "", word) for word in re.split(r" {2,}", letters))


def _decoded(text: str) -> Iterator[str]:
    for match in _BASE64.finditer(text):
        run = match.group().rstrip("=").translate(str.maketrans("-_", "+/"))
        try:
            yield from _readable(base64.b64decode(run + "=" * (-len(run) % 4)))
        except binascii.Error:
            continue
    for match in _HEX.finditer(text):
        yield from _readable(bytes.fromhex(re.sub("[ :]", "", match.group())))


def _readable(content: bytes) -> Iterator[str]:
    decoded = content.decode(errors="replace")
    if " " in decoded and sum(c.isprintable() and c != "\ufffd" for c in decoded) > 0.9 * len(decoded):
        yield decoded
