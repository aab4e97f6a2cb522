"""What every file of annotations holds in its own form: someone's labels for one question about one incident."""

from __future__ import annotations

import contextlib
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

from pydantic import ValidationError

from triage.domain.incident import Incident, content_id
from triage.domain.taxonomy import Taxonomy
from triage.intake.rows import RowError

_TEXTS = ("write_up", "text", "body")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


class Opinion(NamedTuple):
    """Labels as a file has them: names in place of ids. `others` are further fields of the annotation, as given."""

    line: int
    incident_id: str
    facet: str
    labels: list[str]
    annotator: str
    others: Mapping[str, Any] = {}


class Source:
    """What the readers of all forms share: which question is which facet, and what of the file is used for nothing.

    `left_out` counts what was not taken, by its kind; `ignored` keeps the names of unknown questions and columns.
    `incidents` are those whose text stands in the file.
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

    def facet(self, question: str) -> str | None:
        """The id of the facet that this question of the file is about; None, and kept as ignored, for any other."""
        name = self._renamed.get(question, question)
        found = self._facets.get(name) or self._facets.get(name.strip().casefold())
        if found is None:
            self.ignored[question] = None
        return found

    def is_facet(self, question: str) -> bool:
        """True if the question is a facet."""
        name = self._renamed.get(question, question)
        return name in self._facets or name.strip().casefold() in self._facets

    def annotator(self, name: object) -> str:
        """The annotator's name, in the words of the caller where those were given."""
        text = "" if name is None else str(name).strip()
        return self._renamed.get(text, text)

    def incident_id(self, named: object, fields: Mapping[str, Any]) -> str:
        """The id of the incident in `fields`, whose text is kept if it is there.

        It is the one named; without one, or with a UUID that a labelling tool made up, the one that is made from the
        text. Raises `RowError` where there is neither.
        """
        text = next((fields[key] for key in _TEXTS if isinstance(fields.get(key), str) and fields[key].strip()), "")
        title = fields.get("title") if isinstance(fields.get("title"), str) else ""
        given = str(named).strip() if named is not None else ""
        if text and (not given or _UUID.fullmatch(given)):
            given = content_id(title or "", text)
        if not given:
            raise RowError(
                "incident_id", "names no incident: give its id as incident_id, or its text as write_up or text"
            )
        if text and given not in self.incidents:
            with contextlib.suppress(ValidationError):
                self.incidents[given] = Incident(id=given, title=title or "", write_up=text)
        return given
