"""One chart of every shape, with names that are hard to draw."""

from __future__ import annotations

from datetime import date, timedelta

from triage.render.charts import (
    Chart,
    Covered,
    Goal,
    Level,
    Median,
    Moment,
    Month,
    Series,
    Share,
    Stated,
    confusion_chart,
    coverage_chart,
    medians_chart,
    months_chart,
    over_time_chart,
    panels_chart,
    reliability_chart,
    seconds_chart,
    shares_chart,
)

HOSTILE = (
    "</svg><script>alert(1)</script>",
    'A" style="fill: red" id="x" & <b>bold</b> #010203',
    "costs $5 or $x^2$ a month",
    "انقطاع في الخدمة \u202e reversed\x00",
    "設備故障による停止が長く続いた場合の名前",
    "a very long name of a label that no one would ever give and that someone did give all the same",
)
NAMES = ("Infrastructure", "Operational", "Inference engine", "Model configuration", *HOSTILE)
STARTS = date(2025, 11, 3)


def all_charts() -> list[Chart]:
    """Every shape, each with an id of its own."""
    months = [Month(f"{2020 + n // 12}-{n % 12 + 1:02}", (n * 7) % 11 + (n > 40) * 6) for n in range(70)]
    days = [STARTS + timedelta(days=7 * n) for n in range(26)]
    kappas = [None if n in {4, 5, 6, 20} else 0.55 + 0.004 * n + 0.05 * ((n * 5) % 3) for n in range(26)]
    bins = tuple(
        Stated(s, r, 24, (max(r - 0.17, 0), min(r + 0.14, 1)))
        for s, r in ((0.41, 0.3), (0.55, 0.61), (0.7, 0.66), (0.84, 0.9), (0.97, 1.0))
    )
    before = Series("before, ECE 0.121", tuple(Stated(one.stated, one.right**2, 24) for one in bins))
    seconds = [0.2 * 1.15**n for n in range(40)]
    curve = [Covered(n / 50, 1 - 0.35 * (n / 50) ** 2) for n in range(1, 51)]
    reliability = reliability_chart("reliability", "Reliability: category", "On the dotted line all comes true.", bins)
    coverage = coverage_chart("coverage", "Risk and coverage", "n = 50.", curve, 0.8, Covered(0.7, 0.83))
    return [
        shares_chart(
            "shares",
            "Category",
            "Share of each label (dot) with its 95% interval (band); n = 122.",
            [
                Share(name, 0.385 / (n + 1), (0.30 / (n + 1), 0.47 / (n + 1)), f"{round(47 / (n + 1))} of 122")
                for n, name in enumerate(NAMES)
            ],
            "of the incidents that tell it",
        ),
        shares_chart("one-share", "Noticed", "Of 12.", [Share("by machines", 1.0, (0.76, 1.0), "12 of 12")]),
        medians_chart(
            "medians",
            "Time to mitigate",
            "Median (dot), its 95% interval (band) and the middle half (line), by category.",
            [
                Median("all", 5_700, (4_400, 8_000), (1_900, 30_000), "n = 93"),
                Median(NAMES[0], 42_000, (None, None), (3_000, None), "n = 7"),
                Median(NAMES[-1], 900, (30, 2_000), (0, 4_000), "n = 31"),
                Median(NAMES[7], 190_000, (90_000, 400_000), (50_000, 900_000), "n = 12"),
            ],
        ),
        months_chart(
            "months",
            "Incidents by month",
            "Lines are the levels before and from 2023-06.",
            months,
            [Level("2020-01", "2023-05", 5.1), Level("2023-06", "2025-10", 11.4)],
            "incidents a month",
        ),
        months_chart("few-months", "Few months", "n = 20.", months[-3:]),
        reliability,
        reliability_chart("before-after", "Before and after", "n = 120.", bins, "calibrated, ECE 0.043", before),
        coverage,
        confusion_chart(
            "confusion",
            "Category: people and model",
            "n = 122. The fill is the share of the row; equal labels are framed.",
            NAMES[:4],
            [[41, 3, 2, 1], [5, 38, 0, 4], [1, 2, 15, 0], [0, 1, 0, 9]],
        ),
        confusion_chart(
            "wide-confusion",
            "Failure mode: people and model",
            "n = 4,000.",
            [f"{name} {n}" for n in range(2) for name in NAMES],
            [[1200 if i == j else (i * j) % 7 if (i + j) % 3 == 0 else 0 for j in range(20)] for i in range(20)],
        ),
        over_time_chart(
            "over-time",
            "Agreement over time",
            "Kappa of model and people over 90 days, with its 95% interval; gaps have too few labels.",
            [
                Moment(day, kappa, None if kappa is None else (kappa - 0.12, min(kappa + 0.1, 1)), 40 + n)
                for n, (day, kappa) in enumerate(zip(days, kappas, strict=True))
            ],
            Goal(0.6, "gate 0.60"),
            "kappa",
        ),
        over_time_chart("lone-moment", "One day", "n = 20.", [Moment(STARTS, 0.4, (-0.1, 0.8), 20)], up="kappa"),
        seconds_chart("seconds", "Seconds of a case", "n = 40.", seconds, {"median": 3.1, "p95": 40.0}),
        panels_chart("panels", "Calibration of the category", "Fitted on a run.", [reliability, coverage]),
        shares_chart("nothing", "Nothing", "Of none.", []),
    ]
