"""A corpus study: which kinds of incidents there were, how they were detected and ended, and how long they took.

Start with `make_study`. Pure functions on incidents and labels; results name the incidents behind each figure.
"""

from __future__ import annotations

from triage.insights.study.corpus import Corpus, Record, origin_of
from triage.insights.study.roles import Roles
from triage.insights.study.study import Study, StudyOptions, make_study
from triage.insights.study.study_tables import tables_of

__all__ = ["Corpus", "Record", "Roles", "Study", "StudyOptions", "make_study", "origin_of", "tables_of"]
