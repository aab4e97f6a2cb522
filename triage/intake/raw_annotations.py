"""Annotations as files of other tools hold them: someone's labels for one question about one incident."""

from __future__ import annotations

import contextlib
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

from pydantic import ValidationError

from triage.domain.incident import Incident, content_id
from triage.domain.taxonomy import Taxonomy
from triage.intake.data_files import RowError

_TEXTS = ("write_up", "text", "body")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


class RawAnnotation(NamedTuple):
    """Labels by the names in the file. `others` are further fields of the annotation, as written."""

    line: int
    incident_id: str
    facet: str
    labels: list[str]
    annotator: str
    others: Mapping[str, Any] = {}


class Source:
    """What the readers of all formats share: which question is which facet, and what of the file is not used.

    `left_out` counts what was skipped, by its kind; `ignored` holds the names of unknown questions and columns.
    `incidents` are those whose text is in the file.
    """

    def __init__(self, taxonomy: Taxonomy, renamed: Mapping[str, str], facet: str = "") -> None:
        self.taxonomy = taxonomy
        self.unnamed_facet = facet
        self.left_out: Counter[str] = Counter()
        self.ignored: dict[str, None] = {}
        self.incidents: dict[str, Incident] = {}
        self._facets = {facet.name.casefold(): facet.id for facet in taxonomy.facets}
        self._facets |= {facet.id: facet.id for facet in taxonomy.facets}
        self._renamed = renamed

    def find_facet(self, question: str) -> str | None:
        """The id of the facet that a question is about, or None."""
        name = self._renamed.get(question, question)
        return self._facets.get(name) or self._facets.get(name.strip().casefold())

    def facet(self, question: str) -> str | None:
        """The id of the facet that a question is about; other questions are added to `ignored`."""
        found = self.find_facet(question)
        if found is None:
            self.ignored[question] = None
        return found

    def annotator(self, name: object) -> str:
        """The annotator's name, renamed if the caller asked for it."""
        text = "" if name is None else str(name).strip()
        return self._renamed.get(text, text)

    def incident_id(self, named: object, fields: Mapping[str, Any]) -> str:
        """The id of the incident in `fields`, whose text is added to `incidents`.

        It is `named`; without a name, or with a UUID that a labelling tool made, it is derived from the text. Raises
        `RowError` if there is neither.
        """
        text = next((fields[key] for key in _TEXTS if isinstance(fields.get(key), str) and fields[key].strip()), "")
        title = fields.get("title") if isinstance(fields.get("title"), str) else ""
        incident_id = str(named).strip() if named is not None else ""
        if text and (not incident_id or _UUID.fullmatch(incident_id)):
            incident_id = content_id(title or "", text)
        if not incident_id:
            raise RowError(
                "incident_id", "names no incident: give its id as incident_id, or its text as write_up or text"
            )
        if text and incident_id not in self.incidents:
            with contextlib.suppress(ValidationError):
                self.incidents[incident_id] = Incident(id=incident_id, title=title or "", write_up=text)
        return incident_id
