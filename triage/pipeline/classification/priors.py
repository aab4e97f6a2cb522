"""What a model favours before it has read anything, measured on many write-ups and shipped for the default models."""

from __future__ import annotations

from functools import cache
from importlib import resources

import yaml
from pydantic import BaseModel, Field, TypeAdapter

from triage.domain.taxonomy import Taxonomy


class MeasuredPrior(BaseModel, frozen=True, extra="forbid"):
    """Label -> probability per facet, as a model gives it on average; children are normalised under their parent.

    The average is that of the log-probabilities over `incidents` write-ups whose labels were not looked at
    (batch calibration: Zhou et al., 2023, arXiv:2309.17249); where that was no better, it is what `LetterClassifier`
    would ask for at its first incident, shipped to save the time. Made by `evals/bench/priors.py`.
    """

    model: str
    prompt: str
    taxonomy: str
    incidents: int = Field(ge=1)
    source: str
    facets: dict[str, dict[str, float]]


def measured_prior(model: str, prompt: str, taxonomy: Taxonomy) -> dict[str, dict[str, float]]:
    """The shipped prior for exactly this model, prompt and taxonomy, by facet; empty where none was measured."""
    wanted = (model, prompt, f"{taxonomy.id}@{taxonomy.version}")
    return next((p.facets for p in _shipped() if (p.model, p.prompt, p.taxonomy) == wanted), {})


@cache
def _shipped() -> list[MeasuredPrior]:
    text = resources.files("triage.pipeline.classification").joinpath("priors.yaml").read_text(encoding="utf-8")
    return TypeAdapter(list[MeasuredPrior]).validate_python(yaml.safe_load(text))
