"""Adjudication in the terminal: the write-up, and beside it what each annotator said and why."""

from __future__ import annotations

from textual.content import Content

from triage.cli.annotate.choice import Choice
from triage.cli.annotate.incident_app import IncidentApp
from triage.labels.annotation_job.adjudication import Dispute
from triage.labels.annotation_job.adjudication_session import Hearing


class AdjudicationApp(IncidentApp):
    """Leads an adjudicator through the open disagreements; every decision is gold at once."""

    TITLE = "triage annotate adjudicate"

    def __init__(self, hearing: Hearing, adjudicator: str) -> None:
        super().__init__()
        self._hearing = hearing
        self._adjudicator = adjudicator

    async def keep(self, labels: tuple[str, ...]) -> str:
        dispute = await self._hearing.dispute()
        if dispute is None:
            return ""
        await self._hearing.settle(labels, self.note)
        self.note = ""
        names = ", ".join(dispute.facet.label(label).name for label in labels)
        return f"Settled: {dispute.facet.name} is {names}."

    def leave(self) -> bool:
        return self._hearing.skip()

    def return_(self) -> bool:
        return self._hearing.back()

    async def show(self) -> bool:
        dispute = await self._hearing.dispute()
        left = f"{self._hearing.remaining} incidents left"
        self.put("#top", f"{self._adjudicator} adjudicates · {left} · {self._hearing.settled} settled in this sitting")
        if dispute is None:
            self.put("#done", _finished(self._hearing.settled))
            return False
        self.show_incident(dispute.incident)
        self.query_one("#said").display = True
        self.put("#opinions", _opinions(dispute))
        by_label: dict[str, list[str]] = {}
        for annotation in dispute.said:
            for label in annotation.labels:
                by_label.setdefault(label, []).append(annotation.annotator)
        marks = {label: ", ".join(names) for label, names in by_label.items()}
        chosen = dispute.settled.labels if dispute.settled else ()
        self.query_one(Choice).ask(dispute.facet, dispute.labels, chosen, marks)
        return True


def _opinions(dispute: Dispute) -> Content:
    parts: list[str | tuple[str, str]] = [(f"{dispute.above}\n", "dim")] if dispute.above else []
    if dispute.settled is not None:
        names = ", ".join(dispute.facet.label(label).name for label in dispute.settled.labels)
        parts.append((f"Settled before by {dispute.settled.annotator}: {names}\n", "$text-warning"))
    for annotation in dispute.said:
        names = ", ".join(dispute.facet.label(label).name for label in annotation.labels)
        parts += [(annotation.annotator, "$text-accent"), "  ", (names, "bold")]
        remarks = ["had seen the model's label"] * bool(annotation.saw_model) + ["no reason given"] * (
            not annotation.note
        )
        parts.append((f"  {', '.join(remarks)}\n", "dim"))
        parts.append(f"  {annotation.note}\n" if annotation.note else "")
    return Content.assemble(*parts).rstrip()


def _finished(settled: int) -> str:
    what = f"{settled} labels are settled in this sitting, and gold." if settled else "There is no open disagreement."
    return (
        f"{what}\n\nb goes back to your last decision, q ends.\n\n"
        "Next: triage annotate adjudicate --annotator NAME --accept-agreed makes gold what all agree on;\n"
        "triage annotate status shows how far it all is."
    )
