"""Tables as CSV, as JSON and as people read them."""

from __future__ import annotations

import csv
import io
import json

import pytest

from triage.render.tables import Cell, Column, Kind, Row, Table, as_csv, as_json, format_cell

TABLE = Table(
    "kinds",
    "Kinds",
    "Shares of 3 incidents.",
    (Column("kind"), Column("incidents", "count"), Column("share", "share"), Column("share", "share")),
    (
        Row(("network", 2, 2 / 3, None), ("a", "b")),
        Row(("=cmd|'/c calc'!A1", 1, 1 / 3, float("nan")), ("-c",)),
    ),
)


def test_json_holds_cells_unrounded_by_the_key_of_their_column() -> None:
    told = json.loads(json.dumps(as_json(TABLE), allow_nan=False))
    assert (told["id"], told["section"], told["caption"]) == ("kinds", "", "Shares of 3 incidents.")
    assert told["columns"][2] == {"key": "share", "name": "share", "kind": "share"}
    assert told["columns"][3]["key"] == "share (2)"
    assert told["rows"][0] == {
        "cells": {"kind": "network", "incidents": 2, "share": 2 / 3, "share (2)": None},
        "incident_ids": ["a", "b"],
    }
    assert told["rows"][1]["cells"]["share (2)"] is None


def test_csv_holds_figures_unrounded_and_runs_no_text_as_a_formula() -> None:
    header, first, second = csv.reader(io.StringIO(as_csv(TABLE)))
    assert header == ["kind", "incidents", "share", "share", "incident_ids"]
    assert first == ["network", "2", str(2 / 3), "", "a;b"]
    assert (second[0], second[-1]) == ("'=cmd|'/c calc'!A1", "'-c")


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n"])
def test_a_line_end_in_a_text_begins_no_row_of_its_own_in_a_spreadsheet(end: str) -> None:
    text = f"safe{end}=cmd|'/c calc'!A1"
    table = Table("kinds", "Kinds", "", (Column("kind"),), (Row((text,)), Row((f"{end}=1",))))
    told = as_csv(table)
    assert list(csv.reader(io.StringIO(told, newline="")))[1:] == [[text, ""], [f"'{end}=1", ""]]
    assert f'"{text}"' in told


@pytest.mark.parametrize(
    ("cell", "kind", "text"),
    [
        (None, "share", ""),
        ("as it is", "number", "as it is"),
        (1, "share", "100%"),
        (0.25, "share", "25%"),
        (0.034, "share", "3.4%"),
        (0.967, "share", "96.7%"),
        (0, "share", "0%"),
        (0.9996, "share", ">99.9%"),
        (0.9994, "share", "99.9%"),
        (0.0004, "share", "<0.1%"),
        (0.0006, "share", "0.1%"),
        (4.25, "minutes", "4.2"),
        (1234.5, "minutes", "1,234"),
        (12345, "count", "12,345"),
        (0.12345, "number", "0.123"),
        (0, "number", "0"),
        (0.7, "number", "0.7"),
        (-0.0345, "number", "-0.0345"),
        (99.96, "number", "100"),
        (1234.5, "number", "1,234"),
        (2_000_000.0, "number", "2,000,000"),
        (0.00012, "number", "0.00012"),
        (0.00001, "number", "<0.0001"),
        (-1e-300, "number", ">-0.0001"),
        (float("nan"), "number", "nan"),
    ],
)
def test_cells_are_written_by_their_kind(cell: Cell, kind: Kind, text: str) -> None:
    assert format_cell(cell, kind) == text
