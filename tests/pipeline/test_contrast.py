from __future__ import annotations

from evals.bench.learning_curve import RememberingEmbedder
from triage.domain.taxonomy import Taxonomy
from triage.domain.triage_result import FacetResult, LabelProbability
from triage.history import Example
from triage.models.embedding.onnx import MiniLM
from triage.pipeline.classification.likeness import DefinitionReader
from triage.pipeline.classification.sentences import split
from triage.pipeline.contrast import contrast

TAXONOMY = Taxonomy.load("llm_inference")
EMBEDDER = RememberingEmbedder(MiniLM())
NEW = "Completions failed for an hour. The nodes of one rack lost power after a breaker tripped. We apologise."
KNOWN = {
    "power": ("A data hall lost power and its racks went dark.", "infrastructure"),
    "network": ("A fibre between two regions was cut.", "infrastructure"),
    "release": (
        "Completions failed. A release carried a wrong setting and was rolled back.",
        "operational",
    ),
}


async def known(embedder: RememberingEmbedder) -> list[Example]:
    vectors = await embedder.embed([text for text, _ in KNOWN.values()])
    return [
        Example(name, text, vector, {"category": (label,)}, title=name.title(), url=f"https://example.org/{name}")
        for (name, (text, label)), vector in zip(KNOWN.items(), vectors, strict=True)
    ]


async def test_the_nearest_of_either_label_and_the_sentences_that_separate_them() -> None:
    embedder = EMBEDDER
    reader = DefinitionReader(embedder, TAXONOMY)
    likeness, vector = await reader.read(split(NEW)), (await embedder.embed([NEW]))[0]
    result = FacetResult(facet="category", labels=("infrastructure",))
    found = await contrast(result, vector, await known(embedder), likeness, reader)

    assert found is not None
    assert found.sentence is not None
    assert found.sentence.text.startswith("The nodes of one rack lost power")
    same, different = found.contrast.same, found.contrast.different
    assert same is not None
    assert (same.incident_id, same.label) == ("power", "infrastructure")
    assert (different.incident_id, different.label, different.url) == (
        "release",
        "operational",
        "https://example.org/release",
    )
    assert different.sentence == "A release carried a wrong setting and was rolled back."


async def test_an_abstaining_facet_is_contrasted_by_its_likeliest_label() -> None:
    embedder = EMBEDDER
    reader = DefinitionReader(embedder, TAXONOMY)
    likeness, vector = await reader.read(split(NEW)), (await embedder.embed([NEW]))[0]
    likely = (LabelProbability(label="operational", probability=0.4),)
    result = FacetResult(facet="category", labels=(), distribution=likely, abstention="not sure")
    found = await contrast(result, vector, await known(embedder), likeness, reader)

    assert found is not None
    assert found.contrast.different.label == "infrastructure"


async def test_without_another_label_there_is_nothing_to_contrast() -> None:
    embedder = EMBEDDER
    reader = DefinitionReader(embedder, TAXONOMY)
    likeness, vector = await reader.read(split(NEW)), (await embedder.embed([NEW]))[0]
    result = FacetResult(facet="category", labels=("infrastructure",))
    alike = [e for e in await known(embedder) if e.labels["category"] == ("infrastructure",)]

    assert await contrast(result, vector, alike, likeness, reader) is None
    assert await contrast(result, vector, [], likeness, reader) is None
