"""The child process of `LocalModelServer`: serves one GGUF file over OpenAI-compatible HTTP until its parent ends.

It runs as a script and imports nothing of triage. It reads its settings as one JSON line from standard input, answers
with one JSON line (`url` or `error`) on standard output, and ends when standard input closes, which happens even if
the parent is killed.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from typing import Any, TextIO


def main() -> None:
    """Serve until the parent ends."""
    settings = json.loads(sys.stdin.readline())
    # llama.cpp may write to standard output: reserve the real one for the answer.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    try:
        server = _serve(settings)
    except Exception as error:  # noqa: BLE001  the parent must learn of every error
        _answer(answers, error=f"{type(error).__name__}: {error}")
        sys.exit(1)
    _answer(answers, url=server.listening_address)
    threading.Thread(target=_exit_with_parent, args=(os.getppid(),), daemon=True).start()
    sys.stdin.read()
    os._exit(0)


def _serve(settings: dict[str, Any]) -> Any:
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = settings["model_path"]
    params.model_alias = {settings["name"]}
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.api_keys = [settings["api_key"]]
    params.n_ctx = settings["context_tokens"]
    params.n_parallel = 1
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = settings["threads"]
    params.cache_prompt = True
    params.cache_ram_mib = settings["cache_mib"]
    params.ui = params.endpoint_slots = False
    params.verbosity = 2
    return xllamacpp.Server(params)


def _answer(answers: TextIO, **content: str) -> None:
    with answers:
        answers.write(json.dumps(content) + "\n")


def _exit_with_parent(parent: int) -> None:
    """Watch the parent too: standard input stays open if another child of the parent inherited its other end."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(0)


if __name__ == "__main__":
    main()
