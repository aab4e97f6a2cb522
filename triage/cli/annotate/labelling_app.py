"""Labelling in the terminal: an annotator sees the write-up and the question, and nothing that others said."""

from __future__ import annotations

from triage.cli.annotate.choice import Choice
from triage.cli.annotate.incident_app import IncidentApp
from triage.labels.annotation_job.session import Question, Session


class LabellingApp(IncidentApp):
    """Leads an annotator through their session; every answer is saved before the next question stands there."""

    TITLE = "triage annotate label"

    def __init__(self, session: Session, annotator: str) -> None:
        super().__init__()
        self._session = session
        self._annotator = annotator

    async def keep(self, labels: tuple[str, ...]) -> str:
        question = await self._session.question()
        if question is None:
            return ""
        await self._session.answer(labels, self.note)
        names = ", ".join(question.facet.label(label).name for label in labels)
        return f"Saved: {question.facet.name} is {names}."

    def leave(self) -> bool:
        return self._session.skip()

    def return_(self) -> bool:
        return self._session.back()

    async def show(self) -> bool:
        question = await self._session.question()
        assigned, done = self._session.progress
        where = "" if question is None else f"question {question.number} of {question.of} · "
        self.put("#top", f"{self._annotator} · {where}{done} of {assigned} incidents done")
        if question is None:
            self.put("#done", _finished(assigned))
            return False
        self.note = question.given.note if question.given else ""
        self.show_incident(question.incident)
        chosen = question.given.labels if question.given else ()
        self.query_one(Choice).ask(question.facet, question.labels, chosen, self._marks(question))
        if question.model == ():
            self.tell("The model abstains on this.")
        return True

    def _marks(self, question: Question) -> dict[str, str]:
        marks = {}
        parents = {label.parent for label in question.labels}
        if len(parents) > 1 and question.facet.parent is not None:
            parent = self._session.taxonomy.facet(question.facet.parent)
            marks = {label.id: parent.label(label.parent).name for label in question.labels if label.parent}
        return marks | dict.fromkeys(question.model or (), "the model's")


def _finished(assigned: int) -> str:
    return (
        f"All {assigned} incidents are labelled, and everything is saved.\n\n"
        "b goes back to your last answer, q ends.\n\n"
        "Next: triage annotate status shows who is done and where you agree;\n"
        "triage annotate adjudicate --annotator NAME settles where you don't."
    )
