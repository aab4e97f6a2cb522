"""Embeddings from an OpenAI-compatible endpoint."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import openai

from triage.domain.errors import ModelUnavailable
from triage.models.chat.retry import EMBEDDING, Retries
from triage.models.chat.tracing import Endpoint
from triage.models.embedding import Vectors, normalise
from triage.observability.spans import span as open_span

_BATCH = 128
_MAX_CHARACTERS = 24_000


class OpenAIEmbedder:
    """A remote embedding model. Its fingerprint names model and endpoint, so that vectors of two never mix."""

    def __init__(self, model: str, base_url: str | None, api_key: str, deadline_s: float = 30.0) -> None:
        self._model = model
        self._api_key = api_key
        self._deadline_s = deadline_s
        self._client = openai.AsyncOpenAI(
            api_key=api_key, base_url=base_url, max_retries=0, http_client=openai.DefaultAioHttpClient()
        )
        self.fingerprint = f"{model}@{self._client.base_url.host}"
        self._span_attributes = Endpoint.of("openai", str(self._client.base_url)).attributes("embeddings", model)

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Vectors of shape (len(texts), dimension), each of length 1. Raises `ModelUnavailable`."""
        batches = [texts[i : i + _BATCH] for i in range(0, len(texts), _BATCH)]
        return np.concatenate([await self._embed_batch([t[:_MAX_CHARACTERS] for t in batch]) for batch in batches])

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def _embed_batch(self, texts: list[str]) -> Vectors:
        async def call() -> openai.types.CreateEmbeddingResponse:
            return await self._client.embeddings.create(model=self._model, input=texts, encoding_format="float")

        with open_span(f"embeddings {self._model}", self._span_attributes, kind="client") as span:
            response, _ = await Retries(settings=EMBEDDING, secret=self._api_key).call(call, self._deadline_s)
            span.set({"gen_ai.usage.input_tokens": response.usage.prompt_tokens if response.usage else None})
        if len(response.data) != len(texts):
            raise ModelUnavailable(
                f"The embedding endpoint returned {len(response.data)} vectors for {len(texts)} texts: "
                "check TRIAGE_EMBEDDING_MODEL and TRIAGE_EMBEDDING_BASE_URL."
            )
        return normalise(np.array([item.embedding for item in response.data], dtype=np.float32))
