"""What labelling and adjudication share in the terminal: the write-up on one side, a question on the other."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Footer, Input, Static

from triage.cli.annotate.choice import Choice
from triage.cli.terminal import without_orders
from triage.domain.errors import TriageError
from triage.domain.incident import Incident

_STYLE = """
#top { height: 1; padding: 0 1; background: $primary-muted; color: $text; }
#text { width: 1fr; padding: 0 1; }
#side { width: 1fr; border-left: solid $primary-muted; }
#said { display: none; height: auto; max-height: 40%; padding: 0 1; border-bottom: solid $primary-muted; }
#message { height: auto; max-height: 3; min-height: 1; padding: 0 1; color: $text-success; }
#message.-refused { color: $text-error; }
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


class IncidentApp(App[None]):
    """Asks question after question about incidents; what is asked and kept is the subclass's own."""

    CSS = _STYLE
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

    def __init__(self) -> None:
        super().__init__()
        self.note = ""
        self._incident = ""

    @abstractmethod
    async def keep(self, labels: tuple[str, ...]) -> str:
        """Keep the answer; returns what to say of it. Raises `TriageError` for one that can't be kept."""

    @abstractmethod
    async def show(self) -> bool:
        """Put the question at hand on the screen. False if there is none."""

    @abstractmethod
    def leave(self) -> bool:
        """Leave the incident at hand for later. False if there is no other."""

    @abstractmethod
    def return_(self) -> bool:
        """Go back to the question before. False if there is none."""

    def compose(self) -> ComposeResult:
        yield Static(id="top")
        with Horizontal(id="body"):
            with VerticalScroll(id="text", can_focus=False):
                yield Static(id="title")
                yield Static(id="facts")
                yield Static(id="write_up")
            with Vertical(id="side"):
                with VerticalScroll(id="said", can_focus=False):
                    yield Static(id="opinions")
                yield Choice()
                yield Static(id="message")
                yield Input(id="note", placeholder="Why this label? Enter keeps the note, Esc leaves it as it was.")
        yield Static(id="done")
        yield Footer(show_command_palette=False)

    async def on_mount(self) -> None:
        await self._show()

    async def on_choice_answered(self) -> None:
        await self._take_answer()

    async def action_skip(self) -> None:
        await self._take_answer()
        if self.leave():
            self.tell("Skipped: it comes again at the end.")
            await self._show()
        elif self.query_one("#body").display:
            self.tell("This is the last one that is not done: there is nothing to skip to.")

    async def action_back(self) -> None:
        await self._take_answer()
        if self.return_():
            self.tell("Back: answer anew, or confirm with Enter what you said.")
            await self._show()
        else:
            self.tell("There is nothing before it in this sitting.")

    def action_note(self) -> None:
        if self.query_one("#body").display:
            field = self.query_one("#note", Input)
            field.value = self.note
            field.add_class("-open")
            field.focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        self.note = event.value.strip()
        self.tell(f"Note: {self.note}" if self.note else "No note.")
        self.action_close_note()

    def action_close_note(self) -> None:
        self.query_one("#note").remove_class("-open")
        self.query_one("Choice LabelList").focus()

    def action_scroll(self, pages: int) -> None:
        text = self.query_one("#text", VerticalScroll)
        text.scroll_relative(y=pages * max(1, text.size.height - 2), animate=False)

    def action_scroll_definition(self, lines: int) -> None:
        self.query_one(Choice).scroll_definition(lines)

    def put(self, place: str, text: str | Content) -> None:
        """Show a text in one of the places of the screen: as it is, but for what would give the terminal orders."""
        content = Content(text) if isinstance(text, str) else text
        self.query_one(place, Static).update(Content(without_orders(content.plain), spans=list(content.spans)))

    def tell(self, message: str, *, is_refused: bool = False) -> None:
        """Say what happened."""
        self.put("#message", message)
        self.query_one("#message").set_class(is_refused, "-refused")

    def show_incident(self, incident: Incident) -> None:
        """Put an incident's text on the screen, from its beginning if it is another one."""
        if incident.id == self._incident:
            return
        self._incident = incident.id
        self.put("#title", incident.title or incident.id)
        self.put("#facts", _facts(incident))
        self.query_one("#facts").display = bool(_facts(incident))
        self.put("#write_up", incident.write_up)
        self.query_one("#text").scroll_home(animate=False)

    async def action_quit(self) -> None:
        await self._take_answer()
        self.exit()

    async def _take_answer(self) -> None:
        """Keep the answer that was given; before anything that is typed after it has its effect."""
        labels = self.query_one(Choice).take()
        if labels is None:
            return
        try:
            self.tell(await self.keep(labels))
        except TriageError as error:
            self.tell(error.detail, is_refused=True)
        await self._show()

    async def _show(self) -> None:
        is_left = await self.show()
        self.query_one("#body").display = is_left
        self.query_one("#done").display = not is_left


def _facts(incident: Incident) -> str:
    """What is known of an incident beside its text, in one line; empty where nothing is."""
    started = f"began {incident.started_at:%Y-%m-%d %H:%M} UTC" if incident.started_at else ""
    return " · ".join(part for part in (incident.service, incident.severity, started, incident.url) if part)
