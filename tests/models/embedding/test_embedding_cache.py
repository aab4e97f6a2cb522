from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from tests.parts import HashingEmbedder
from triage.domain.errors import InvalidInput
from triage.models.embedding.cache import CachedEmbedder, embed_cached

TEXTS = ["The node lost power.", "A rollout failed."]


async def test_what_was_embedded_once_is_read_from_the_folder(tmp_path: Path) -> None:
    first, second = HashingEmbedder(), HashingEmbedder()
    made = await embed_cached(first, TEXTS, tmp_path / "kept")
    read = await embed_cached(second, TEXTS, tmp_path / "kept")

    assert (first.embedded, second.embedded) == (2, 0)
    assert (made == read).all()
    assert (tmp_path / "kept").stat().st_mode & 0o077 == 0


async def test_other_texts_and_other_embedders_miss_the_cache(tmp_path: Path) -> None:
    await embed_cached(HashingEmbedder(), TEXTS, tmp_path)
    changed, other = HashingEmbedder(), HashingEmbedder("another")
    await embed_cached(changed, TEXTS[::-1], tmp_path)
    await embed_cached(other, TEXTS, tmp_path)

    assert (changed.embedded, other.embedded) == (2, 2)


@pytest.mark.parametrize("damage", [b"", b"\x93NUMPY\x01\x00v", b"no array"])
async def test_a_damaged_file_is_replaced(tmp_path: Path, damage: bytes) -> None:
    made = await embed_cached(HashingEmbedder(), TEXTS, tmp_path)
    (file,) = tmp_path.iterdir()
    file.write_bytes(damage)
    again, after = HashingEmbedder(), HashingEmbedder()

    assert (await embed_cached(again, TEXTS, tmp_path) == made).all()
    await embed_cached(after, TEXTS, tmp_path)
    assert (again.embedded, after.embedded) == (2, 0)


async def test_a_truncated_or_inconsistent_file_is_replaced(tmp_path: Path) -> None:
    made = await embed_cached(HashingEmbedder(), TEXTS, tmp_path)
    (file,) = tmp_path.iterdir()
    for wrong in (made[:1], made[0], made.astype(np.float64)):
        np.save(file, wrong)
        again = HashingEmbedder()
        assert (await embed_cached(again, TEXTS, tmp_path) == made).all()
        assert again.embedded == 2
    file.write_bytes(file.read_bytes()[:-4])
    assert (await embed_cached(HashingEmbedder(), TEXTS, tmp_path) == made).all()


async def test_a_folder_that_cannot_be_written_is_ignored(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    made = await embed_cached(HashingEmbedder(), TEXTS, tmp_path / "file" / "kept")

    assert (made == await HashingEmbedder().embed(TEXTS)).all()


async def test_only_the_latest_files_are_kept(tmp_path: Path) -> None:
    for n in range(12):
        await embed_cached(HashingEmbedder(), [f"Text {n}."], tmp_path)
        for file in tmp_path.glob("*.npy"):
            os.utime(file, (file.stat().st_atime, file.stat().st_mtime - 1))

    assert len(list(tmp_path.iterdir())) == 8
    latest = HashingEmbedder()
    await embed_cached(latest, ["Text 11."], tmp_path)
    assert latest.embedded == 0


async def test_no_text_is_embedded_twice_by_one_embedder_or_the_next(tmp_path: Path) -> None:
    first, second, other = HashingEmbedder(), HashingEmbedder(), HashingEmbedder("another")
    path = tmp_path / "cache" / "vectors.db"
    before = CachedEmbedder(first, path)
    made = await before.embed([*TEXTS, TEXTS[0]])
    await before.embed(TEXTS[1:])
    await before.aclose()
    after = CachedEmbedder(second, path)
    read = await after.embed([TEXTS[0], "A disk failed.", TEXTS[1]])
    await CachedEmbedder(other, path).embed(TEXTS)

    assert (first.embedded, second.embedded, other.embedded) == (2, 1, 2)
    assert (made == (await HashingEmbedder().embed([*TEXTS, TEXTS[0]]))).all()
    assert (read[[0, 2]] == made[:2]).all()
    assert after.fingerprint == second.fingerprint


def test_a_file_that_holds_no_vectors_is_named(tmp_path: Path) -> None:
    (tmp_path / "vectors.db").write_bytes(b"no database" * 100)
    with pytest.raises(InvalidInput, match=r"vectors.db can't be read .*: delete the file"):
        CachedEmbedder(HashingEmbedder(), tmp_path / "vectors.db")
