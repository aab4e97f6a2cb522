"""What each shape tells in words and draws: figures, gaps, ends that are not known, too many rows, nothing at all."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.render.charts.samples import all_charts
from triage.render.charts import (
    THEMES,
    Chart,
    Median,
    Moment,
    Month,
    Share,
    as_inline_svg,
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
from triage.render.charts.canvas import drawn
from triage.render.charts.confusion import DARKEST
from triage.render.charts.scales import day_ticks, duration_ticks, month_ticks

CHARTS = {chart.id: chart for chart in all_charts()}


def texts(chart: Chart) -> list[str]:
    """What is written in the chart as wide pages show it."""
    svg = ET.fromstring(f"<page>{as_inline_svg(chart)}</page>")[0]
    return [one.text or "" for one in svg.iter("text")]


def test_shares_tell_counts_and_intervals() -> None:
    chart = shares_chart("a", "A", "Of 12.", [Share("x", 1 / 3, (0.14, 0.61), "4 of 12"), Share("y", 0.01)])
    assert chart.alt == "x: 33%, 4 of 12 (interval 14% to 61%); y: 1.0%."
    written = texts(chart)
    assert {"x", "33%, 4 of 12", "0%", "100%"} <= set(written)
    few = shares_chart("a", "A", "Of 999.", [Share("x", 0.03, (0.02, 0.045))])
    assert "5%" in texts(few)
    assert "100%" not in texts(few)


def test_a_line_ends_before_what_is_told_of_it() -> None:
    chart = shares_chart("a", "A", "Of 156.", [Share("x", 0.2, (0.1, 0.3), "published, of 156 elsewhere")])
    with drawn(chart, chart.size, THEMES["light"], with_heading=False) as (figure, size):
        told = next(one for one in figure.texts if "elsewhere" in one.get_text())
        begins = told.get_window_extent().x0 / figure.bbox.width * size.width
        assert figure.axes[0].get_position().x1 * size.width < begins - 5


def test_rows_beyond_the_most_are_told_of() -> None:
    chart = shares_chart("a", "A", "Of 40.", [Share(f"label {n}", 1 / 40) for n in range(40)])
    assert chart.caption == "Of 40. The first 20 of 40 are drawn."
    assert "label 19" in texts(chart)
    assert "label 20" not in texts(chart)


def test_medians_are_told_in_units_people_use_and_unknown_ends_as_arrows() -> None:
    known = Median("x", 5_700, (3_600, 7_200), None, "n = 9")
    chart = medians_chart("a", "A", "", [known, Median("y", 172_800, (50_000, None))])
    assert chart.alt == "x: 1 h 35 min, n = 9 (interval 1 h to 2 h); y: 2 d (interval 13 h 53 min to unknown)."
    arrows = [
        svg.count("<use") for svg in (as_inline_svg(chart), as_inline_svg(medians_chart("a", "A", "", [known] * 2)))
    ]
    assert arrows[0] > arrows[1]


def test_an_axis_of_durations_encloses_them_with_marks_apart() -> None:
    assert [tick.text for tick in duration_ticks([70, 80], 300)] == ["1 min", "10 min"]
    assert [tick.text for tick in duration_ticks([3_600], 300)] == ["1 h", "6 h"]
    assert duration_ticks([0.0], 300)[0].at == 0.001
    many = duration_ticks([0.5, 86_400 * 40], 280)
    assert many[0].text == "0.1 s"
    assert many[-1].text == "1 y"
    assert len(many) <= 7


@given(st.lists(st.floats(0, 1e12), min_size=1), st.floats(100, 900))
def test_any_durations_have_an_axis(seconds: list[float], room: float) -> None:
    ticks = duration_ticks(seconds, room)
    places = [tick.at for tick in ticks]
    assert len(places) >= 2
    assert places == sorted(set(places))
    # What is beyond all marks is drawn at the end.
    assert places[0] <= max(min(seconds), 0.001)
    assert places[-1] >= min(max(seconds), 36_500 * 86_400)


def test_months_and_days_are_marked_where_years_months_or_days_begin() -> None:
    months = [f"{2020 + n // 12}-{n % 12 + 1:02}" for n in range(70)]
    assert [tick.text for tick in month_ticks(months, 270)] == ["2020", "2022", "2024"]
    assert [tick.text for tick in month_ticks(months[5:8], 270)] == ["2020-06", "2020-07", "2020-08"]
    first = date(2026, 1, 30)
    assert [tick.text for tick in day_ticks(first, first, 270)] == ["2026-01-30"]
    assert [tick.text for tick in day_ticks(first, first + timedelta(days=5), 270)] == [
        "2026-01-30",
        "2026-02-01",
        "2026-02-03",
    ]
    assert [tick.text for tick in day_ticks(first, first + timedelta(days=200), 270)] == [
        "2026-03",
        "2026-05",
        "2026-07",
    ]


def test_months_tell_their_sum_peak_and_levels() -> None:
    chart = CHARTS["months"]
    assert "at most 16 in a month" in chart.alt
    assert "2023-06 to 2025-10: 11.4 a month." in chart.alt
    assert "incidents a month" in texts(chart)


def test_a_line_is_broken_where_the_figure_is_not_known() -> None:
    first = date(2026, 1, 1)
    moments = [
        Moment(first + timedelta(days=n), value)
        for n, value in enumerate([0.5, 0.6, None, 0.7, float("nan"), 0.8, 0.9])
    ]
    chart = over_time_chart("a", "A", "", moments)
    svg = as_inline_svg(chart)
    # Two stretches of two, and a moment alone.
    lines = re.findall(r'<path d="([^"]+)"[^>]*fill="none" stroke="var\(--drawn\)"', svg.split("</svg>")[0])
    assert len([line for line in lines if line.count("L") == 1]) == 2
    assert "not known at 2 of 7 moments" in chart.alt
    assert "first 0.50 on 2026-01-01, last 0.90 on 2026-01-07, lowest 0.50" in chart.alt


def test_an_axis_over_time_reaches_below_0_where_the_figure_does() -> None:
    below = over_time_chart("a", "A", "", [Moment(date(2026, 1, n), -0.3) for n in (1, 2)])
    assert "−0.2" in texts(below)
    assert "0.0" in texts(over_time_chart("a", "A", "", [Moment(date(2026, 1, n), 0.3) for n in (1, 2)]))


def test_a_confusion_leaves_out_what_no_one_said_and_keeps_every_count() -> None:
    counts = [[5, 0, 2, 0], [0, 0, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]]
    chart = confusion_chart("a", "A", "", ["power", "water", "code", "(abstained)"], counts)
    written = texts(chart)
    assert sorted(text for text in written if text.isdigit()) == ["1", "2", "5"]
    assert "water" not in written
    # A label of people stands in both ways, though the model never gave it with right.
    assert written.count("code") == written.count("power") == 2
    assert chart.alt == "power (human): 5 power, 2 code; code (human): 1 power."
    assert "rows: human, columns: model" in written


def test_letters_on_the_fullest_cell_can_be_read_in_every_theme() -> None:
    def luminance(colour: list[float]) -> float:
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    def rgb(colour: str) -> list[float]:
        return [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]

    for colours in THEMES.values():
        cell = [DARKEST * d + (1 - DARKEST) * p for d, p in zip(rgb(colours.drawn), rgb(colours.paper), strict=True)]
        for letters, ground in (
            (colours.ink, cell),
            (colours.ink, rgb(colours.paper)),
            (colours.muted, rgb(colours.paper)),
        ):
            low, high = sorted((luminance(rgb(letters)), luminance(ground)))
            assert (high + 0.05) / (low + 0.05) >= 4.5


def test_panels_hold_each_chart_below_its_title() -> None:
    written = texts(CHARTS["panels"])
    assert {"Reliability: category", "Risk and coverage", "stated probability", "cases answered, surest first"} <= set(
        written
    )


@pytest.mark.parametrize(
    "chart",
    [
        shares_chart("a", "A", "", []),
        medians_chart("a", "A", "", []),
        months_chart("a", "A", "", []),
        reliability_chart("a", "A", "", []),
        coverage_chart("a", "A", "", []),
        confusion_chart("a", "A", "", [], []),
        confusion_chart("a", "A", "", ["x"], [[0]]),
        over_time_chart("a", "A", "", []),
        over_time_chart("a", "A", "", [Moment(date(2026, 1, 1), None)]),
        seconds_chart("a", "A", "", []),
        panels_chart("a", "A", "", []),
    ],
)
def test_without_figures_it_says_so(chart: Chart) -> None:
    assert texts(chart) == ["Nothing to show yet."]
    assert chart.alt == "Nothing to show yet."


def test_a_single_month_and_a_corpus_of_zeros_are_drawn() -> None:
    assert "2026-01" in texts(months_chart("a", "A", "", [Month("2026-01", 0)]))
