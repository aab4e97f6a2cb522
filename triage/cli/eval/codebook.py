"""`triage eval codebook`: the pairs of labels that are confused, and rules that may settle them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer
from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Column

from triage.app.settings import Settings
from triage.cli.eval.suspects import DATA_OPTION, ROOT_OPTION, RUN_ARGUMENT
from triage.cli.terminal import JSON_OPTION, messages, output, plain_table, print_json, run, watching
from triage.domain.errors import InvalidInput, MisconfiguredService

if TYPE_CHECKING:
    from triage.domain.taxonomy import Taxonomy
    from triage.evaluation.compare import Comparison
    from triage.evaluation.runs import Run
    from triage.labels.codebook.confused_pairs import ConfusedPair, ShownCase
    from triage.observability.progress import Progress

_QUOTED = 200
_SHOWN_CHANGES = 10


class _Options(NamedTuple):
    run: str
    root: Path
    data: Path | None
    annotations: Path | None
    pairs: int
    cases: int
    drafts: bool
    weak: bool
    write: Path | None
    tries: bool


class _Found(NamedTuple):
    pairs: list[ConfusedPair]
    written: Path | None = None
    rules: int = 0
    unread: str | None = None
    comparison: Comparison | None = None


def codebook(
    run_name: Annotated[str, RUN_ARGUMENT],
    annotations: Annotated[
        Path | None, typer.Option(help="Annotations (JSON Lines): where annotators differ counts too.")
    ] = None,
    pairs: Annotated[int, typer.Option(min=1, help="So many pairs, the most frequent ones.")] = 5,
    cases: Annotated[int, typer.Option(min=0, help="Show so many cases a pair.")] = 3,
    draft: Annotated[bool, typer.Option("--draft", help="Have the chat model phrase the rules.")] = False,
    weak: Annotated[bool, typer.Option("--weak", help="Use rules too whose words don't hold on other cases.")] = False,
    write: Annotated[
        Path | None, typer.Option(help="Write a copy of the taxonomy with the rules put in, as this .yaml file.")
    ] = None,
    try_it: Annotated[
        bool,
        typer.Option("--try", help="Run the suite with the rules on cases that they were not drawn from; compare."),
    ] = False,
    data: Annotated[Path | None, DATA_OPTION] = None,
    out: Annotated[Path, ROOT_OPTION] = Path("runs"),
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Show which labels are confused, with cases, sentences and both definitions, and propose rules that decide.

    Rules are drafted from the words that tell the gold labels apart, and tried on cases that they were not drafted
    from. With --try they are drafted from half of the cases, and the suite is run on the other half.
    """
    if write is not None and write.suffix not in (".yaml", ".yml"):
        raise typer.BadParameter("name a .yaml file", param_hint="--write")
    options = _Options(run_name, out, data, annotations, pairs, cases, draft, weak, write, try_it)
    found = run(_codebook(options))
    if as_json:
        print_json(
            {
                "pairs": [pair.model_dump(mode="json") | {"holds": pair.holds} for pair in found.pairs],
                "written": str(found.written) if found.written else None,
                "rules_written": found.rules,
                "unread": found.unread,
                "comparison": found.comparison,
            }
        )
    else:
        _print(found, output())
    if found.written is not None:
        messages().print(f"\n{found.rules} deciding rule(s) put into {escape(str(found.written))}.", soft_wrap=True)


