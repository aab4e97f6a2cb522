from __future__ import annotations

from rich.console import Console

from triage.cli.rendering import print_triage
from triage.domain.incident import Incident
from triage.domain.taxonomy import Taxonomy
from triage.domain.triage_result import Provenance, Step, Suggestion, Supporter, Triage


def test_a_suggestion_shows_its_figures_steps_and_links_and_general_advice_none() -> None:
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
    )
    advice = Suggestion(mitigation="failover", definition="A standby took over.", score=0, is_general_advice=True)
    provenance = Provenance(taxonomy="llm_inference", taxonomy_version="1.0.0")
    triage = Triage(incident_id="x", facets={}, suggestions=(restart, advice), provenance=provenance)
    console = Console(width=160, record=True)

    print_triage(Incident(id="x", write_up="Everything hangs."), triage, Taxonomy.load("llm_inference"), console)
    shown = " ".join(console.export_text().split())

    assert "in 3 of 5 similar incidents, ended 2 of them on its own" in shown
    assert "over after 40 min (median of 3, middle half 35 min to 1 h 05 min)" in shown
    assert "“The workers were restarted.” a" in shown
    assert "Stuck workers https://example.org/a" in shown
    assert "General advice" in shown
    assert "Failover A standby took over." in shown


def test_warnings_are_shown_above_the_labels() -> None:
    provenance = Provenance(taxonomy="llm_inference", taxonomy_version="1.0.0")
    triage = Triage(incident_id="x", facets={}, warnings=("The calibrator does not fit.",), provenance=provenance)
    console = Console(width=100, record=True)

    print_triage(Incident(id="x", write_up="Everything hangs."), triage, Taxonomy.load("llm_inference"), console)

    assert "WARNING: The calibrator does not fit." in console.export_text()
