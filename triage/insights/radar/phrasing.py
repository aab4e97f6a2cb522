"""A chat model's wording of a draft label, from the same material that the rule makes it of."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Annotated

from pydantic import BaseModel, Field, StringConstraints

from triage.domain.errors import ModelUnavailable
from triage.domain.taxonomy import Facet, Label, Taxonomy
from triage.insights.radar.drafting import names_of, new_id
from triage.insights.radar.report import Draft, Group, Radar
from triage.labels.codebook.rule_drafting import fenced
from triage.models.chat import ChatModel, Request
from triage.pipeline.classification.prompts import load

_MAX_TOKENS = 500
_TEXT = {"type": "string"}
_SCHEMA = {
    "type": "object",
    "properties": {
        "name": _TEXT,
        "definition": _TEXT,
        "includes": {"type": "array", "items": _TEXT},
        "deciding_rule": _TEXT,
    },
    "required": ["name", "definition", "includes", "deciding_rule"],
    "additionalProperties": False,
}

_Short = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=80)]
_Sentence = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]


class _Said(BaseModel, extra="forbid"):
    name: _Short
    definition: _Sentence
    includes: list[_Short] = Field(min_length=1, max_length=8)
    deciding_rule: _Sentence


async def phrase(radar: Radar, taxonomy: Taxonomy, model: ChatModel) -> Radar:
    """The radar with the model's wording of each draft, `by` naming model and prompt.

    Where the model does not answer, or with something else than a label, the rule's wording stays, and
    `degraded_reason` says so.
    """
    facet = taxonomy.facet(radar.facet)
    groups: list[Group] = []
    refused = 0
    for place, group in enumerate(radar.groups):
        others = [one.draft.label for one in (*groups, *radar.groups[place + 1 :])]
        taken = names_of(facet) | {name.casefold() for label in others for name in (label.id, label.name)}
        try:
            draft = await _phrased(group, facet, taxonomy, model, taken)
        except ModelUnavailable as error:
            by_rule = len(radar.groups) - place + refused
            reason = f"{error.detail} {by_rule} of {len(radar.groups)} drafts are worded by rule."
            return radar.model_copy(update={"groups": (*groups, *radar.groups[place:]), "degraded_reason": reason})
        refused += draft is None
        groups.append(group if draft is None else group.model_copy(update={"draft": draft}))
    reason = f"{model.name} gave no new label for {refused} of {len(groups)} groups: these drafts are worded by rule."
    return radar.model_copy(update={"groups": tuple(groups), "degraded_reason": reason if refused else None})


async def _phrased(
    group: Group, facet: Facet, taxonomy: Taxonomy, model: ChatModel, taken: Collection[str]
) -> Draft | None:
    """None for an answer that is no label, or one by a name that is `taken`."""
    prompt = load("draft_label")
    nearest = [facet.label(one.label) for one in group.nearest] or list(facet.labels)
    messages = prompt.messages(
        question=facet.question,
        labels="\n".join(f"- {label.id}: {label.definition}" for label in nearest),
        words=", ".join(term.term for term in group.terms) or "none",
        sentences=fenced((example.sentence for example in group.examples), taxonomy),
    )
    reply = await model.complete(Request(messages=messages, schema_=_SCHEMA, max_tokens=_MAX_TOKENS))
    try:
        said = _Said.model_validate(json.loads(reply.text))
        name = " ".join(said.name.split())
        worded = {
            "id": new_id(name, taken),
            "name": name,
            "definition": f"Draft. {said.definition}",
            "includes": said.includes,
            "deciding_rule": said.deciding_rule,
        }
        label = Label.model_validate(group.draft.label.model_dump() | worded)
    except ValueError:
        return None
    return None if name.casefold() in taken else Draft(label=label, by=f"{model.name} ({prompt.name})")
