"""Draft labels for groups of incidents: worded by rule from typical words and sentences, or by a chat model."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Annotated, NamedTuple

import yaml
from pydantic import BaseModel, Field, StringConstraints

from triage.domain.errors import ModelUnavailable
from triage.domain.taxonomy import Facet, Label, Taxonomy
from triage.insights.radar.findings import Draft, Radar, RadarGroup
from triage.labels.codebook.deciding_rules import Labelled, draft
from triage.labels.codebook.rule_drafting import fenced, without_injections
from triage.labels.codebook.terms import Term, terms_of
from triage.models.chat import ChatModel, Request
from triage.pipeline.classification.prompts import load
from triage.pipeline.classification.sentences import cause_words, is_boilerplate, split
from triage.render.markdown import shortened

_MOST_INCLUDED = 6
_NAMED = 2
_LONGEST_ID = 40
_LONGEST_SENTENCE = 300
_LEAST_WORDS = 6
_CAUSE_WORD = 0.5


class Material(NamedTuple):
    """What a draft is made from: redacted texts of the group, its typical `terms` and `sentences`, the parent labels of
    its incidents, and the `nearest` labels with the texts of their incidents, nearest first."""

    texts: Sequence[str]
    terms: Sequence[Term]
    sentences: Sequence[str]
    parents: Sequence[str]
    nearest: Mapping[str, Sequence[str]]


def draft_label(facet: Facet, material: Material, taken: Collection[str] = ()) -> Draft:
    """A draft label for `facet`, with an id that neither the facet nor `taken` has."""
    words = [term.term for term in material.terms[:_MOST_INCLUDED]] or ["what these incidents have in common"]
    label_id = new_id("_".join(words[:_NAMED]) if material.terms else "new", {*names_of(facet), *taken})
    nearest = [facet.label(label) for label in material.nearest]
    return Draft(
        label=Label(
            id=label_id,
            name=" ".join(words[:_NAMED]).capitalize(),
            parent=_parent(facet, material.parents),
            definition=f"Draft, from {len(material.texts)} incidents that no label fitted: the write-up tells of "
            f"{_listed(words)}.",
            includes=tuple(words),
            excludes=tuple(f"{label.includes[0]} ({label.id})" for label in nearest) or ("what another label fits",),
            rival=nearest[0].id if nearest else None,
            deciding_rule=_deciding_rule(label_id, material),
            example=material.sentences[0] if material.sentences else "None of the write-ups has a sentence that tells.",
            replaces=(),
        )
    )


def new_id(name: str, taken: Collection[str]) -> str:
    """An id made from `name` that is not in `taken`.

    >>> new_id("Power supply, rack's", {"power_supply_rack_s"})
    'power_supply_rack_s_2'
    """
    slug = re.sub(r"[^a-z0-9]+", "_", name.casefold()).strip("_")[:_LONGEST_ID].rstrip("_")
    slug = slug if slug[:1].isalpha() else f"new_{slug}".rstrip("_")
    number = 2
    unique = slug
    while unique in taken:
        unique, number = f"{slug}_{number}", number + 1
    return unique


def names_of(facet: Facet) -> set[str]:
    """The ids, names and aliases that a new label of the facet can't have, in lower case."""
    return {name.casefold() for label in facet.labels for name in (label.id, label.name, *label.aliases)}


def telling_sentences(texts: Sequence[str], terms: Sequence[Term], taxonomy: Taxonomy) -> list[str]:
    """For each text the sentence with the most weight in `terms` ("" if none has any).

    Prompt injections are left out, because drafts may end up in a prompt.
    """
    weights = {term.term: term.z for term in terms}
    chosen = []
    for text in texts:
        sentences = split(without_injections(text, taxonomy))
        ranked = [
            (sum(weights[term] for term in held), cause_words(sentence.text), -place, sentence.text)
            for place, sentence in enumerate(sentences)
            if (held := terms_of(sentence.text) & weights.keys()) and not is_boilerplate(sentence.text)
        ]
        best = max(
            ranked,
            key=lambda sentence: (
                sentence[0] + _CAUSE_WORD * min(sentence[1], 2),
                len(sentence[3].split()) >= _LEAST_WORDS,
                sentence[2],
            ),
            default=None,
        )
        chosen.append(shortened(best[3], _LONGEST_SENTENCE) if best else "")
    return chosen


