"""Secrets recognised by the name before them: `password=...`, `api_key: ...`, `--token ...`."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator

from triage.redaction.redacted import Span

_NAME = (
    r"pass(?:word|wd|phrase|code)s?|pwd|(?<![a-z])pass"
    r"|(?:api|access|auth|account|secret|private|signing|encryption|decryption|storage|subscription)[ _.-]?key(?:[ _-]?id)?"
    r"|secret[ _-]?access[ _-]?key|secret|credentials?|token"
)
_SEPARATOR = (
    r"[ \t]{0,4}(?::[ \t]{0,2}(?:str|SecretStr|Optional\[str\])(?:[ ]?\|[ ]?None)?[ \t]{0,2}=|:=|=>|==?|:)[ \t]{0,4}|>"
    r"|[ \t]{1,4}(?:is|was)[: \t][ \t]{0,4}|[ \t]{1,2}"
)
_VALUE = (
    r"\\\"(?P<escaped>[^\"\\\n\x00]+)\\\""
    r"|\"(?P<double>(?:[^\"\\\n\x00]|\\[^\n\x00])+)\"|'(?P<single>(?:[^'\\\n\x00]|\\[^\n\x00])+)'|`(?P<tick>[^`\n\x00]+)`"
    # A comma, semicolon or ampersand ends the value only where white space or the next name follows.
    r"|(?P<bare>(?:[^\s\"'`,;&\x00]|[,;&](?![\s,;&]|\Z|[\w .-]{1,40}[=:])|[\"'`](?=\w))+)"
)
_ASSIGNMENT = re.compile(
    rf"(?P<name>{_NAME})(?:\\?[\"'`]|\*\*|[\])]){{0,2}}(?P<separator>{_SEPARATOR})(?:{_VALUE})", re.IGNORECASE
)
# Names whose values are secret only if they look random.
_WEAK = re.compile(
    r"(?<![A-Za-z])(?:keys?|tokens|secrets|passwords|sig|signature|salt|nonce|auth|hmac|session|seed|creds?|connection[ _-]string)"
    r"[\"'`]?(?:[ \t]{0,4}(?::=|=>|=|:)[ \t]{0,4}|[ \t]{1,2}(?:(?:is|was)[ \t]{1,2})?)[\"'`(]?(?P<value>[A-Za-z0-9+/=_-]{20,})",
    re.IGNORECASE,
)
# Secrets in a sentence: `the password for the admin account is ...`, `the key we used (...)`.
_IN_SENTENCE = re.compile(
    r"(?<![A-Za-z])(?P<name>(?:[a-z]{0,12}[_-])?(?:pass(?:word|wd|phrase|code)|pwd|pw|pass))"
    r"(?:(?:[ \t]{1,2}[\w'’-]{1,20}){0,6}[ \t]{1,2}(?:is|was|to|be|reads|read)[: \t]|[ \t]*[=:,]|[ \t])[ \t]{0,2}"
    r"[\"'`(\[]{0,2}(?P<value>[^\s\"'`<>()\[\]{},;\x00]{8,128})",
    re.IGNORECASE,
)
_COMMAND = re.compile(
    r"\b(?:(?:mysql|mariadb)[\w-]*[^\n|;\x00]{0,80}?[ ]-p|sshpass[ ]{1,2}-p[ ]?|redis-cli[^\n|;\x00]{0,80}?[ ]-a[ ]{1,2})"
    r"[\"']?(?P<value>[^\s\"'`<>\x00-]{1}[^\s\"'`<>\x00]{3,127})"
)
_KEY_IN_SENTENCE = re.compile(
    r"(?<![A-Za-z])keys?(?:[ \t]{1,2}[a-z'’-]{1,15}){0,4}(?:,[ \t]|[ \t]{1,2})[\"'`(\[]{0,2}(?P<value>[A-Za-z0-9+/=_-]{20,})"
)
_CASE_CHANGE = re.compile(r"(?<=[a-z])[A-Z]|(?<=[A-Z])[a-z]")
_SYMBOL = re.compile(r"[!#$%^&*+~@?=_]")
_OTHER_KEYS = re.compile(
    r"(?:cache|partition|primary|foreign|sort|idempotency|public|dedup|deduplication|object|row|shard|index|config|hash"
    r"|message|event|issue|project|host|lookup|map|dict)[ _.-]?\Z",
    re.IGNORECASE,
)
_OTHER_TOKENS = re.compile(
    r"(?:bos|eos|pad|unk|sep|cls|mask|stop|max|min|special|image|next|last|first|per|prompt|output|input|start|end)[ _.-]?\Z",
    re.IGNORECASE,
)
_NOT_A_SECRET = re.compile(
    r"none|null|nil|true|false|empty|undefined|required|optional|str|string|secretstr|bytes|int|bool|yes|no|on|off|n/a|-+|_+"
    r"|\*+|[\w-]{0,12}?x{4,}|xxx|[\w-]*no-key-required|\.{2,}.*|…|<.*|\[.*\]|\{.*\}?|\$[\w({].*|%\w+%|your[ _-].*|changeme|redacted|(?:/[a-z0-9_.-]+){2,}/?|[~.]/.*"
    r"|\w*[a-z]\(.*|(?:self|os|args|config|settings|env|process|cfg|request|options|opts|ctx)\b[.\[].*|https?://.*",
    re.IGNORECASE | re.DOTALL,
)
# A variable in code instead of a value: `api_key=openai_api_key`, `token = ids[-1]`.
_VARIABLE = re.compile(
    r"(?:[A-Za-z]\w*_)?(?:password|passwd|secret|token|(?:api|access)_?key)|[a-z_]+\[[\w-]*\]", re.IGNORECASE
)
_WORD = re.compile(r"[^\W\d_]+(?:['’/-][^\W\d_]+)*[!?]?")
# Base64 without digits.
_BASE64 = re.compile(r"(?=[^+/=]*[+/=])(?=[^A-Z]*[A-Z])(?=[^a-z]*[a-z])[A-Za-z+/]{32,}={0,2}")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_LINE_START = re.compile(r"(?:\A|\n)[ \t]*(?:[-*>|][ \t]+)?(?:export[ \t]+)?[\"'`*]{0,2}[\w.-]{0,40}\Z")
_FLAG = re.compile(r"(?:\A|\s|[\"'])--[\w-]{0,40}\Z")
_NEED_DIGITS = frozenset({"token", "credential", "credentials", "pass"})
# Each name above contains one of these.
_STEMS = (
    "pass", "pw", "key", "secret", "cred", "token", "sig", "salt", "nonce", "auth", "hmac", "session", "seed",
    "connection", "mysql", "maria", "redis",
)  # fmt: skip
_DIGIT, _LETTER = re.compile("[0-9]"), re.compile("[A-Za-z]")
_LONG = 64


def find(text: str) -> Iterator[Span]:
    """Find the values of secret names, without quotes and the punctuation around them."""
    if not _has_name(text):
        return
    position = 0
    while match := _ASSIGNMENT.search(text, position):
        group = next(name for name in ("escaped", "double", "single", "tick", "bare") if match[name] is not None)
        start = match.start(group)
        value = match[group] if group != "bare" else _trim(match[group], is_element=match["separator"] == ">")
        if _is_secret(text, match, value, is_quoted=group != "bare"):
            yield Span(start, start + len(value), "secret")
            position = start + len(value)
        else:
            # A value that is no secret may contain another name. A long one is skipped, to keep the time linear.
            position = match.end() if group == "bare" and len(match[group]) > _LONG else match.end("name")
    for match in _IN_SENTENCE.finditer(text):
        value = match["value"].rstrip(".:?")
        if _is_password(value):
            yield Span(match.start("value"), match.start("value") + len(value), "secret")
    for match in _COMMAND.finditer(text):
        yield Span(match.start("value"), match.end("value"), "secret")
    for pattern in (_WEAK, _KEY_IN_SENTENCE):
        for match in pattern.finditer(text):
            if _looks_random(match["value"]) and not _is_other_key(text, match):
                yield Span(match.start("value"), match.end("value"), "secret")


def _has_name(text: str) -> bool:
    """False if no pattern can match. Searching for words takes a twentieth of the time."""
    folded = text.replace("İ", "i").replace("ı", "i").casefold()
    return any(stem in folded for stem in _STEMS)


def _is_other_key(text: str, match: re.Match[str]) -> bool:
    """True for a key that is no secret, such as a cache key."""
    is_key = match.group()[:3].lower() == "key"
    return is_key and bool(_OTHER_KEYS.search(text[max(0, match.start() - 20) : match.start()]))


def _is_password(value: str) -> bool:
    """True for letters with digits or symbols that are unlikely to be a host name, a version or a time."""
    if len(value) < 8 or _NOT_A_SECRET.fullmatch(value) or re.search(r"[/.:]", value):
        return False
    has_symbol = bool(_SYMBOL.search(value))
    if _is_mixed(value, 8):
        return has_symbol or not (value.islower() or value.isupper())
    return has_symbol and len(_CASE_CHANGE.findall(value)) >= 3


def _trim(value: str, *, is_element: bool) -> str:
    if is_element:
        value = value.partition("<")[0]
    while value and (value[-1] in ".,;:" or (value[-1] in ")]}>" and "([{<"[")]}>".index(value[-1])] not in value)):
        value = value[:-1]
    return value


def _is_secret(text: str, match: re.Match[str], value: str, *, is_quoted: bool) -> bool:
    name, separator = match["name"].lower(), match["separator"].strip(" \t:").lower()
    before = text[max(0, match.start() - 60) : match.start()]
    is_password = name.startswith(("pass", "pwd"))
    if (name in _NEED_DIGITS and not _is_mixed(value, 6)) or not value:
        return False
    if _NOT_A_SECRET.fullmatch(value) or (name == "token" and _OTHER_TOKENS.search(before[-12:])):
        return False
    if ":" in match["separator"] and "=" not in separator:
        return _follows_colon(text, match, value, before, is_quoted=is_quoted, is_password=is_password)
    if "=" in separator or separator == ">":
        return is_quoted or not ("==" in separator or _VARIABLE.fullmatch(value))
    if separator in ("is", "was"):
        return _is_mixed(value, 8) or (is_quoted and is_password and not re.search(r"\s", value))
    return bool(_FLAG.search(before) and not value.startswith("-")) or _looks_random(value)


def _follows_colon(
    text: str, match: re.Match[str], value: str, before: str, *, is_quoted: bool, is_password: bool
) -> bool:
    """A colon also ends a clause: the value must not read as the rest of a sentence."""
    if is_quoted:
        return len(value.split()) <= 4
    if value.isdecimal():
        return is_password and len(value) >= 4
    if _WORD.fullmatch(value):
        is_whole_line = text[match.end() : match.end() + 1] in ("", "\n", "\r", "\x00")
        return is_whole_line and value == match["bare"] and bool(_LINE_START.search(before))
    return len(value) >= 4


def _is_mixed(value: str, least: int) -> bool:
    """True for letters and digits together, which is rare in words."""
    return len(value) >= least and " " not in value and bool(_DIGIT.search(value) and _LETTER.search(value))


def _looks_random(value: str) -> bool:
    if not (_is_mixed(value, 16) or _BASE64.fullmatch(value)) or _UUID.fullmatch(value):
        return False
    if sum(part.isalpha() and part.islower() and len(part) > 2 for part in re.split("[-_/.=]", value)) >= 2:
        return False
    bits_per_character = -sum(n / len(value) * math.log2(n / len(value)) for n in Counter(value).values())
    return bits_per_character >= 2.8
