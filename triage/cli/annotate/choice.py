"""The question of a facet in the terminal: its labels with a key for each, and the definition of the one in hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.events import Key
from textual.message import Message
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from triage.domain.taxonomy import Facet, Label

KEYS = "123456789acdefghijklmoprtuvwxyz"
"""A key for each label; the letters b, n, q and s are commands."""

_HINTS = {
    "single": "One label: press its key.",
    "primary_first": "The primary label first, then any others; Enter confirms.",
    "multi": "All that apply; Enter confirms.",
}


class LabelList(OptionList):
    """The labels. Enter confirms, a click chooses."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "confirm", "Confirm"),
    ]

    def action_confirm(self) -> None:
        # Called, not posted: what is typed next must find the answer given.
        if isinstance(self.parent, Choice):
            self.parent.confirm()


class Choice(Vertical):
    """Asks for the labels of one facet. Posts `Answered` when they are chosen; `take` hands them out."""

    DEFAULT_CSS = """
    Choice #question { padding: 0 1; text-style: bold; height: auto; }
    Choice #hint { padding: 0 1; color: $text-muted; height: auto; }
    Choice LabelList, Choice LabelList:focus { height: auto; max-height: 55%; border: none; padding: 0; }
    Choice #about { border-top: solid $primary-muted; padding: 0 1; height: 1fr; min-height: 5; }
    """

    class Answered(Message):
        """The labels were chosen."""

    def __init__(self) -> None:
        super().__init__()
        self.is_open = False
        self._answer: tuple[str, ...] | None = None

    def compose(self) -> ComposeResult:
        yield Static(id="question")
        yield Static(id="hint")
        yield LabelList()
        with VerticalScroll(id="about", can_focus=False):
            yield Static(id="definition")

    def ask(self, facet: Facet, labels: Sequence[Label], chosen: Sequence[str], marks: Mapping[str, str]) -> None:
        """Show the question. `chosen` are the labels chosen before; `marks` is what is said beside a label."""
        self._facet, self._labels, self._marks = facet, list(labels), dict(marks)
        self.is_open, self._answer = True, None
        self._chosen = [label.id for label in labels if label.id in chosen]
        self._chosen.sort(key=list(chosen).index)
        self.query_one("#question", Static).update(Content(f"{facet.name}: {facet.question}"))
        self.query_one("#hint", Static).update(Content(_HINTS[facet.cardinality]))
        listed = self.query_one(LabelList)
        listed.clear_options()
        listed.add_options([Option(self._prompt(n), id=label.id) for n, label in enumerate(labels)])
        ids = [label.id for label in labels]
        listed.highlighted = ids.index(self._chosen[0]) if self._chosen else 0
        listed.focus()

    def scroll_definition(self, lines: int) -> None:
        """Move the definition of the label in hand."""
        self.query_one("#about").scroll_relative(y=lines, animate=False)

    def on_key(self, event: Key) -> None:
        listed = self.query_one(LabelList)
        at = listed.highlighted if event.key == "space" else KEYS.find(event.character or " ")
        if at is not None and 0 <= at < len(self._labels):
            event.stop()
            listed.highlighted = at
            self._choose(self._labels[at].id)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self._choose(str(event.option_id))

    def confirm(self) -> None:
        """Answer with what is chosen, or with the label in hand."""
        at = self.query_one(LabelList).highlighted
        if self._facet.cardinality != "single" and self._chosen:
            self._give(tuple(self._chosen))
        elif at is not None:
            self._give((self._labels[at].id,))

    def take(self) -> tuple[str, ...] | None:
        """The answer that was given and not taken yet, the primary label first."""
        answer, self._answer = self._answer, None
        return answer

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        event.stop()
        label = next(each for each in self._labels if each.id == event.option_id)
        self.query_one("#definition", Static).update(_definition(label, self._facet))
        self.query_one("#about").scroll_home(animate=False)

    def _choose(self, label: str) -> None:
        if self._facet.cardinality == "single":
            self._give((label,))
            return
        self._chosen = [each for each in self._chosen if each != label] + [label] * (label not in self._chosen)
        listed = self.query_one(LabelList)
        for n in range(len(self._labels)):
            listed.replace_option_prompt_at_index(n, self._prompt(n))

    def _give(self, labels: tuple[str, ...]) -> None:
        # Keys that are typed before the next question stands there must not answer it.
        if self.is_open:
            self.is_open, self._answer = False, labels
            self.post_message(self.Answered())

    def _prompt(self, n: int) -> Content:
        label = self._labels[n]
        several = self._facet.cardinality != "single"
        box = ""
        if several or label.id in self._chosen:
            box = "[x] " if label.id in self._chosen else "[ ] "
        primary = self._facet.cardinality == "primary_first" and self._chosen[:1] == [label.id]
        return Content.assemble(
            (f" {KEYS[n]} ", "$text-accent bold") if n < len(KEYS) else "   ",
            box,
            (label.name, "bold" if label.id in self._chosen else ""),
            ("  primary" if primary else "", "$text-success"),
            (f"  {self._marks[label.id]}" if label.id in self._marks else "", "dim"),
        )


def _definition(label: Label, facet: Facet) -> Content:
    rival = next((each.name for each in facet.labels if each.id == label.rival), None)
    parts: list[tuple[str, str] | str] = [
        (label.name, "bold"),
        f"\n{label.definition}\n",
        ("\nIncludes  ", "$text-success"),
        "; ".join(label.includes),
        ("\nNot  ", "$text-error"),
        "; ".join(label.excludes),
        (f"\nOr {rival}?  " if rival else "\nRule  ", "$text-warning"),
        label.deciding_rule,
        ("\nExample  ", "dim"),
        label.example,
    ]
    return Content.assemble(*parts)
