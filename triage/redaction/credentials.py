"""Credentials recognised by their place: key blocks, headers, URLs, connection strings."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator

from triage.redaction.redacted import Span

_PRIVATE_KEY = re.compile(
    r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
    # Up to the end mark or, if it was cut off, as far as lines look like a key.
    r"(?:[^-\x00]*(?:-(?!----)[^-\x00]*)*-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
    r"|(?:\s|\\[nr]|[A-Za-z0-9+/=]{20,}(?![^\s\\\"'])|[A-Za-z0-9+/]+={1,2})*)"
)
_AUTHORIZATION = re.compile(
    r"authorization[\"'\]]{0,2}[ \t]{0,4}[:=][ \t]{0,4}[\"'`]?"
    r"(?:(?P<scheme>basic|bearer|token|apikey|api-key|digest|negotiate|aws4-hmac-sha256|splunk|key|bot)[ \t]{1,4})?"
    r"(?P<value>[^\s\"'`<>\x00]{6,})",
    re.IGNORECASE,
)
_SCHEME = re.compile(
    r"\b(?:bearer[ \t]{1,4}[\"'`]?(?P<bearer>[\w.~+/=-]{12,})|basic[ \t]{1,4}(?P<basic>[A-Za-z0-9+/_-]{8,}={0,2}))",
    re.IGNORECASE | re.ASCII,
)
_END_OF_HEADER = re.compile(r"[\n\"'\x00]|\\n")
_COOKIE = re.compile(r"\b(?:set-)?cookie[\"']?:[ \t]*[\"']?(?P<value>[\w.-]{1,80}=[^\n\"'\x00]+)", re.IGNORECASE)
_USERINFO = re.compile(r"://(?P<value>[^\s/?#\"'`<>\\@\x00]+(?:@[^\s/?#\"'`<>\\@\x00]+)*)@(?=[\w\[{$%.-])")
# A password that should have been percent-encoded.
_UNESCAPED = re.compile(
    r"://[^\s:@/\"'\x00]{0,80}:(?![0-9]{1,5}/)(?P<value>[^\s\"'`<>@\x00]{1,128}(?<!/))@(?=[\w\[.-]+[:/])"
)
_DSN_HOST = re.compile(r"@(?=(?:tcp|udp|unix)\()")
_DSN_USER = re.compile(r"[^\s\"'`=<>\x00]{1,199}\Z")
_CURL_USER = re.compile(r"(?<!\S)(?:-u|--user|--proxy-user)[ =]?[\"']?(?P<value>[^\s:\"'\x00]{1,80}:[^\s\"'\x00]+)")
_IDENTIFIED_BY = re.compile(r"\bidentified[ \t]{1,4}by[ \t]{1,4}['\"](?P<value>[^'\"\n\x00]+)", re.IGNORECASE)
_QUERY = re.compile(
    r"[?&;](?:amp;)?(?P<name>[\w.-]{0,24}?(?:sig|signature|token|key|secret|password|passwd|pwd|auth|credential|jwt|session"
    r"|code|assertion|sas|hmac))=(?P<value>[^\s&#\"'`<>\x00]+)",
    re.IGNORECASE | re.ASCII,
)
_WEBHOOK = re.compile(
    r"(?:hooks\.slack\.com/(?:services|workflows|triggers)|discord(?:app)?\.com/api/webhooks"
    r"|[\w-]{1,60}\.webhook\.office\.com/webhookb2|events\.pagerduty\.com/integration|api\.telegram\.org/bot(?=[0-9]))"
    r"/?(?P<value>[^\s\"'`<>|)\x00]{8,})(?<![.,;:])",
    re.IGNORECASE,
)
_VERSION_CONTROL_USERS = frozenset({"git", "hg", "svn"})


def find_private_keys(text: str) -> Iterator[Span]:
    """Find private key blocks; one without an end reaches as far as its lines look like a key."""
    for match in _PRIVATE_KEY.finditer(text):
        yield Span(match.start(), match.start() + len(match.group().rstrip()), "private_key")


def find(text: str) -> Iterator[Span]:
    """Find credentials in headers, URLs, webhooks, connection strings and command lines."""
    # Most texts contain few of these words, and searching for a word is cheap.
    words = text.lower()
    if "authorization" in words:
        yield from _authorizations(text)
    if "bearer" in words or "basic" in words:
        yield from _schemes(text)
    if "cookie" in words:
        yield from _values(_COOKIE, text)
    if "://" in words:
        userinfo = _values(_USERINFO, text)
        yield from (span for span in userinfo if text[span.start : span.end].lower() not in _VERSION_CONTROL_USERS)
        yield from _values(_UNESCAPED, text)
    if "=" in words:
        yield from _queries(text)
    if "hooks" in words or "telegram" in words or "pagerduty" in words:
        yield from (span for span in _values(_WEBHOOK, text) if re.search("[0-9]", text[span.start : span.end]))
    if "@" in words:
        yield from _data_sources(text)
    if "-u" in words:
        yield from _values(_CURL_USER, text)
    if "identified" in words:
        yield from _values(_IDENTIFIED_BY, text)


def _values(pattern: re.Pattern[str], text: str) -> Iterator[Span]:
    for match in pattern.finditer(text):
        yield Span(match.start("value"), match.end("value"), "credential")


def _authorizations(text: str) -> Iterator[Span]:
    for match in _AUTHORIZATION.finditer(text):
        start, value, scheme = match.start("value"), match["value"].rstrip(".,;:)]}"), (match["scheme"] or "").lower()
        if scheme in ("digest", "aws4-hmac-sha256"):  # several values up to the end of the header
            rest = text[start : start + 2000]
            yield Span(start, start + len(_END_OF_HEADER.split(rest, 1)[0]), "credential")
        elif re.search("[0-9]", value) or len(value) >= 16 or (scheme and re.search("[A-Z]", value[1:])):
            yield Span(start, start + len(value), "credential")


def _schemes(text: str) -> Iterator[Span]:
    for match in _SCHEME.finditer(text):
        kind = match.lastgroup or ""
        value = match[kind].rstrip(".-")
        if _is_mixed(value) if kind == "bearer" else _is_user_and_password(value):
            yield Span(match.start(kind), match.start(kind) + len(value), "credential")


def _queries(text: str) -> Iterator[Span]:
    for match in _QUERY.finditer(text):
        value = match["value"].rstrip(".,;:)]}")
        least = 16 if match["name"].lower().endswith("code") else 6
        if len(value) >= least and not value.isalpha():
            yield Span(match.start("value"), match.start("value") + len(value), "credential")


def _data_sources(text: str) -> Iterator[Span]:
    """`user:password@tcp(host:3306)/name`, the format of Go drivers."""
    for match in _DSN_HOST.finditer(text):
        before = _DSN_USER.search(text[max(0, match.start() - 200) : match.start()])
        if before and ":" in before.group():
            yield Span(match.start() - len(before.group()), match.start(), "credential")


def _is_mixed(value: str) -> bool:
    return bool(re.search("[0-9]", value) and re.search("[A-Za-z]", value))


def _is_user_and_password(encoded: str) -> bool:
    try:
        decoded = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True).decode()
    except (binascii.Error, ValueError):
        return False
    return ":" in decoded and decoded.isprintable()
