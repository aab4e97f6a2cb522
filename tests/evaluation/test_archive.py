"""Runs are found by folder, name, beginning, tag or `latest`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from triage.domain.errors import InvalidInput, NotFound
from triage.evaluation import Suite
from triage.evaluation.archive import Archive, listed

from .records import record, write_run


@pytest.fixture
def archive(tmp_path: Path, write_suite: Callable[..., Suite]) -> Archive:
    for name in ("small-aaaa", "small-abbb"):
        write_run(tmp_path / "runs" / name, write_suite(), [record("a", ["power"], ["power"])])
    write_run(tmp_path / "runs" / "other-cccc", write_suite(name="other"), [record("a", ["power"], ["power"])])
    return Archive(tmp_path / "runs")


def test_a_run_is_found_by_what_people_type(archive: Archive) -> None:
    for name in ("small-aaaa", "small-aa", str(archive.root / "small-aaaa")):
        assert archive.find(name).folder.name == "small-aaaa"
    assert archive.find("latest", "other").folder.name == "other-cccc"
    with pytest.raises(InvalidInput, match="matches several runs: small-a"):
        archive.find("small-")
    with pytest.raises(NotFound, match="There are: "):
        archive.find("nothing")


def test_a_tag_belongs_to_one_run_of_each_suite(archive: Archive) -> None:
    assert archive.tag(archive.find("small-aaaa"), "main") is None
    assert archive.tag(archive.find("small-abbb"), "main") == "small-aaaa"
    archive.tag(archive.find("other-cccc"), "main")
    assert archive.find("main", "small").folder.name == "small-abbb"
    assert archive.find("main", "other").folder.name == "other-cccc"
    with pytest.raises(InvalidInput, match="several runs"):
        archive.find("main")
    assert {one.run: one.tags for one in listed(archive)} == {
        "small-aaaa": (),
        "small-abbb": ("main",),
        "other-cccc": ("main",),
    }


@pytest.mark.parametrize("tag", ["latest", "a/b", "", "../x"])
def test_a_tag_is_a_plain_word(archive: Archive, tag: str) -> None:
    with pytest.raises(InvalidInput, match="Invalid tag"):
        archive.tag(archive.find("small-aaaa"), tag)


def test_a_damaged_folder_hides_no_other_run(archive: Archive) -> None:
    (archive.root / "small-aaaa" / "run.json").write_text("{")
    assert {path.name for path, _ in archive.infos()} == {"small-abbb", "other-cccc"}
