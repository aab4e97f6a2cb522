from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from tests.cli.conftest import Run

pytestmark = pytest.mark.slow


def test_keys_are_made_listed_rotated_and_revoked_in_the_terminal(triage: Run, tmp_path: Path) -> None:
    folder = {"TRIAGE_DATA_DIR": str(tmp_path)}
    made = triage("keys", "create", "pager", "--team", "payments", "--expires-days", "2", **folder)
    text = made.stdout.strip()
    assert text.startswith("triage_")
    assert "not shown again" in made.stderr
    key_id = text.split("_")[1]

    rotated = json.loads(triage("keys", "rotate", key_id, "--json", **folder).stdout)
    assert rotated["text"] != text
    assert rotated["key"]["scopes"] == ["read", "triage"]
    assert f"Key {key_id} (pager) is revoked." in triage("keys", "revoke", key_id, **folder).stdout
    listed = triage("keys", "list", **folder).stdout
    assert key_id in listed
    assert "revoked" in listed
    assert text not in listed

    entries = json.loads(triage("audit", "--json", **folder).stdout)
    assert [entry["action"] for entry in entries] == ["key.revoked", "key.rotated", "key.created"]
    assert all(entry["actor"].startswith("cli:") for entry in entries)


def test_a_new_data_folder_is_its_owners_alone(triage: Run, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    triage("keys", "list", TRIAGE_DATA_DIR=str(folder))
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_what_can_not_be_is_refused_in_the_terminal(triage: Run, tmp_path: Path) -> None:
    folder = {"TRIAGE_DATA_DIR": str(tmp_path)}
    wrong = triage("keys", "create", "x", "--scope", "root", **folder)
    assert (wrong.returncode, "scopes" in wrong.stderr) == (2, True)
    assert triage("keys", "revoke", "nobody", **folder).returncode == 2
    open_to_all = triage("serve", "--host", "0.0.0.0", TRIAGE_AUTH="off", **folder)
    assert open_to_all.returncode == 1
    assert "triage keys create" in open_to_all.stderr


def test_an_encryption_key_is_one(triage: Run) -> None:
    Fernet(triage("keys", "encryption").stdout.strip())
