from __future__ import annotations

from typing import Any

from rich.console import Console

from triage.cli.rendering import print_triage
from triage.domain.incident import Incident
from triage.domain.taxonomy import Taxonomy
from triage.domain.triage_result import (
    Evidence,
    FacetResult,
    KindCount,
    LabelChange,
    Precedent,
    Provenance,
    Step,
    Suggestion,
    Supporter,
    Triage,
)

PROVENANCE = Provenance(taxonomy="llm_inference", taxonomy_version="1.0.0")


def shown(facets: dict[str, FacetResult] | None = None, **fields: Any) -> str:
    triage = Triage(incident_id="x", facets=facets or {}, provenance=PROVENANCE, **fields)
    console = Console(width=220, record=True)
    print_triage(Incident(id="x", write_up="Everything hangs."), triage, Taxonomy.load("llm_inference"), console)
    return " ".join(console.export_text().replace("│", "").split())


def test_a_suggestion_shows_its_figures_steps_and_links() -> None:
    kind = KindCount(facet="failure_mode", label="deployment", used=9, known=14)
    restart = Suggestion(
        mitigation="restart",
        score=0.6,
        support=3,
        considered=5,
        ended=2,
        incidents=("a",),
        supporters=(Supporter(incident_id="a", title="Stuck workers", url="https://example.org/a"),),
        steps=(Step(text="The workers were restarted.", incident_id="a"),),
        median_ttm_minutes=40,
        ttm_interquartile_range_minutes=(35, 65),
        ttm_count=3,
        ttm_until="mitigation",
        of_kind=kind,
    )
    advice = Suggestion(mitigation="failover", definition="A standby took over.", score=0.1, is_general_advice=True)
    text = shown(suggestions=(restart, advice))

    assert "in 9 of 14 incidents of kind Deployment · in 3 of 5 similar incidents, ended 2 of them on its own" in text
    assert "mitigated in 40 min (median of 3, IQR 35 min to 1 h 05 min)" in text
    assert "“The workers were restarted.” a" in text
    assert "Stuck workers https://example.org/a" in text
    assert "2. Failover in no similar one A standby took over." in text


def test_the_nearest_incident_is_shown_with_its_own_words() -> None:
    precedent = Precedent(
        incident_id="a",
        title="Stuck workers",
        similarity=0.81,
        mitigations=("restart",),
        sentence="The workers were restarted.",
        ttm_minutes=40,
        ttm_until="resolution",
    )
    assert (
        "What ended the nearest incident Stuck workers · 0.81 ended by restart, resolved in 40 min "
        "“The workers were restarted.” a" in shown(precedent=precedent)
    )


def test_it_says_that_nothing_is_close() -> None:
    assert "What ended the nearest incident Nothing close: so it is." in shown(nothing_close="Nothing close: so it is.")


def test_warnings_are_shown_above_the_labels() -> None:
    assert "WARNING: The calibrator does not fit." in shown(warnings=("The calibrator does not fit.",))


def test_a_label_that_no_sentence_shows_says_so_and_a_facet_that_abstains_shows_its_close_labels() -> None:
    close = Evidence(start=0, end=17, quote="Everything hangs.", label="hang")
    facets = {
        "category": FacetResult(facet="category", labels=("inference_engine",), probability=0.8),
        "failure_mode": FacetResult(facet="failure_mode", labels=(), abstention="Not sure enough.", evidence=(close,)),
    }
    printed = shown(facets)

    assert "no sentence shows this" in printed
    assert "“Everything hangs.” Failure mode: Hang?" in printed


def test_what_the_model_changed_is_told_by_name() -> None:
    changes = (
        LabelChange(facet="category", before=("operational",), after=("infrastructure",)),
        LabelChange(facet="severity", before=(), after=("high",)),
    )
    category = Taxonomy.load("llm_inference").facet("category")
    names = [category.label(label).name for label in ("operational", "infrastructure")]

    assert f"Category was {names[0]}, is {names[1]}; Severity was not decided, is High." in shown(changes=changes)
