"""What the processes of tests import, loaded once in the process that they are forked from.

The command line is built once too: Typer reads the signatures of all commands at each start.
"""

from __future__ import annotations

import functools
import gc
import importlib

import typer.main

for _name in (
    "triage.cli",
    "triage.app.serving",
    "triage.app.wiring.components",
    "triage.labels.preview",
    "triage.server.notifications",
    "triage.evaluation.runner",
    "triage.insights.live_agreement",
    "triage.insights.study",
    "alembic.command",
    "chromadb.api.rust",
    "langchain_core.prompts.chat",
    "matplotlib.figure",
    "openai.resources.chat",
    "openai.resources.embeddings",
    "sklearn.feature_extraction.text",
    "sklearn.linear_model",
    "sqlalchemy.dialects.postgresql.psycopg",
    "sqlalchemy.dialects.sqlite.aiosqlite",
    "tests.parts",
):
    importlib.import_module(_name)

typer.main.get_command = functools.cache(typer.main.get_command)
typer.main.get_command(importlib.import_module("triage.cli").app)

# A collection in a forked process would otherwise copy the pages of everything above.
gc.collect()
gc.freeze()
