from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.parts import HashingEmbedder
from triage.domain.taxonomy import Taxonomy
from triage.history import Example
from triage.models.embedding.onnx import MiniLM
from triage.pipeline.classification.likeness import DefinitionReader, moved, phrases, representative
from triage.pipeline.classification.sentences import Sentence, before_resolution, split

TAXONOMY = Taxonomy.load("cloud_faults")
WRITE_UP = (
    "Customers saw errors from 10:02 UTC. Two fibre cables between the data centres were cut by an excavator. "
    "Our status page was updated every half hour. Traffic was moved to the other ring."
)


@pytest.fixture(scope="module")
def reader() -> DefinitionReader:
    return DefinitionReader(MiniLM(), TAXONOMY)


async def test_the_definitions_alone_find_the_label_and_the_sentence_that_shows_it(reader: DefinitionReader) -> None:
    likeness = await reader.read(split(WRITE_UP))
    said = likeness.distributions["root_cause"]

    assert sum(said.values()) == pytest.approx(1)
    assert max(said, key=lambda label: said[label]) == "hardware_failure"
    evidence = likeness.evidence("root_cause", "hardware_failure")
    assert evidence is not None
    assert evidence.text.startswith("Two fibre cables")
    assert WRITE_UP[evidence.start :].startswith(evidence.text)


async def test_what_is_usual_in_the_history_is_taken_off() -> None:
    embedder = HashingEmbedder()
    reader = DefinitionReader(embedder, TAXONOMY)
    sentences = split(WRITE_UP)
    vector = (await embedder.embed([WRITE_UP]))[0]
    usual = [Example(f"i{n}", WRITE_UP, vector, {}) for n in range(3)]
    said = (await reader.read(sentences, usual)).distributions["root_cause"]

    assert list(said.values()) == pytest.approx([1 / len(said)] * len(said))


async def test_the_history_is_embedded_once() -> None:
    embedder = HashingEmbedder()
    reader = DefinitionReader(embedder, TAXONOMY)
    vector = (await embedder.embed([WRITE_UP]))[0]
    usual = [Example("known", "The node lost power. It came back.", vector, {})]
    await reader.read(split(WRITE_UP), usual)
    before = embedder.embedded
    await reader.read(split(WRITE_UP), usual)

    assert embedder.embedded - before == len(split(WRITE_UP))


async def test_the_definitions_are_embedded_once_for_all_starts(tmp_path: Path) -> None:
    sentences = split(WRITE_UP)
    plain = await DefinitionReader(HashingEmbedder(), TAXONOMY).read(sentences)
    embedder = HashingEmbedder()
    for _ in range(2):
        said = await DefinitionReader(embedder, TAXONOMY, tmp_path / "definitions").read(sentences)
        assert said.distributions == plain.distributions

    definitions = {text for facet in TAXONOMY.triaged for label in facet.labels for text in phrases(label)}
    assert embedder.embedded == len(definitions) + 2 * len(sentences)


async def test_an_empty_write_up_says_nothing(reader: DefinitionReader) -> None:
    likeness = await reader.read([Sentence(start=0, text=" ")])

    assert likeness.distributions == {}
    assert likeness.evidence("root_cause", "capacity") is None


def test_the_same_incidents_stand_for_the_usual_whatever_their_order() -> None:
    known = [Example(f"i{n}", "text", None, {}) for n in range(100)]  # type: ignore[arg-type]

    assert representative(known) == representative(known[::-1])


def test_as_of_then_nobody_knew_how_it_ended() -> None:
    kept = before_resolution(split("Requests time out. We rolled back the release. The queue is growing."))

    assert [sentence.text for sentence in kept] == ["Requests time out.", "The queue is growing."]
    assert before_resolution(split("We rolled back.")) == split("We rolled back.")


async def test_what_was_said_can_be_moved_to_another_reference_without_reading_again() -> None:
    embedder = HashingEmbedder()
    reader = DefinitionReader(embedder, TAXONOMY)
    texts = [
        "The node lost power. It came back.",
        "A release was rolled back.",
        "A fibre cable was cut by an excavator.",
    ]
    vectors = await embedder.embed(texts)
    known = [Example(f"i{n}", text, vectors[n], {}) for n, text in enumerate(texts)]
    before = (await reader.read(split(WRITE_UP), known[:2])).distributions
    after = (await reader.read(split(WRITE_UP), known)).distributions
    moves = await reader.difference(known[:2], known)

    for facet, said in before.items():
        assert moved(said, moves[facet]) == pytest.approx(after[facet])
        assert said != pytest.approx(after[facet])
        assert moved(said, {}) == pytest.approx(said)


LLM = Taxonomy.load("llm_inference")
REFERENCE = [
    Example(f"i{n}", text, np.zeros(1), {}) for n, text in enumerate((WRITE_UP, "A node lost power.", "It failed."))
]


async def shown(write_up: str, facet: str, label: str) -> str | None:
    likeness = await DefinitionReader(MiniLM(), LLM).read(split(write_up), REFERENCE)
    sentence = likeness.evidence(facet, label)
    return sentence.text if sentence else None


async def test_the_log_line_that_names_the_resource_is_the_evidence() -> None:
    log = "INFO 05-20 07:40:11 step 1\ntorch.OutOfMemoryError: CUDA out of memory"
    text = f"Serving stops\nIt stops after a while.\n```\n{log}\n```"

    assert await shown(text, "failure_mode", "resource_exhaustion") == "torch.OutOfMemoryError: CUDA out of memory"


async def test_prose_goes_before_headings_and_log_lines() -> None:
    text = (
        "Completions crash\n## Memory leak\nOutOfMemoryError: no free blocks\n"
        "The block allocator leaked blocks because aborted requests were not freed, and ran out of memory."
    )

    assert (await shown(text, "failure_mode", "resource_exhaustion") or "").startswith("The block allocator leaked")


async def test_a_label_that_no_sentence_shows_has_no_evidence() -> None:
    text = "The TLS certificate of the gateway expired, which caused handshakes to fail."

    assert await shown(text, "failure_mode", "certificate_or_credential") == text
    assert await shown(text, "modality", "audio") is None
