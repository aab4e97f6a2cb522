"""The real local model: its server process and the adapter."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

import pytest

from triage.domain.errors import MisconfiguredService, ModelUnavailable
from triage.models.chat import Message, Request
from triage.models.chat.local import LocalChat, LocalModelServer

PARENT = """
import asyncio, sys
from pathlib import Path
from triage.models.chat.local import LocalModelServer

async def main():
    server = LocalModelServer(Path(sys.argv[1]), Path(sys.argv[2]), context_tokens=512)
    await server.start()
    print(server.base_url, flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


async def test_the_error_for_an_invalid_model_file_names_the_log(tmp_path: Path) -> None:
    pytest.importorskip("xllamacpp")
    file = tmp_path / "not-a-model.gguf"
    file.write_bytes(b"GGUF, but not really")
    log = tmp_path / "logs" / "model.log"
    server = LocalModelServer(file, log)

    with pytest.raises(MisconfiguredService, match=f"could not be started.*{log}"):
        await server.start()
    with pytest.raises(ModelUnavailable, match="could not be started"):
        await LocalChat(server).complete(Request(messages=(Message(role="user", content="Hello"),)))

    assert not server.is_running


@pytest.mark.slow
@pytest.mark.local_model
async def test_the_local_model_answers_in_json_and_letters_and_restarts_after_a_crash(
    local_model_path: Path, tmp_path: Path
) -> None:
    server = LocalModelServer(local_model_path, tmp_path / "model.log", context_tokens=2048)
    chat = LocalChat(server)
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {"part": {"type": "string", "enum": ["disk", "network"]}},
        "required": ["part"],
        "additionalProperties": False,
    }
    try:
        structured = await chat.complete(_ask("Which part failed: three disks broke?", schema_=schema, max_tokens=30))
        lettered = await chat.complete(
            _ask("Three disks broke. Answer with one letter.\nA. disk\nB. network", max_tokens=1, top_logprobs=20)
        )
        assert server._process is not None
        os.kill(server._process.pid, signal.SIGKILL)
        again = await chat.complete(_ask("Say yes.", max_tokens=2))
    finally:
        await chat.aclose()

    assert json.loads(structured.text)["part"] in {"disk", "network"}
    assert structured.prompt_tokens > 0
    assert lettered.first_token_logprobs["A"] > lettered.first_token_logprobs["B"]
    assert len(lettered.first_token_logprobs) == 20
    assert again.text
    assert not server.is_running


@pytest.mark.slow
@pytest.mark.local_model
def test_the_server_ends_when_its_parent_is_killed(local_model_path: Path, tmp_path: Path) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(local_model_path), str(tmp_path / "model.log")], stdout=subprocess.PIPE
    )
    assert parent.stdout is not None
    with parent.stdout:
        address = urlsplit(parent.stdout.readline().decode().strip())
    assert _is_listening(address)

    parent.kill()
    parent.wait(10)

    until = time.monotonic() + 10
    while _is_listening(address) and time.monotonic() < until:
        time.sleep(0.05)
    assert not _is_listening(address)


def _ask(question: str, **changes: Any) -> Request:
    return Request(messages=(Message(role="user", content=question),), deadline_s=200, **changes)


def _is_listening(address: SplitResult) -> bool:
    try:
        socket.create_connection((address.hostname, address.port), timeout=1).close()
    except OSError:
        return False
    return True
