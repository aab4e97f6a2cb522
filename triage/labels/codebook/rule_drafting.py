"""A chat model's wording of a deciding rule, from the same evidence as the drafted rule."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence

from triage.domain.taxonomy import Label, Taxonomy
from triage.domain.triage_result import Neighbour
from triage.labels.codebook.confused_pairs import ConfusedPair
from triage.labels.codebook.terms import Term
from triage.models.chat import ChatModel, Request
from triage.pipeline.classification.instructions import without_instructions_in
from triage.pipeline.classification.prompts import load

_SCHEMA = {
    "type": "object",
    "properties": {"rule": {"type": "string"}},
    "required": ["rule"],
    "additionalProperties": False,
}
_MOST_CHARACTERS = 500
_FENCE = re.compile(r"</?\s*write_up\s*>", re.IGNORECASE)


async def phrase(pair: ConfusedPair, taxonomy: Taxonomy, model: ChatModel) -> ConfusedPair:
    """The pair with the model's proposal, and `by` naming model and prompt.

    An answer that is not a rule between the two labels leaves the pair unchanged. Raises `ModelUnavailable`.
    """
    prompt = load("deciding_rule")
    rule = pair.rule
    messages = prompt.messages(
        question=taxonomy.facet(pair.facet).question,
        label_a=_label(pair.a),
        label_b=_label(pair.b),
        words_a=_words(rule.for_a if rule else ()),
        words_b=_words(rule.for_b if rule else ()),
        sentences_a=fenced((case.for_a for case in pair.shown), taxonomy),
        sentences_b=fenced((case.for_b for case in pair.shown), taxonomy),
    )
    reply = await model.complete(Request(messages=messages, schema_=_SCHEMA, max_tokens=300))
    proposal = _rule(reply.text, pair)
    if proposal is None:
        return pair
    return pair.model_copy(update={"proposal": proposal, "by": f"{model.name} ({prompt.name})"})


def fenced(sentences: Iterable[str], taxonomy: Taxonomy) -> str:
    """Sentences of write-ups made safe for a prompt: one per line, unable to close the fence, without prompt
    injections."""
    lines = [_FENCE.sub("(write_up)", " ".join(without_injections(text, taxonomy).split())) for text in sentences]
    return "\n".join(f"- {line}" for line in lines if line) or "none"


def without_injections(text: str, taxonomy: Taxonomy) -> str:
    """The text without sentences that look like prompt injections; "" if no others are left."""
    neighbour = Neighbour(incident_id="", excerpt=text, similarity=0)
    return without_instructions_in(neighbour, taxonomy).excerpt


def _rule(text: str, pair: ConfusedPair) -> str | None:
    try:
        answer = json.loads(text)
    except ValueError:
        return None
    rule = answer.get("rule") if isinstance(answer, dict) else None
    if not isinstance(rule, str) or not 0 < len(rule) <= _MOST_CHARACTERS:
        return None
    named = all(re.search(rf"\b{re.escape(label.id)}\b", rule) for label in (pair.a, pair.b))
    return f"Between {pair.a.id} and {pair.b.id}: {' '.join(rule.split())}" if named else None


def _label(label: Label) -> str:
    return f"{label.id}: {label.definition} Present rule: {label.deciding_rule}"


def _words(terms: Sequence[Term]) -> str:
    return ", ".join(term.term for term in terms) or "none"
