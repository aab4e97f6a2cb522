"""Personal data with a recognisable shape: e-mail and network addresses, phone, card and account numbers."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator

from triage.redaction.redacted import Span

KINDS = ("email", "ip", "mac", "phone", "card", "iban")

_EMAIL = re.compile(r"(?<![\w.+%-])(?P<local>[\w.+%-]+)@(?P<domain>(?:[\w-]+\.)+[^\W\d_]{2,24})(?![\w@-])")
_FILE_ENDINGS = (".png", ".jpg", ".jpeg", ".gif", ".svg", ".webp", ".py", ".js", ".ts", ".service", ".timer", ".socket")
_IPV4 = re.compile(r"(?<![\w.])(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?![\w]|\.[0-9]|[-.](?:py[0-9]|linux|tar|whl|zip|deb|rpm))")
# Some version numbers have four parts too.
_VERSION_WORDS = frozenset(
    [
        "version",
        "ver",
        "release",
        "build",
        "driver",
        "firmware",
        "revision",
        "rule",
        "section",
        "chapter",
        "chrome",
        "chromium",
        "edg",
        "opr",
        "crios",
    ]
)
_LETTERS = re.compile("[a-z]+")
_LINKING_WORDS = frozenset(["is", "was", "number", "no", "to"])
_PACKAGE = re.compile(r"(?:-cu[0-9]{2}|nvidia|cuda|cudnn|nccl)[^\s]*\s*\Z|[=~<>!]=[ \t]*\Z", re.IGNORECASE)
_IPV6 = re.compile(r"(?<![\w:.])(?=[0-9A-Fa-f:]{0,5}:)[0-9A-Fa-f:]+(?:\.[0-9]{1,3}){0,3}(?:%[\w.-]{1,16})?(?![\w])")
_MAC = re.compile(
    r"(?<![\w:.-])(?:[0-9A-Fa-f]{2}(?P<by>[:-])(?:[0-9A-Fa-f]{2}(?P=by)){4}[0-9A-Fa-f]{2}|(?:[0-9A-Fa-f]{4}\.){2}[0-9A-Fa-f]{4})"
    r"(?![\w]|[:.-][0-9A-Fa-f])"
)
_PHONE = re.compile(
    r"(?<![\w+.@/-])\+[1-9](?:[ .\-()]{0,2}[0-9]){7,14}(?![\w]|[.,:][0-9]|%)"
    r"|(?<![\w+.\-/)])(?:1[ .-])?(?:\([2-9][0-9]{2}\)[ ]?|[2-9][0-9]{2}(?P<by>[-. ]))[2-9][0-9]{2}(?:(?P=by)|(?<=\)....)[- ]|(?<=\)...)[- ])"
    r"[0-9]{4}(?![\w]|[-.][0-9])"
)
_PHONE_NAMED = re.compile(
    r"\b(?:phone|telephone|tel|mobile|cell|whatsapp|fax|pager|sms|dial|hotline|call)"
    r"(?:[ ]?(?:number|no\.?|line|at|us at|me at|on|is|was)){0,2}[ \t]?[:=#]?[ \t]?[\"'(]?"
    r"(?P<value>\(?[0-9](?:[ .\-()/]{0,2}[0-9]){6,14})(?![\w])",
    re.IGNORECASE,
)
_CARD = re.compile(
    r"(?<![\w.:/-])[2-6][0-9]{3}(?:(?P<by>[ -]?)[0-9]{4,6}){1}(?:(?P=by)[0-9]{2,7}){1,3}(?![\w]|[-.:][0-9])"
)
_CARD_PREFIX = re.compile(
    r"4|5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720|3[47]|6011|64[4-9]|65|35(?:2[89]|[3-8])|30[0-5]|36|38|39|62|5[06-8]"
)
_ID_BEFORE = re.compile(
    r"(?:\b|_)(?:id|ids|trace|span|seq|offset|hash|timestamp|ts|epoch|seed|rnd|ticket|incident|bytes)[\"']?[ =:#]{0,3}\Z",
    re.IGNORECASE,
)
# Every phone and card number contains this.
_DIGITS_IN_A_ROW = re.compile(r"[0-9](?:[ .\-()/]{0,2}[0-9]){6}")
_IBAN = re.compile(r"(?<![A-Za-z0-9])[A-Z]{2}[0-9]{2}(?:[ ]?[A-Z0-9]{4}){2,7}(?:[ ]?[A-Z0-9]{1,3})?(?![A-Za-z0-9])")
_IBAN_LENGTHS = {
    n: frozenset(countries.split())
    for n, countries in {
        15: "NO", 16: "BE", 18: "DK FI FO GL NL SD FK", 19: "MK SI", 20: "AT BA EE KZ LT LU XK MN",
        21: "CH HR LI LV", 22: "BG BH CR DE GB GE IE ME RS VA", 23: "AE GI IL IQ OM TL SO",
        24: "AD CZ ES MD PK RO SA SE SK TN VG DZ", 25: "PT", 26: "IS TR", 27: "FR GR IT MC MR SM BI DJ",
        28: "AL AZ BY CY DO GT HU LB NI PL SV", 29: "BR EG PS QA UA", 30: "JO KW MU", 31: "MT SC", 32: "LC", 33: "RU",
    }.items()
}  # fmt: skip


def find(text: str) -> Iterator[Span]:
    """Find addresses and phone, card and account numbers. Skips loopback addresses, netmasks and version numbers."""
    if "@" in text:
        yield from _emails(text)
    yield from _networks(text)
    yield from _numbers(text)


def _emails(text: str) -> Iterator[Span]:
    for match in _EMAIL.finditer(text):
        if match["local"] in ("git", "hg") or match["domain"].lower().endswith(_FILE_ENDINGS):
            continue
        yield Span(match.start() + len(match["local"]) - len(match["local"].lstrip(".-%")), match.end(), "email")


def _networks(text: str) -> Iterator[Span]:
    for match in _IPV4.finditer(text):
        numbers = [int(part) for part in match.group().split(".")]
        names_nobody = numbers[0] in (0, 127) or numbers[:2] == [255, 255]
        if max(numbers) <= 255 and not names_nobody and not _is_version(_before(text, match, 48)):
            yield Span(match.start(), match.end(), "ip")
    for match in _IPV6.finditer(text):
        address = match.group() if match.group().endswith("::") else match.group().rstrip(":")
        if _is_ipv6(address):
            yield Span(match.start(), match.start() + len(address), "ip")
    for match in _MAC.finditer(text):
        # Only digits between hyphens or dots: more likely a time or a version.
        if match["by"] == ":" or re.search("[A-Fa-f]", match.group()):
            yield Span(match.start(), match.end(), "mac")


def _is_version(before: str) -> bool:
    words = _LETTERS.findall(before.lower())[-2:]
    if words and words[-1] in _LINKING_WORDS:
        words.pop()
    return (bool(words) and words[-1] in _VERSION_WORDS) or bool(_PACKAGE.search(before))


def _is_ipv6(address: str) -> bool:
    """A slice such as `1::2` and names with two colons such as `ab::cd` are code rather than addresses."""
    address = address.partition("%")[0]
    if not 6 <= len(address) <= 45 or address.count(":") < 2 or len(address) - address.count(":") < 5:
        return False
    try:
        socket.inet_pton(socket.AF_INET6, address)
    except OSError:
        return False
    return any(c.isdecimal() for c in address)


def _numbers(text: str) -> Iterator[Span]:
    # Most texts have no such row of digits, and looking for one is ten times as fast.
    if _DIGITS_IN_A_ROW.search(text):
        yield from _phones_and_cards(text)
    for match in _IBAN.finditer(text):
        if _is_iban(match.group().replace(" ", "")):
            yield Span(match.start(), match.end(), "iban")


def _phones_and_cards(text: str) -> Iterator[Span]:
    for match in _PHONE.finditer(text):
        # A signed amount has no gaps and seldom ten digits.
        if sum(c.isdigit() for c in match.group()) >= (10 if match.group()[1:].isdigit() else 8):
            yield Span(match.start(), match.end(), "phone")
    for match in _PHONE_NAMED.finditer(text):
        if not match.group().lower().startswith("call") or re.search("[ .()-]", match["value"]):
            yield Span(match.start("value"), match.end("value"), "phone")
    for match in _CARD.finditer(text):
        length = _card_length(match.group(), match["by"])
        if length and not _ID_BEFORE.search(_before(text, match, 16)):
            yield Span(match.start(), match.start() + length, "card")


def _before(text: str, match: re.Match[str], characters: int) -> str:
    return text[max(0, match.start() - characters) : match.start()]


def _card_length(groups: str, separator: str) -> int:
    """The length of the card number at the start of these groups, which a date may follow; 0 if there is none."""
    while groups:
        if _is_card(re.sub("[ -]", "", groups)):
            return len(groups)
        groups = groups.rpartition(separator)[0] if separator else ""
    return 0


def _is_card(digits: str) -> bool:
    """True if the issuer's prefix, the length, and the check digit of ISO/IEC 7812-1 (Luhn) are right."""
    if not 13 <= len(digits) <= 19 or not _CARD_PREFIX.match(digits):
        return False
    doubled = [sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2]]
    return (sum(map(int, digits[-1::-2])) + sum(doubled)) % 10 == 0


def _is_iban(account: str) -> bool:
    """True if country, length and check digits are right (ISO 13616)."""
    if account[:2] not in _IBAN_LENGTHS.get(len(account), ()):
        return False
    return int("".join(str(int(c, 36)) for c in account[4:] + account[:4])) % 97 == 1
