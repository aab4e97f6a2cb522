"""The report of a run among others: with the runs that its gates compare it with."""

from __future__ import annotations

from collections.abc import Sequence

from triage.domain.taxonomy import Taxonomy
from triage.evaluation.archive import Archive
from triage.evaluation.reports import Report, report_of
from triage.evaluation.runs import Run


def report_on(run: Run, archive: Archive, bases: Sequence[str] = ()) -> Report:
    """The report of a run; the first of `bases`, else the first run that a gate names, is what it is compared with.

    A base is a run as `Archive.find` knows it, or NAME=RUN for the one that gates call by this name.
    """
    given = {}
    for one in bases:
        name, _, folder = one.rpartition("=")
        given[name or folder] = archive.find(folder, run.suite.name)
    named = {gate.base for gate in run.suite.parsed_gates if gate.base}
    known = {name: found for name in named - given.keys() if (found := archive.find_or_none(name, run.suite.name))}
    # One base given by its folder alone stands for whatever single name the gates use.
    if len(given) == 1 and len(named) == 1 and not named & given.keys():
        known = dict.fromkeys(named, next(iter(given.values())))
    first = next(iter(given.values()), None) or next(iter(known.values()), None)
    return report_of(run, Taxonomy.load(run.suite.taxonomy), first, {**known, **given})