async def _codebook(options: _Options) -> _Found:
    from triage.app.wiring.models import build_embedder, open_model
    from triage.app.wiring.storage import build_definition_reader
    from triage.domain.taxonomy import Taxonomy
    from triage.evaluation.archive import Archive
    from triage.evaluation.journal import finished
    from triage.evaluation.runs import cases_of
    from triage.evaluation.suites import Split
    from triage.intake.annotations import read_annotations
    from triage.labels.codebook.confused_pairs import Codebook, confused_pairs, of_annotators, of_run, rules_of
    from triage.labels.codebook.rule_drafting import phrase
    from triage.labels.codebook.taxonomy_file import raised, write_rules
    from triage.redaction import Redactor

    settings = Settings()
    if options.drafts and settings.model == "none":
        raise MisconfiguredService(
            "--draft needs a chat model, and TRIAGE_MODEL is none: set one, or leave --draft out.", setting="model"
        )
    base = Archive(options.root).find(options.run)
    taxonomy = Taxonomy.load(base.suite.taxonomy)
    cases = cases_of(base, taxonomy, options.data)
    facets = [taxonomy.facet(name) for name in base.suite.facets]
    differing = of_run(list(finished(base.records).values()), facets)
    if options.annotations is not None:
        differing += of_annotators(read_annotations(options.annotations, taxonomy, origin="human").annotations, facets)
    drafting = Split(part="dev", test_share=0.5, seed=base.suite.seed)
    known = [key for key, case in cases.items() if drafting.holds(case)] if options.tries else None
    if known is not None:
        # The test half must not influence which rules are drafted.
        differing = [one for one in differing if one.case_id in set(known)]
    embedder = build_embedder(settings)
    with watching() as progress:
        try:
            reader = build_definition_reader(settings, embedder, base.suite.narrow(taxonomy))
            with progress.step("Reading the sentences"):
                book = Codebook.of(taxonomy, cases, Redactor(), reader)
                pairs = await confused_pairs(
                    book, differing, most=options.pairs, shown=options.cases, drafted_from=known, seed=base.suite.seed
                )
        finally:
            await embedder.aclose()
        if options.drafts:
            async with open_model(settings, progress) as model:
                assert model is not None  # noqa: S101 - `none` was refused above
                pairs = [await phrase(pair, taxonomy, model) for pair in pairs]
        rules = rules_of(pairs, weak=options.weak or options.drafts)
        if not (options.write or options.tries):
            return _Found(pairs)
        unread = _why_rules_are_ignored(settings) if options.tries else None
        if not rules:
            nothing = "No rule is worth writing: see --weak, --pairs or --draft."
            return _Found(pairs, unread=f"{nothing} {unread}" if unread else nothing)
        path = options.write or base.folder / f"taxonomy-{raised(taxonomy.version)}.yaml"
        changed = write_rules(base.suite.taxonomy, rules, path)
        found = _Found(pairs, path, len(rules))
        if not options.tries:
            return found
        if unread is not None:
            return found._replace(unread=unread)
        return found._replace(comparison=await _try(options, settings, base, changed, path, drafting.seed, progress))


def _why_rules_are_ignored(settings: Settings) -> str | None:
    """Why no source would use a deciding rule; None if the model's prompt contains it."""
    rest = (
        "words, embedding and neighbours learn from gold labels, and the definitions' source reads names, definitions, "
        "inclusions and examples: the labels would come out the same, so the suite was not run."
    )
    if settings.model == "none":
        return f"No chat model is set (TRIAGE_MODEL=none), and nothing else reads deciding rules: {rest}"
    if settings.answers == "letters" or (settings.answers == "auto" and settings.is_local):
        return (
            "A model that answers by letters is shown the labels' names and definitions only, not their deciding "
            f"rules (TRIAGE_ANSWERS=structured would show them): {rest}"
        )
    return None


async def _try(
    options: _Options, settings: Settings, base: Run, changed: Taxonomy, path: Path, seed: int, progress: Progress
) -> Comparison:
    """Run the suite with the changed taxonomy on the cases that no rule was drafted from, and compare."""
    from triage.app.wiring.suites import open_subject
    from triage.evaluation.compare import compare
    from triage.evaluation.runner import run_suite
    from triage.evaluation.runs import RunIdentity, default_folder
    from triage.evaluation.suites import Split

    if base.suite.split is not None:
        raise InvalidInput(f"{base.suite.name} is split already: try rules on the whole suite.", field="split")
    suite = base.suite.model_copy(
        update={"taxonomy": str(path), "split": Split(part="test", test_share=0.5, seed=seed)}
    )
    dataset = suite.load_data(changed, options.data or Path(base.info.data_path))
    async with open_subject(settings, suite, changed, progress) as (subject, decisive):
        identity = RunIdentity.of(suite, dataset, changed, decisive)
        tried = await run_suite(
            suite,
            dataset,
            changed,
            subject,
            default_folder(options.root, suite, identity),
            settings=decisive,
            progress=lambda work, done, total: progress(f"Trying the rules: {work}", done, total),
        )
    return compare(base, tried, changed)


