"""Questions as forms: a facet with its labels, a key for each, and what was chosen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from triage.domain.errors import InvalidInput
from triage.domain.taxonomy import Facet, Label
from triage.labels.annotation_job.labelling import Answer
from triage.server.web.forms import Form

KEYS = "123456789acefhilmoprtuvwyz"
"""A key for each label. The other letters are those of the page (back, definitions, note, skip) and of all pages."""

MOST_BYTES = 200_000
"""The answers of one incident have at most so many bytes."""

_LONGEST_NOTE = 4_000
_MOST_LABELS = 20


class Choice(NamedTuple):
    """A label that can be chosen. `mark` is what is said beside it."""

    label: Label
    key: str
    is_chosen: bool
    is_also: bool
    mark: str


class Question(NamedTuple):
    """A facet to be answered.

    Without `choices` it waits for the facet that it refines, or there are none under that one's labels; `is_refined`
    says whether another one waits for this. `remark` is said below the question.
    """

    facet: Facet
    choices: tuple[Choice, ...]
    note: str
    is_refined: bool = False
    remark: str = ""

    @classmethod
    def of(
        cls,
        facet: Facet,
        labels: Iterable[Label],
        given: Answer,
        *,
        marks: Mapping[str, str],
        is_refined: bool = False,
        remark: str = "",
    ) -> Question:
        """The question with these labels, of which some were given before. In a facet with a primary label the others
        are chosen apart."""
        several = facet.cardinality == "multi"
        listed = tuple(
            Choice(
                label,
                KEYS[n] if n < len(KEYS) else "",
                is_chosen=label.id in (given.labels if several else given.labels[:1]),
                is_also=label.id in given.labels[1:],
                mark=marks.get(label.id, ""),
            )
            for n, label in enumerate(labels)
        )
        return cls(facet, listed, given.note, is_refined, remark)


def read_answers(form: Form, facets: Iterable[Facet]) -> dict[str, Answer]:
    """Facet -> what was chosen in a form; without labels where nothing was. Raises `InvalidInput` for what can't be."""
    answers = {}
    for facet in facets:
        chosen = [value for name in ("label", "also") for value in form.getlist(f"{name}.{facet.id}") if value]
        labels = tuple(dict.fromkeys(chosen))
        if len(labels) > _MOST_LABELS:
            raise InvalidInput(f"{facet.name} takes at most {_MOST_LABELS} labels.", field=facet.id)
        answers[facet.id] = Answer(labels, read_note(form, f"note.{facet.id}", f"The note on {facet.name}"))
    return answers


def read_note(form: Form, field: str, what: str = "The note") -> str:
    """The note in a field of a form. Raises `InvalidInput` for one that is too long."""
    note = form.get(field, "").strip()
    if len(note) > _LONGEST_NOTE:
        raise InvalidInput(f"{what} is longer than {_LONGEST_NOTE:,} characters.", field=field)
    return note
