"""Questions as forms: a facet with its labels, a key for each, and the chosen ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from triage.domain.errors import InvalidInput
from triage.domain.taxonomy import Facet, Label
from triage.labels.annotation_job.labelling import Answer
from triage.server.web.forms import Form

KEYS = "123456789acefhilmoprtuvwyz"
"""Keys for labels. The other letters are shortcuts of the page (back, definitions, note, skip) and of all pages."""

MOST_BYTES = 200_000
"""Maximum size of the answers for one incident."""

_LONGEST_NOTE = 4_000
_MOST_LABELS = 20


class Choice(NamedTuple):
    """A label to choose. `is_also` marks an additional label; `mark` is shown beside the label."""

    label: Label
    key: str
    is_chosen: bool
    is_also: bool
    mark: str


class Question(NamedTuple):
    """A facet to answer.

    There are no `choices` if the parent facet has no answer yet, or its labels have none below them. `is_refined` says
    whether another question depends on this one. `remark` is shown below the question.
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
        answer: Answer,
        *,
        marks: Mapping[str, str],
        is_refined: bool = False,
        remark: str = "",
    ) -> Question:
        """The question with these labels and an earlier answer. Labels after a primary one are chosen separately."""
        chosen = answer.labels if facet.cardinality == "multi" else answer.labels[:1]
        choices = tuple(
            Choice(
                label,
                KEYS[n] if n < len(KEYS) else "",
                is_chosen=label.id in chosen,
                is_also=label.id in answer.labels[1:],
                mark=marks.get(label.id, ""),
            )
            for n, label in enumerate(labels)
        )
        return cls(facet, choices, answer.note, is_refined, remark)


def read_answers(form: Form, facets: Iterable[Facet]) -> dict[str, Answer]:
    """Facet -> the answer in a form, without labels if none was chosen. Raises `InvalidInput`."""
    answers = {}
    for facet in facets:
        chosen = [value for name in ("label", "also") for value in form.getlist(f"{name}.{facet.id}") if value]
        labels = tuple(dict.fromkeys(chosen))
        if len(labels) > _MOST_LABELS:
            raise InvalidInput(f"{facet.name} takes at most {_MOST_LABELS} labels.", field=facet.id)
        answers[facet.id] = Answer(labels, read_note(form, f"note.{facet.id}", f"The note on {facet.name}"))
    return answers


def read_note(form: Form, field: str, name: str = "The note") -> str:
    """The note in a field of a form. Raises `InvalidInput` if it is too long."""
    note = form.get(field, "").strip()
    if len(note) > _LONGEST_NOTE:
        raise InvalidInput(f"{name} is longer than {_LONGEST_NOTE:,} characters.", field=field)
    return note
