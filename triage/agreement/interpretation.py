"""A figure of agreement in words: how good it is, and cautions."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import BaseModel

from triage.agreement.alpha import Alpha
from triage.agreement.balance import Balance
from triage.agreement.kappa import Kappa

_BANDS = {0.8: "almost perfect", 0.6: "substantial", 0.4: "moderate", 0.2: "fair", 0.0: "slight"}
_HIGH_AGREEMENT = 0.8
_LOW_KAPPA = 0.4
_UNEVEN = 0.8
MEASURED_FROM = 50
"""The fewest incidents for which the coverage of the intervals was measured (evals/bench/coverage.py)."""


class Reading(BaseModel, frozen=True):
    """What a figure means. `band` is None if it is undefined; `lowest` is the band of its interval's low end.

    `text` names the bands; `cautions` may be empty.
    """

    band: str | None
    lowest: str | None = None
    text: str
    cautions: tuple[str, ...] = ()

    def __str__(self) -> str:
        return " ".join((self.text, *self.cautions))


def band(value: float) -> str:
    """The name by convention of a kappa of this size.

    Source: J. R. Landis & G. G. Koch, The measurement of observer agreement for categorical data, Biometrics 33 (1977).

    >>> band(0.6), band(0.61), band(-0.1)
    ('moderate', 'substantial', 'poor')
    """
    if value == 0:
        return "slight"
    return next((name for above, name in _BANDS.items() if value > above), "poor")


def read(figure: Kappa | Alpha, balance: Balance | None = None) -> Reading:
    """The figure in words; with `balance` also whether unevenly used labels distort it."""
    if figure.value is None:
        all_agree = isinstance(figure, Kappa) and figure.observed == 1 and figure.n
        caution = "All agree, but on one label: it takes incidents of other kinds to see whether they are told apart."
        return Reading(
            band=None, text=f"It can't be told: {figure.undefined}.", cautions=(caution,) if all_agree else ()
        )
    name, interval = band(figure.value), figure.interval
    lowest, highest = (band(interval.low), band(interval.high)) if interval else (None, None)
    text = f"{name[0].upper()}{name[1:]} agreement ({figure.value:.2f})"
    if lowest != highest:
        text = f"{text}; its interval reaches from {lowest} to {highest}, and more incidents would narrow it"
    return Reading(
        band=name,
        lowest=lowest,
        text=f"{text}.",
        cautions=tuple(_cautions(figure, balance)),
    )


def _cautions(figure: Kappa | Alpha, balance: Balance | None) -> Iterator[str]:
    if figure.n < MEASURED_FROM:
        yield f"Only {figure.n} incidents: take the figure as a first impression."
    if isinstance(figure, Kappa):
        yield from _about_balance(figure, balance)
        if figure.weights is not None:
            yield f"The names of the bands are meant for plain kappa; {figure.weights} weights mostly give more."


def _about_balance(figure: Kappa, balance: Balance | None) -> Iterator[str]:
    if balance is None or balance.share is None:
        return
    if figure.value is None or figure.observed is None or figure.expected is None:
        return
    uneven = f"{balance.common!r} is {balance.share:.0%} of all labels"
    pabak = "" if balance.pabak is None else f" (PABAK, as if all labels were equally frequent: {balance.pabak:.2f})"
    if figure.observed >= _HIGH_AGREEMENT and figure.value <= _LOW_KAPPA:
        # A. R. Feinstein & D. V. Cicchetti, High agreement but low kappa, Journal of Clinical Epidemiology 43 (1990).
        yield (
            f"They agree in {figure.observed:.0%}, and kappa is low all the same: {uneven}, so chance alone gives "
            f"{figure.expected:.0%}{pabak}. Look at the rarer labels one by one."
        )
    elif balance.share >= _UNEVEN:
        yield f"{uneven}: kappa rests on the few other incidents{pabak}."
