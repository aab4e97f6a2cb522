"""The reply cache: which questions are the same, and what survives a crash."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triage.models.chat import Message, Reply, Request
from triage.models.chat.cache import CachedChat, ReplyCache, bypass_cache, cache_key
from triage.pipeline.classification.samples import sample


class Counting:
    """A chat model whose replies are numbered."""

    name = "counting"

    def __init__(self) -> None:
        self.asked = 0

    async def complete(self, request: Request) -> Reply:
        self.asked += 1
        return Reply(text=f"reply {self.asked} to {request.messages[-1].content}", prompt_tokens=7, retries=2)


def ask(text: str = "Why?", **more: Any) -> Request:
    return Request(messages=(Message(role="user", content=text),), **more)


async def test_a_question_is_paid_for_once_across_processes(tmp_path: Path) -> None:
    model = Counting()
    with ReplyCache(tmp_path / "replies.jsonl") as cache:
        first = await CachedChat(model, cache).complete(ask())
    with ReplyCache(tmp_path / "replies.jsonl") as cache:
        second = await CachedChat(model, cache).complete(ask())

    assert (first.text, first.is_cached, first.retries) == ("reply 1 to Why?", False, 2)
    assert (second.text, second.is_cached, second.retries, second.prompt_tokens) == ("reply 1 to Why?", True, 0, 7)
    assert model.asked == 1


@pytest.mark.parametrize(
    "other",
    [
        ask("Why not?"),
        ask(max_tokens=5),
        ask(temperature=0.7),
        ask(sample=1),
        ask(top_logprobs=5),
        ask(schema_={"type": "object"}),
        Request(messages=(Message(role="system", content="Why?"),)),
        Request(messages=(Message(role="user", content="Why?"), Message(role="user", content=""))),
    ],
)
def test_whatever_can_change_the_reply_changes_the_key(other: Request) -> None:
    assert cache_key(other) != cache_key(ask())


def test_the_deadline_does_not_change_the_key() -> None:
    assert cache_key(ask(deadline_s=1)) == cache_key(ask(deadline_s=99))


async def test_samples_of_one_question_stay_different_and_in_order(tmp_path: Path) -> None:
    model = Counting()
    with ReplyCache(tmp_path / "replies.jsonl") as cache:
        chat = CachedChat(model, cache)
        first = [reply.text for reply in await sample(chat, ask(), 4)]
        again = [reply.text for reply in await sample(chat, ask(), 4)]

    assert len(set(first)) == 4
    assert again == first
    assert model.asked == 4


def test_each_model_at_each_endpoint_has_its_own_file(tmp_path: Path) -> None:
    names = [("gpt", "a"), ("gpt", "b"), ("gpt-2", "a"), ("../gpt", "a")]
    paths = {ReplyCache.of(tmp_path, model, endpoint).path for model, endpoint in names}

    assert len(paths) == 4
    assert {path.parent for path in paths} == {tmp_path}


async def test_a_bypassed_cache_is_updated_with_the_new_reply(tmp_path: Path) -> None:
    model = Counting()
    with ReplyCache(tmp_path / "replies.jsonl") as cache:
        chat = CachedChat(model, cache)
        await chat.complete(ask())
        with bypass_cache():
            anew = await asyncio.create_task(chat.complete(ask()))
        later = await chat.complete(ask())

    assert anew.text == later.text == "reply 2 to Why?"


@given(cut=st.integers(2, 60), text=st.text(max_size=30))
def test_a_torn_line_costs_its_own_reply_only(tmp_path_factory: pytest.TempPathFactory, cut: int, text: str) -> None:
    path = tmp_path_factory.mktemp("cache") / "replies.jsonl"
    keys = [cache_key(ask(str(n))) for n in range(3)]
    with ReplyCache(path) as cache:
        cache.put(keys[0], Reply(text=text))
        cache.put(keys[1], Reply(text="torn"))
    path.write_bytes(path.read_bytes()[:-cut])
    with ReplyCache(path) as cache:
        cache.put(keys[2], Reply(text=text))
    with ReplyCache(path) as cache:
        found = [cache.get(key) for key in keys]

    assert found[0] is not None
    assert found[2] is not None
    assert found[0].text == found[2].text == text
    assert found[1] is None


def test_a_damaged_reply_is_asked_for_again(tmp_path: Path) -> None:
    path, key = tmp_path / "replies.jsonl", cache_key(ask())
    with ReplyCache(path) as cache:
        cache.put(key, Reply(text="fine"))
    path.write_bytes(path.read_bytes().replace(b'"text":"fine"', b'"text": ???? '))
    with ReplyCache(path) as cache:
        assert cache.get(key) is None


def test_two_processes_can_write_to_one_file(tmp_path: Path) -> None:
    path = tmp_path / "replies.jsonl"
    with ReplyCache(path) as one, ReplyCache(path) as other:
        for n in range(50):
            (one if n % 2 else other).put(cache_key(ask(str(n))), Reply(text=f"{n}"))
        assert one.get(cache_key(ask("3"))) is not None
    with ReplyCache(path) as cache:
        found = [cache.get(cache_key(ask(str(n)))) for n in range(50)]

    assert [reply and reply.text for reply in found] == [str(n) for n in range(50)]


PROGRAM = """
import sys, itertools
from pathlib import Path
from triage.models.chat import Message, Reply, Request
from triage.models.chat.cache import ReplyCache, cache_key
with ReplyCache(Path(sys.argv[1])) as cache:
    for n in itertools.count():
        request = Request(messages=(Message(role="user", content=str(n)),))
        cache.put(cache_key(request), Reply(text="x" * 3000))
        print(n, flush=True)
"""


def test_stored_replies_survive_a_killed_process(tmp_path: Path) -> None:
    path = tmp_path / "replies.jsonl"
    with subprocess.Popen([sys.executable, "-c", PROGRAM, str(path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        printed = [int(process.stdout.readline()) for _ in range(200)]
        os.kill(process.pid, signal.SIGKILL)
        printed += [int(line) for line in process.stdout if line.endswith("\n")]
    with ReplyCache(path) as cache:
        assert all(cache.get(cache_key(ask(str(n)))) for n in printed)


def test_a_cache_that_is_not_open_says_so(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="context manager"):
        ReplyCache(tmp_path / "replies.jsonl").put(b"0" * 64, Reply(text=""))
