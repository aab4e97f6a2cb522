"""The local model: llama.cpp's OpenAI-compatible server in a child process, and the chat model that calls it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import subprocess
import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING

from triage.domain.errors import MisconfiguredService, ModelUnavailable
from triage.models.chat.weights import QWEN_CODER_1_5B

if TYPE_CHECKING:
    from triage.models.chat import Reply, Request
    from triage.models.chat.openai import OpenAIChat

_PROGRAM = Path(__file__).with_name("local_process.py")
_START_TIMEOUT_S = 120.0
_STOP_TIMEOUT_S = 5.0


class LocalModelServer:
    """Serves one GGUF file on a free loopback port with a random key, until `stop` or the end of this process.

    An OpenAI client connects with `base_url` and `api_key`. `threads` compute, by default one per usable core.
    """

    def __init__(
        self, model_path: Path, log_file: Path, *, context_tokens: int = 8192, threads: int | None = None
    ) -> None:
        self.model = QWEN_CODER_1_5B.name
        self.base_url = ""
        self.api_key = secrets.token_urlsafe(24)
        self._log_file = log_file
        self._settings = {
            "model_path": str(model_path),
            "name": self.model,
            "api_key": self.api_key,
            "context_tokens": context_tokens,
            "threads": threads or _usable_cores(),
            "cache_mib": 256,
        }
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def is_running(self) -> bool:
        """True if the server is ready and its process alive."""
        return bool(self.base_url) and self._process is not None and self._process.poll() is None

    async def start(self) -> None:
        """Start the server, unless it runs, and wait for it. Raises `MisconfiguredService` or `ModelUnavailable`."""
        if self.is_running:
            return
        await self.stop()
        self._process = self._launch()
        try:
            async with asyncio.timeout(_START_TIMEOUT_S):
                answer = await asyncio.to_thread(self._configure, self._process)
        except TimeoutError:
            await self.stop()
            raise ModelUnavailable(
                f"The local model was not ready after {_START_TIMEOUT_S:.0f} s: see {self._log_file}."
            ) from None
        except BaseException:
            await self.stop()
            raise
        if "url" not in answer:
            await self.stop()
            raise self._failure(answer.get("error", "its process ended without a message"))
        self.base_url = f"{answer['url']}/v1"

    async def stop(self) -> None:
        """Stop the server, if it runs, and wait for its end."""
        self.base_url = ""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        _close(process.stdin)
        await asyncio.to_thread(process.wait, _STOP_TIMEOUT_S)
        _close(process.stdout)

    def _launch(self) -> subprocess.Popen[bytes]:
        self._log_file.parent.mkdir(parents=True, exist_ok=True)
        with self._log_file.open("wb") as log:
            return subprocess.Popen(
                # -P: don't search the script's own folder, which has a module named openai.
                [sys.executable, "-P", str(_PROGRAM)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                # Threads that sleep while they wait are much faster on busy cores: 7 tokens/s instead of 2, measured
                # beside two busy processes.
                env={"OMP_WAIT_POLICY": "passive", **os.environ},
                start_new_session=True,
            )

    def _configure(self, process: subprocess.Popen[bytes]) -> dict[str, str]:
        if process.stdin is None or process.stdout is None:
            return {}
        try:
            process.stdin.write(json.dumps(self._settings).encode() + b"\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except (OSError, ValueError):
            line = b""
        return dict(json.loads(line)) if line else {}

    def _failure(self, cause: str) -> MisconfiguredService:
        if "libgomp" in cause:
            hint = "Install the OpenMP library: `apt-get install libgomp1` (Debian, Ubuntu) or `dnf install libgomp`."
        elif "ModuleNotFoundError" in cause:
            hint = "Run `pip install 'triage[local]'`."
        else:
            hint = f"See {self._log_file}; `triage doctor` checks the weights and the memory (about 2 GB are needed)."
        return MisconfiguredService(f"The local model could not be started: {cause}. {hint}", log=str(self._log_file))


class LocalChat:
    """The chat model of a `LocalModelServer`. It starts the server on first use, and again if its process died.

    It answers one request at a time; waiting for other requests doesn't count against the deadline.
    """

    def __init__(self, server: LocalModelServer) -> None:
        self.name = server.model
        self._server = server
        self._client: OpenAIChat | None = None
        self._lock = asyncio.Lock()

    async def complete(self, request: Request) -> Reply:
        """See `ChatModel.complete`. If the server dies during a request, a new server gets the request once more."""
        async with self._lock:
            client = await self._ready_client()
            try:
                return await client.complete(request)
            except ModelUnavailable:
                if self._server.is_running:
                    raise
            return await (await self._ready_client()).complete(request)

    async def ping(self) -> str:
        """Describe the server's state. Raises `ModelUnavailable` if it does not run."""
        if not self._server.is_running:
            raise ModelUnavailable("The local model's server has stopped; the next incident starts it again.")
        return f"{self.name} runs on this machine"

    async def aclose(self) -> None:
        """Close the connection and stop the server."""
        async with self._lock:
            await self._close_client()
            await self._server.stop()

    async def _ready_client(self) -> OpenAIChat:
        if self._client is None or not self._server.is_running:
            from triage.models.chat.openai import OpenAIChat
            from triage.models.chat.retry import RetryPolicy

            await self._close_client()
            try:
                await self._server.start()
            except MisconfiguredService as error:
                raise ModelUnavailable(error.detail, **error.data) from error
            policy = RetryPolicy(attempts=2)
            self._client = OpenAIChat(self.name, self._server.base_url, self._server.api_key, policy=policy)
        return self._client

    async def _close_client(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()


def _usable_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _close(pipe: IO[bytes] | None) -> None:
    with contextlib.suppress(OSError):
        if pipe is not None:
            pipe.close()
