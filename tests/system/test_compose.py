"""compose.yaml can't be run here, but what it says can be held against the program that it starts."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer
import yaml

from triage.app.settings import Settings
from triage.cli import app

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
OURS = {name: service for name, service in COMPOSE["services"].items() if service.get("image") == "triage"}


def env_example() -> dict[str, str]:
    lines = (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def environment(service: str) -> dict[str, str]:
    """As the container gets it."""
    known = {**env_example(), "POSTGRES_PASSWORD": "secret"}
    given = {**env_example(), **OURS[service]["environment"]}
    return {name: re.sub(r"\$\{(\w+)[^}]*\}", lambda m: known[m[1]], value) for name, value in given.items()}


@pytest.mark.parametrize("service", OURS)
def test_every_setting_that_it_makes_is_one(service: str) -> None:
    names = {name.removeprefix("TRIAGE_").lower() for name in environment(service) if name.startswith("TRIAGE_")}
    assert names
    assert names <= set(Settings.model_fields)


@pytest.mark.parametrize("service", OURS)
def test_its_settings_make_a_process_that_shares(service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment(service).items():
        monkeypatch.setenv(name, value)
    settings = Settings(_env_file=None)
    assert settings.queue_url == "postgresql://triage:secret@postgres/triage"
    assert settings.chroma_url == "http://chroma:8000"
    assert settings.serve_works == (service == "worker")
    assert settings.base_url is None, "an empty variable is no endpoint"


def test_the_images_entry_point_knows_the_commands() -> None:
    docker = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert 'ENTRYPOINT ["triage"]' in docker
    commands = typer.main.get_command(app).commands
    assert {service["command"][0] for service in OURS.values()} == {"serve", "worker"} <= set(commands)
    assert "EXPOSE 8350" in docker
    assert "dynamic a api 8350" in COMPOSE["configs"]["caddyfile"]["content"]


def test_chroma_is_that_of_the_lock_file_and_in_reach_of_none_but_ours() -> None:
    chroma = COMPOSE["services"]["chroma"]
    locked = re.search(r"^chromadb==(\S+)", (ROOT / "requirements/run.lock").read_text(encoding="utf-8"), re.MULTILINE)
    assert locked is not None
    assert chroma["image"] == f"chromadb/chroma:{locked[1]}"
    assert "ports" not in chroma
    assert chroma["networks"] == ["index"]
    assert COMPOSE["networks"]["index"]["internal"]
    assert {name for name, service in COMPOSE["services"].items() if "index" in service["networks"]} == {
        "api",
        "worker",
        "chroma",
    }


def test_all_that_is_stored_is_in_volumes_and_only_the_proxy_is_published() -> None:
    services = COMPOSE["services"]
    assert {name for name, service in services.items() if "ports" in service} == {"proxy"}
    mounted = {each.split(":")[0] for service in services.values() for each in service.get("volumes", ())}
    assert mounted == set(COMPOSE["volumes"])
