"""A share of cases with its Wilson interval, which holds for few cases and for shares near 0 and 1 too."""

from __future__ import annotations

import math

from pydantic import BaseModel, Field

_Z = 1.959964


class Proportion(BaseModel, frozen=True):
    """How many of `n` cases were hits."""

    hits: int = Field(ge=0)
    n: int = Field(ge=0)

    @property
    def share(self) -> float | None:
        """Hits over cases; None without cases."""
        return self.hits / self.n if self.n else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95% score interval; None without cases.

        Source: E. B. Wilson, Probable inference, the law of succession, and statistical inference, Journal of the
        American Statistical Association 22 (1927).
        """
        if not self.n:
            return None
        share, z2 = self.hits / self.n, _Z**2
        middle = (share + z2 / (2 * self.n)) / (1 + z2 / self.n)
        half = _Z / (1 + z2 / self.n) * math.sqrt(share * (1 - share) / self.n + z2 / (4 * self.n**2))
        return max(0.0, middle - half), min(1.0, middle + half)

    def __str__(self) -> str:
        """The share with its interval.

        >>> str(Proportion(hits=19, n=20))
        '95.0% [76.4%, 99.1%]'
        """
        if self.share is None or self.interval is None:
            return "none"
        low, high = self.interval
        return f"{self.share:.1%} [{low:.1%}, {high:.1%}]"
