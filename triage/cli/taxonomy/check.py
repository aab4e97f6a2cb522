"""`triage taxonomy check`: the mistakes in a taxonomy file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from triage.cli.terminal import JSON_OPTION, MISUSE, output, print_json
from triage.domain.errors import NotFound


def check_file(
    file: Annotated[Path, typer.Argument(help="The taxonomy's YAML file.")],
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Explain every mistake in a taxonomy file with its line. The exit code is 2 if there is any."""
    from triage.domain.taxonomy import Taxonomy, check

    if not file.is_file():
        raise NotFound(f"There is no taxonomy file {file}.", path=str(file))
    problems = check(file)
    if as_json:
        print_json([{"line": problem.line, "message": problem.message} for problem in problems])
    elif problems:
        console = output()
        for problem in problems:
            console.print(f"{escape(str(file))}:{problem.line}: {escape(problem.message)}", soft_wrap=True)
        console.print(f"[bold red]{len(problems)} mistake(s)[/bold red]")
    else:
        taxonomy = Taxonomy.load(file)
        labels = ", ".join(f"{facet.id} ({len(facet.labels)} labels)" for facet in taxonomy.facets)
        output().print(
            f"[green]No mistakes[/green] in {escape(taxonomy.id)} {escape(taxonomy.version)}: {escape(labels)}"
        )
    if problems:
        raise typer.Exit(MISUSE)
