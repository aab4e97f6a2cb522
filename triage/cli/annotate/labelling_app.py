"""Labelling in the terminal: the write-up on one side, the question at hand on the other; every answer is saved."""

from __future__ import annotations

from typing import ClassVar

from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Footer, Input, Static

from triage.annotating.session import Question, Session
from triage.cli.annotate.choice import Choice
from triage.incident import Incident

STYLE = """
#top { height: 1; padding: 0 1; background: $primary-muted; color: $text; }
#text { width: 1fr; padding: 0 1; }
#side { width: 1fr; border-left: solid $primary-muted; }
#message { height: 1; padding: 0 1; color: $text-success; }
#note { display: none; border: tall $accent; }
#note.-open { display: block; }
#title { text-style: bold; }
#facts { color: $text-muted; }
#write_up { margin-top: 1; }
#done { display: none; padding: 2 4; }
.-narrow #body { layout: vertical; }
.-narrow #side { border-left: none; border-top: solid $primary-muted; height: 2fr; width: 100%; }
.-narrow #text { width: 100%; }
"""


class LabellingApp(App[None]):
    """Leads an annotator through their session."""

    TITLE = "triage annotate label"
    CSS = STYLE
    ENABLE_COMMAND_PALETTE = False
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide")]  # noqa: RUF012 - Textual reads it so
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("n", "note", "Note"),
        Binding("s", "skip", "Skip"),
        Binding("b,ctrl+z", "back", "Back"),
        Binding("pagedown", "scroll(1)", "Text", priority=True, key_display="PgUp PgDn"),
        Binding("pageup", "scroll(-1)", show=False, priority=True),
        Binding("right_square_bracket", "scroll_definition(2)", show=False),
        Binding("left_square_bracket", "scroll_definition(-2)", "Definition", key_display="[ ]"),
        Binding("escape", "close_note", show=False),
        Binding("q", "quit", "Quit"),
        Binding("ctrl+c,ctrl+q", "quit", show=False, priority=True),
    ]

    def __init__(self, session: Session, annotator: str) -> None:
        super().__init__()
        self._session = session
        self._annotator = annotator
        self._incident = ""
        self._note = ""

    def compose(self) -> ComposeResult:
        yield Static(id="top")
        with Horizontal(id="body"):
            with VerticalScroll(id="text", can_focus=False):
                yield Static(id="title")
                yield Static(id="facts")
                yield Static(id="write_up")
            with Vertical(id="side"):
                yield Choice()
                yield Static(id="message")
                yield Input(id="note", placeholder="Why this label? Enter keeps the note, Esc leaves it as it was.")
        yield Static(id="done")
        yield Footer(show_command_palette=False)

    async def on_mount(self) -> None:
        await self._show()

    async def on_choice_answered(self, event: Choice.Answered) -> None:
        question = await self._session.question()
        await self._session.answer(event.labels, self._note)
        if question is not None:
            names = ", ".join(question.facet.label(label).name for label in event.labels)
            self._tell(f"Saved: {question.facet.name} is {names}.")
        await self._show()

    async def action_skip(self) -> None:
        if self._session.skip():
            self._tell("Skipped: it comes again at the end.")
            await self._show()
        elif await self._session.question() is not None:
            self._tell("This is the last one that is not done: there is nothing to skip to.")

    async def action_back(self) -> None:
        if self._session.back():
            self._tell("Back: answer anew, or confirm with Enter what you said.")
            await self._show()
        else:
            self._tell("There is nothing before it in this sitting.")

    async def action_note(self) -> None:
        if await self._session.question() is not None:
            field = self.query_one("#note", Input)
            field.value = self._note
            field.add_class("-open")
            field.focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        self._note = event.value.strip()
        self._tell(f"Note: {self._note}" if self._note else "No note.")
        self.action_close_note()

    def action_close_note(self) -> None:
        self.query_one("#note").remove_class("-open")
        self.query_one("Choice LabelList").focus()

    def action_scroll(self, pages: int) -> None:
        text = self.query_one("#text", VerticalScroll)
        text.scroll_relative(y=pages * max(1, text.size.height - 2), animate=False)

    def action_scroll_definition(self, lines: int) -> None:
        self.query_one(Choice).scroll_definition(lines)

    def _tell(self, message: str) -> None:
        self.query_one("#message", Static).update(Content(message))

    async def _show(self) -> None:
        question = await self._session.question()
        assigned, done = self._session.progress
        where = "" if question is None else f"question {question.number} of {question.of} · "
        top = f"{self._annotator} · {where}{done} of {assigned} incidents done"
        self.query_one("#top", Static).update(Content(top))
        self.query_one("#body").display = question is not None
        self.query_one("#done").display = question is None
        if question is None:
            self.query_one("#done", Static).update(Content(_finished(assigned)))
            return
        self._note = question.given.note if question.given else ""
        self._show_incident(question.incident)
        chosen = question.given.labels if question.given else ()
        self.query_one(Choice).ask(question.facet, question.labels, chosen, self._marks(question))
        if question.model == ():
            self._tell("The model abstains on this.")

    def _marks(self, question: Question) -> dict[str, str]:
        marks = {}
        parents = {label.parent for label in question.labels}
        if len(parents) > 1 and question.facet.parent is not None:
            parent = self._session.taxonomy.facet(question.facet.parent)
            marks = {label.id: parent.label(label.parent).name for label in question.labels if label.parent}
        return marks | dict.fromkeys(question.model or (), "the model's")

    def _show_incident(self, incident: Incident) -> None:
        if incident.id == self._incident:
            return
        self._incident = incident.id
        self.query_one("#title", Static).update(Content(incident.title or incident.id))
        self.query_one("#facts", Static).update(Content(facts(incident)))
        self.query_one("#facts").display = bool(facts(incident))
        self.query_one("#write_up", Static).update(Content(incident.write_up))
        self.query_one("#text").scroll_home(animate=False)


def facts(incident: Incident) -> str:
    """What is known of an incident beside its text, in one line; empty where nothing is."""
    started = f"began {incident.started_at:%Y-%m-%d %H:%M} UTC" if incident.started_at else ""
    known = [part for part in (incident.service, incident.severity, started, incident.url) if part]
    return " · ".join(known)


def _finished(assigned: int) -> str:
    return (
        f"All {assigned} incidents are labelled, and everything is saved.\n\n"
        "b goes back to your last answer, q ends.\n\n"
        "Next: triage annotate status shows who is done and where you agree;\n"
        "triage annotate adjudicate --annotator NAME settles where you don't."
    )
