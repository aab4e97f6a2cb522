"""Tokens recognised by their shape: the prefixes of providers' keys."""

from __future__ import annotations

import re
from collections.abc import Iterator

from triage.redaction.redacted import Span

# Patterns have no upper length: providers change lengths, and a cut-off secret is still a secret.
_SHAPES: dict[str, tuple[str, ...]] = {
    "jwt": (r"eyJ[\w-]{5,}\.[\w-]{5,}(?:\.[\w-]*)*",),
    "aws_key": (r"(?:AKIA|ASIA|ABIA|ACCA|AGPA|AIDA|AROA|ANPA|ANVA|A3T[A-Z0-9])[A-Z0-9]{12,}",),
    "gcp_key": (r"AIza[\w-]{30,}", r"ya29\.[\w.-]{10,}", r"GOCSPX-[\w-]{16,}", r"1//0[\w-]{30,}"),
    "azure_key": (r"(?<![\w~.-])[\w~.-]{3}[0-9]Q~[\w~.-]{31,}",),
    "github_token": (r"gh[pousr]_\w{20,}", r"github_pat_\w{20,}"),
    "gitlab_token": (r"gl(?:pat|dt|ft|soat|rt|cbt|imt|ptt|agent|oas|ffct)-[\w.-]{16,}", r"GR1348941[\w-]{16,}"),
    "slack_token": (r"xox[a-z](?:\.xox[a-z])?-[\w-]{10,}", r"xapp-[\w-]{10,}"),
    "stripe_key": (r"[srp]k_(?:live|test)_[A-Za-z0-9]{10,}", r"whsec_[A-Za-z0-9+/=]{16,}"),
    "anthropic_key": (r"sk-ant-[\w-]{16,}",),
    "openai_key": (r"sk-(?=[A-Za-z_-]{0,60}[0-9])[\w-]{20,}", r"sess-[A-Za-z0-9]{40,}"),
    "huggingface_token": (r"(?:hf|api_org)_[A-Za-z0-9]{30,}",),
    "npm_token": (r"npm_[A-Za-z0-9]{30,}",),
    "pypi_token": (r"pypi-[\w-]{40,}",),
    "token": (
        r"SG\.[\w-]{16,}\.[\w-]{16,}",  # SendGrid
        r"(?:AC|SK)[0-9a-f]{32}",  # Twilio
        r"[0-9]{8,10}:AA[\w-]{33,}",  # Telegram
        r"[MNO][\w-]{23,27}\.[\w-]{6}\.[\w-]{27,}",  # Discord
        r"do[opr]_v1_[0-9a-f]{64}",  # DigitalOcean
        r"dapi[0-9a-f]{32}(?:-[0-9])?",  # Databricks
        r"glsa_[A-Za-z0-9]{32}_[0-9a-f]{8}",  # Grafana
        r"hv[sbr]\.[\w-]{20,}",  # Vault
        r"AGE-SECRET-KEY-1[A-Z0-9]{58}",
        r"key-[0-9a-f]{32}",  # Mailgun
        r"shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}",  # Shopify
        r"(?:gsk|r8|fw|ntn|lin_api|sntry[su]|tvly|dckr_pat|dp\.pt|PMAK|rubygems)[_.-][A-Za-z0-9=/+_-]{30,}",
        r"(?:xai|nvapi|pplx|tgp_v1|jina|lsv2_[ps]t)[-_][\w-]{30,}",
    ),
}
# At the start of a word, or after an escape in a URL or a log line.
_START = r"(?:(?<![A-Za-z0-9])|(?<=%[0-9A-F]{2})|(?<=\\[nrt]))"
_TOKEN = re.compile(
    _START + "(?:" + "|".join(f"(?P<{kind}>{'|'.join(shapes)})" for kind, shapes in _SHAPES.items()) + ")", re.ASCII
)
# Tokens are part of such runs. Few words are as long, so most of a text is skipped.
_LONG_RUN = re.compile(r"[\w.~/+=:%\\-]{16,}", re.ASCII)


def find(text: str) -> Iterator[Span]:
    """Find tokens of known providers."""
    for run in _LONG_RUN.finditer(text):
        for match in _TOKEN.finditer(run.group()):
            token = match.group().rstrip(".-")
            start = run.start() + match.start()
            yield Span(start, start + len(token), match.lastgroup or "token")