def as_yaml(radar: Radar) -> str:
    """The drafts as items for `labels:` of the facet in a taxonomy file, with a comment above each."""
    parts = [
        f"# Drafts for facet {radar.facet} of {radar.taxonomy}, to go under its `labels:`. Nobody has checked them: "
        "reword\n# each, look at its incidents, and run `triage taxonomy check` on the file.\n"
    ]
    for group in radar.groups:
        label = group.draft.label.model_dump(mode="json", exclude_defaults=True)
        parts.append(
            f"# From {len(group.incidents)} incidents, worded by {group.draft.by}: {', '.join(group.incidents)}\n"
        )
        parts.append(yaml.safe_dump([label], sort_keys=False, allow_unicode=True, width=110))
    return "\n".join(parts)


def _parent(facet: Facet, parents: Sequence[str]) -> str | None:
    """The most common of `parents`, or of all labels' parents, for a facet that refines another."""
    if facet.parent is None:
        return None
    known = [label.parent for label in facet.labels if label.parent is not None]
    counts = Counter([parent for parent in parents if parent in known] or known)
    return max(sorted(counts), key=lambda parent: counts[parent], default=None)


def _deciding_rule(label_id: str, material: Material) -> str:
    """A rule from the words that separate the group from the nearest label's incidents, or else from the
    definitions."""
    rival = next(iter(material.nearest), None)
    if rival is None:
        return f"If no other label's definition fits, choose {label_id}."
    cases = [Labelled(label_id, text) for text in material.texts]
    cases += [Labelled(rival, text) for text in material.nearest[rival]]
    rule = draft(label_id, rival, cases, [case.text for case in cases])
    return rule.text if rule else f"If the definition of {rival} fits, choose {rival}; otherwise {label_id}."


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


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


class _Wording(BaseModel, extra="forbid"):
    name: _Short
    definition: _Sentence
    includes: list[_Short] = Field(min_length=1, max_length=8)
    deciding_rule: _Sentence


async def phrase(radar: Radar, taxonomy: Taxonomy, model: ChatModel) -> Radar:
    """The radar with the model's wording of each draft, `by` naming model and prompt.

    If the model is unavailable or its answer is not a label, the draft by rule stays, and `degraded_reason` says so.
    """
    facet = taxonomy.facet(radar.facet)
    groups: list[RadarGroup] = []
    rejected = 0
    for place, group in enumerate(radar.groups):
        others = [other.draft.label for other in (*groups, *radar.groups[place + 1 :])]
        taken = names_of(facet) | {name.casefold() for label in others for name in (label.id, label.name)}
        try:
            draft = await _phrased(group, facet, taxonomy, model, taken)
        except ModelUnavailable as error:
            by_rule = len(radar.groups) - place + rejected
            reason = f"{error.detail} {by_rule} of {len(radar.groups)} drafts are worded by rule."
            return radar.model_copy(update={"groups": (*groups, *radar.groups[place:]), "degraded_reason": reason})
        rejected += draft is None
        groups.append(group if draft is None else group.model_copy(update={"draft": draft}))
    reason = f"{model.name} gave no new label for {rejected} of {len(groups)} groups: these drafts are worded by rule."
    return radar.model_copy(update={"groups": tuple(groups), "degraded_reason": reason if rejected else None})


async def _phrased(
    group: RadarGroup, facet: Facet, taxonomy: Taxonomy, model: ChatModel, taken: Collection[str]
) -> Draft | None:
    """None if the answer is not a label, or its name is `taken`."""
    prompt = load("draft_label")
    nearest = [facet.label(nearness.label) for nearness in group.nearest] or list(facet.labels)
    messages = prompt.messages(
        question=facet.question,
        labels="\n".join(f"- {label.id}: {label.definition}" for label in nearest),
        words=", ".join(term.term for term in group.terms) or "none",
        sentences=fenced((example.sentence for example in group.examples), taxonomy),
    )
    reply = await model.complete(Request(messages=messages, schema_=_SCHEMA, max_tokens=500))
    try:
        wording = _Wording.model_validate(json.loads(reply.text))
        name = " ".join(wording.name.split())
        changes = {
            "id": new_id(name, taken),
            "name": name,
            "definition": f"Draft. {wording.definition}",
            "includes": wording.includes,
            "deciding_rule": wording.deciding_rule,
        }
        label = Label.model_validate(group.draft.label.model_dump() | changes)
    except ValueError:
        return None
    return None if name.casefold() in taken else Draft(label=label, by=f"{model.name} ({prompt.name})")