def _print(found: _Found, console: Console) -> None:
    if not found.pairs:
        console.print("No two labels are confused.")
    for pair in found.pairs:
        _print_pair(pair, console)
    if found.unread is not None:
        console.print(f"\n[yellow]{escape(found.unread)}[/yellow]")
    if found.comparison is not None:
        _print_comparison(found.comparison, console)


def _print_pair(pair: ConfusedPair, console: Console) -> None:
    console.print(f"\n[bold]{escape(pair.facet)}: {escape(pair.a.id)} or {escape(pair.b.id)}[/bold]")
    console.print(
        f"{pair.n} of {pair.disagreements} cases that disagree: {pair.gold_a} with gold {pair.a.id}, {pair.gold_b} "
        f"with gold {pair.b.id}" + (", the rest between annotators" if pair.gold_a + pair.gold_b < pair.n else "")
    )
    table = plain_table(Column(style="dim"), Column(ratio=1), Column(ratio=1))
    for heading, name in (("", "name"), ("defined", "definition"), ("now decided", "deciding_rule")):
        table.add_row(heading, *(escape(getattr(label, name)) for label in (pair.a, pair.b)))
    console.print(table)
    for case in pair.shown:
        console.print(Padding(_case(pair, case), (0, 0, 0, 2)))
    if pair.proposal is None:
        console.print("No words tell the two apart well enough for a rule.")
        return
    console.print(f"[bold]Proposed[/bold] ({escape(pair.by)}): {escape(pair.proposal)}")
    trial = pair.trial
    if trial is not None:
        console.print(
            f"On cases that they were not drawn from, the words decide {escape(str(trial.decided))} and are right in "
            f"{escape(str(trial.right))} of these; always taking the commoner label, in {escape(str(trial.usual))}. "
            + ("They hold." if pair.holds else "[yellow]They don't hold: not written without --weak.[/yellow]")
        )


def _case(pair: ConfusedPair, case: ShownCase) -> str:
    said = ", ".join(f"{who} {label}" for who, label in case.said.items())
    lines = [f"{escape(case.case_id)} {escape(case.title)} [dim]({escape(said)})[/dim]"]
    for label, sentence in ((pair.a, case.for_a), (pair.b, case.for_b)):
        if sentence:
            short = sentence if len(sentence) <= _QUOTED else f"{sentence[:_QUOTED]} ..."
            lines.append(f"  for {escape(label.id)}: [italic]“{escape(short)}”[/italic]")
    return "\n".join(lines)


def _print_comparison(comparison: Comparison, console: Console) -> None:
    console.print(f"\n[bold]With the rules[/bold] ({escape(comparison.other)} against {escape(comparison.base)})")
    console.print(f"{escape(comparison.verdict)} None of these cases had a part in drafting the rules.")
    table = plain_table("metric", "before", "with the rules", "difference")
    for one in comparison.differences:
        figures = ["-" if value is None else f"{value:.3g}" for value in (one.base, one.other)]
        table.add_row(one.metric, *figures, escape(str(one)))
    console.print(table)
    for change in comparison.changes[:_SHOWN_CHANGES]:
        console.print(
            f"  {escape(change.case_id)}: {', '.join(change.base)} -> {', '.join(change.other)} "
            f"[dim](gold {', '.join(change.gold)}; {change.verdict})[/dim]"
        )
    if len(comparison.changes) > _SHOWN_CHANGES:
        console.print(f"  and {len(comparison.changes) - _SHOWN_CHANGES} more: --json")
    others = [one for one in comparison.settings if one not in ("suite", "taxonomy")]
    if others:
        console.print(f"[yellow]Beside the rules, these differ too: {escape('; '.join(others))}[/yellow]")
