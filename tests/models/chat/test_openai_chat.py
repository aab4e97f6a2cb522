"""The OpenAI adapter against a fake endpoint over a real socket."""

from __future__ import annotations

import asyncio
import json
import math
import time
import traceback
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.fake_openai import (
    Answer,
    Behaviour,
    Body,
    CutOff,
    FakeOpenAI,
    NoChoices,
    OutsideSchema,
    Refusal,
    Status,
    WrongLabel,
    format_asked,
)
from triage.domain.errors import ModelUnavailable
from triage.models.chat import Message, Request
from triage.models.chat.openai import OpenAIChat
from triage.models.chat.retry import RetryPolicy

KEY = "sk-secret-of-the-test-1234567890"
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"category": {"type": "string", "enum": ["infrastructure", "operational"]}},
    "required": ["category"],
    "additionalProperties": False,
}
QUICK = RetryPolicy(attempts=4, first_wait_s=0.01, longest_wait_s=0.02)


def ask(**changes: Any) -> Request:
    return Request(messages=(Message(role="user", content="The disks of three nodes failed."),), **changes)


@pytest.fixture
async def chat(fake_openai: FakeOpenAI) -> AsyncIterator[OpenAIChat]:
    adapter = OpenAIChat("gpt-test", fake_openai.base_url, KEY, policy=QUICK)
    yield adapter
    await adapter.aclose()


async def test_a_plain_question_gets_a_reply_with_its_token_counts(fake_openai: FakeOpenAI, chat: OpenAIChat) -> None:
    fake_openai.script(Answer("three disks"))

    reply = await chat.complete(ask(max_tokens=50))

    assert (reply.text, reply.finish_reason, reply.model, reply.retries) == ("three disks", "stop", "gpt-test", 0)
    assert (reply.prompt_tokens, reply.completion_tokens) == (6, 2)
    [sent] = fake_openai.requests
    assert sent["max_tokens"] == 50
    assert not {"response_format", "logprobs", "top_logprobs"} & set(sent)


async def test_a_schema_is_sent_strict_and_the_answer_fits_it(fake_openai: FakeOpenAI, chat: OpenAIChat) -> None:
    fake_openai.prefer = ("operational",)

    reply = await chat.complete(ask(schema_=SCHEMA))

    assert json.loads(reply.text) == {"category": "operational"}
    described = fake_openai.requests[0]["response_format"]["json_schema"]
    assert described["strict"] is True
    assert described["schema"] == SCHEMA


async def test_log_probabilities_of_the_first_token_are_returned(fake_openai: FakeOpenAI, chat: OpenAIChat) -> None:
    reply = await chat.complete(ask(max_tokens=1, top_logprobs=2))

    assert reply.first_token_logprobs == pytest.approx({"A": math.log(0.7), "B": math.log(0.2)})


async def test_missing_log_probabilities_are_no_error(fake_openai: FakeOpenAI, chat: OpenAIChat) -> None:
    fake_openai.gives_logprobs = False

    reply = await chat.complete(ask(top_logprobs=5))

    assert (reply.text, reply.first_token_logprobs) == ("A", {})


LADDER = ["json_schema", "tool", "json_object", "text"]


@pytest.mark.parametrize(
    ("rejected", "understood"),
    [
        (set(), "json_schema"),
        ({"json_schema"}, "tool"),
        ({"json_schema", "tools"}, "json_object"),
        ({"json_schema", "tool_choice"}, "json_object"),
        ({"json_schema", "tools", "json_object"}, "text"),
    ],
)
async def test_the_strictest_format_that_the_endpoint_supports_is_found_and_remembered(
    fake_openai: FakeOpenAI, chat: OpenAIChat, rejected: set[str], understood: str
) -> None:
    fake_openai.rejects = rejected

    first = await chat.complete(ask(schema_=SCHEMA))
    second = await chat.complete(ask(schema_=SCHEMA))

    assert first.text == second.text == '{"category": "infrastructure"}'
    assert first.finish_reason == "stop"
    tried = LADDER[: LADDER.index(understood) + 1]
    assert [format_asked(sent) for sent in fake_openai.requests] == [*tried, understood]
    told_in_words = "JSON schema" in fake_openai.requests[-1]["messages"][-1]["content"]
    assert told_in_words == (understood in {"json_object", "text"})


async def test_a_required_tool_call_replaces_a_schema(fake_openai: FakeOpenAI, chat: OpenAIChat) -> None:
    fake_openai.rejects = {"json_schema"}

    await chat.complete(ask(schema_=SCHEMA))
    await chat.complete(ask())

    _, with_schema, without = fake_openai.requests
    [tool] = with_schema["tools"]
    assert tool["function"]["parameters"] == SCHEMA
    assert tool["function"]["strict"] is True
    assert with_schema["tool_choice"]["function"]["name"] == tool["function"]["name"]
    assert not {"tools", "tool_choice"} & set(without)


async def test_an_endpoint_that_does_not_know_strict_is_asked_without_it(
    fake_openai: FakeOpenAI, chat: OpenAIChat
) -> None:
    fake_openai.rejects = {"strict"}

    await chat.complete(ask(schema_=SCHEMA))
    await chat.complete(ask(schema_=SCHEMA))

    assert [format_asked(sent) for sent in fake_openai.requests] == ["json_schema"] * 3
    assert ["strict" in sent["response_format"]["json_schema"] for sent in fake_openai.requests] == [True, False, False]


async def test_an_answer_in_the_content_instead_of_a_tool_call_is_read(
    fake_openai: FakeOpenAI, chat: OpenAIChat
) -> None:
    fake_openai.rejects = {"json_schema"}
    fake_openai.otherwise = Answer(calls_tool=False)

    assert (await chat.complete(ask(schema_=SCHEMA))).text == '{"category": "infrastructure"}'


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ({"content": "Let me see.", "tool_calls": [{"function": {"name": "answer", "arguments": "{}"}}]}, "{}"),
        ({"content": None, "tool_calls": [{"function": {"name": "answer", "arguments": {"a": "é"}}}]}, '{"a": "é"}'),
        ({"content": "words", "tool_calls": [{"function": {"name": "answer", "arguments": ""}}]}, "words"),
        ({"content": "words", "tool_calls": [{"function": None}, {}]}, "words"),
        ({"content": "words", "tool_calls": "none"}, "words"),
    ],
)
async def test_tool_calls_are_read_in_every_form_that_endpoints_send(
    fake_openai: FakeOpenAI, chat: OpenAIChat, message: dict[str, Any], text: str
) -> None:
    fake_openai.script(Body(json.dumps({"choices": [{"index": 0, "message": {"role": "assistant"} | message}]})))

    assert (await chat.complete(ask(schema_=SCHEMA))).text == text


@pytest.mark.parametrize(
    "objection",
    [
        Status(400, "registry.ollama.ai/library/gemma:2b does not support tools"),
        Status(400, '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set'),
        Status(404, "No endpoints found that support the provided 'tool_choice' value."),
    ],
)
async def test_all_known_messages_for_missing_tools_are_understood(
    fake_openai: FakeOpenAI, chat: OpenAIChat, objection: Status
) -> None:
    fake_openai.script(Status(400, "response_format.type must be text"), objection)

    await chat.complete(ask(schema_=SCHEMA))
    await chat.complete(ask(schema_=SCHEMA))

    assert [format_asked(sent) for sent in fake_openai.requests] == [*LADDER[:3], "json_object"]


async def test_an_error_in_the_last_format_is_reported(fake_openai: FakeOpenAI, chat: OpenAIChat) -> None:
    fake_openai.otherwise = Status(400, "This endpoint takes no schema at all.")

    with pytest.raises(ModelUnavailable, match=r"TRIAGE_MODEL.*takes no schema at all"):
        await chat.complete(ask(schema_=SCHEMA))

    assert [format_asked(sent) for sent in fake_openai.requests] == LADDER

    fake_openai.otherwise = Answer()
    await chat.complete(ask(schema_=SCHEMA))

    assert format_asked(fake_openai.requests[-1]) == "json_schema"


async def test_a_slow_call_does_not_overwrite_what_another_learned(fake_openai: FakeOpenAI, chat: OpenAIChat) -> None:
    fake_openai.rejects = {"json_schema"}
    fake_openai.script(Answer("slow", delay_s=0.5))

    slow = asyncio.create_task(chat.complete(ask()))
    await asyncio.sleep(0.2)
    await chat.complete(ask(schema_=SCHEMA))
    await slow
    await chat.complete(ask(schema_=SCHEMA))

    assert [format_asked(sent) for sent in fake_openai.requests] == ["text", "json_schema", "tool", "tool"]


@pytest.mark.parametrize(
    ("rejected", "kept"),
    [("logprobs", "temperature"), ("temperature", "logprobs"), ("max_tokens", "max_completion_tokens")],
)
async def test_a_rejected_parameter_is_omitted_from_then_on(
    fake_openai: FakeOpenAI, chat: OpenAIChat, rejected: str, kept: str
) -> None:
    fake_openai.rejects = {rejected}

    await chat.complete(ask(top_logprobs=5))
    tried = len(fake_openai.requests)
    await chat.complete(ask(top_logprobs=5))

    assert [rejected in sent for sent in fake_openai.requests] == [True] * (tried - 1) + [False, False]
    assert kept in fake_openai.requests[-1]


async def test_an_endpoint_with_fewer_log_probabilities_still_gives_some(
    fake_openai: FakeOpenAI, chat: OpenAIChat
) -> None:
    fake_openai.script(Status(400, "Requested sample logprobs of 20, which is greater than max allowed: 5"))

    reply = await chat.complete(ask(top_logprobs=20))

    assert fake_openai.requests[-1]["top_logprobs"] == 5
    assert set(reply.first_token_logprobs) == {"A", "B", "C"}


async def test_an_invalid_request_does_not_change_what_is_remembered(fake_openai: FakeOpenAI, chat: OpenAIChat) -> None:
    fake_openai.script(Status(400, "This model's maximum context length is 8192 tokens."))

    with pytest.raises(ModelUnavailable, match="maximum context length"):
        await chat.complete(ask(schema_=SCHEMA))
    await chat.complete(ask(schema_=SCHEMA))

    assert [sent["response_format"]["type"] for sent in fake_openai.requests] == ["json_schema", "json_schema"]


@pytest.mark.parametrize(
    "failure",
    [
        Status(500),
        Status(503, headers={"retry-after-ms": "5"}),
        Status(429, headers={"retry-after": "0.01"}),
        Status(408),
        CutOff(),
        Body('{"id": "x", "choices": [{"mess'),
        Body("<html>gateway</html>", content_type="text/html"),
        Body("null"),
        Body('{"choices": [{"index": 0}]}'),
        Body('{"choices": [{"index": 0, "message": null}]}'),
        NoChoices(),
        Answer(""),
    ],
)
async def test_transient_errors_are_retried_and_counted(
    fake_openai: FakeOpenAI, chat: OpenAIChat, failure: Behaviour
) -> None:
    fake_openai.script(failure, failure, Answer("at last"))

    reply = await chat.complete(ask(deadline_s=20))

    assert (reply.text, reply.retries) == ("at last", 2)


@pytest.mark.parametrize(
    ("failure", "message"),
    [
        (Status(500), "status 500"),
        (CutOff(), "TRIAGE_BASE_URL"),
        (Body('{"choices": ['), "not JSON"),
        (NoChoices(), "no choices"),
    ],
)
async def test_a_persistent_error_is_raised_after_the_last_try(
    fake_openai: FakeOpenAI, chat: OpenAIChat, failure: Behaviour, message: str
) -> None:
    fake_openai.otherwise = failure

    with pytest.raises(ModelUnavailable, match=message) as raised:
        await chat.complete(ask())

    assert raised.value.data["attempts"] == len(fake_openai.requests) == QUICK.attempts


async def test_a_wrong_key_fails_at_once_and_names_the_setting(fake_openai: FakeOpenAI, chat: OpenAIChat) -> None:
    fake_openai.keys = {"another"}

    with pytest.raises(ModelUnavailable, match="OPENAI_API_KEY") as raised:
        await chat.complete(ask())

    assert raised.value.data == {"status": 401, "attempts": 1}
    assert len(fake_openai.requests) == 1


async def test_an_unknown_model_fails_at_once_and_names_the_settings(fake_openai: FakeOpenAI, chat: OpenAIChat) -> None:
    fake_openai.models = {"another"}

    with pytest.raises(ModelUnavailable, match=r"TRIAGE_MODEL and TRIAGE_BASE_URL.*`gpt-test` does not exist"):
        await chat.complete(ask())

    assert len(fake_openai.requests) == 1


async def test_an_exhausted_quota_is_not_retried(fake_openai: FakeOpenAI, chat: OpenAIChat) -> None:
    fake_openai.script(Status(429, "You exceeded your quota", error_code="insufficient_quota"))

    with pytest.raises(ModelUnavailable, match="quota"):
        await chat.complete(ask())

    assert len(fake_openai.requests) == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 500])
async def test_the_key_appears_in_no_message_and_no_traceback(
    fake_openai: FakeOpenAI, chat: OpenAIChat, status: int
) -> None:
    fake_openai.otherwise = Status(status, f"Bad call with key {KEY} and header Bearer {KEY}.")

    with pytest.raises(ModelUnavailable) as raised:
        await chat.complete(ask())

    assert KEY not in "".join(traceback.format_exception(raised.value)) + json.dumps(raised.value.data)


async def test_a_wait_that_would_pass_the_deadline_is_refused_at_once(
    fake_openai: FakeOpenAI, chat: OpenAIChat
) -> None:
    fake_openai.script(Status(429, headers={"retry-after": "30"}))
    started = time.monotonic()

    with pytest.raises(ModelUnavailable, match="asks to wait 30 s of the 5 s allowed"):
        await chat.complete(ask(deadline_s=5))

    assert time.monotonic() - started < 2


async def test_a_slow_endpoint_is_given_up_at_the_deadline(fake_openai: FakeOpenAI, chat: OpenAIChat) -> None:
    fake_openai.otherwise = Answer(delay_s=5)
    started = time.monotonic()

    with pytest.raises(ModelUnavailable, match="no answer within"):
        await chat.complete(ask(deadline_s=0.2))

    assert time.monotonic() - started < 2


async def test_a_cancelled_call_is_not_retried(fake_openai: FakeOpenAI, chat: OpenAIChat) -> None:
    fake_openai.otherwise = Answer(delay_s=5)

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(chat.complete(ask()), 0.1)

    assert len(fake_openai.requests) <= 1


async def test_an_unreachable_endpoint_is_named_as_the_cause() -> None:
    adapter = OpenAIChat("gpt-test", "http://127.0.0.1:9/v1", KEY, policy=QUICK)

    with pytest.raises(ModelUnavailable, match="TRIAGE_BASE_URL"):
        await adapter.complete(ask())

    await adapter.aclose()


async def test_a_refusal_is_reported_in_the_models_words(fake_openai: FakeOpenAI, chat: OpenAIChat) -> None:
    fake_openai.script(Refusal("I can't help with that."))

    with pytest.raises(ModelUnavailable, match="I can't help with that"):
        await chat.complete(ask())

    assert len(fake_openai.requests) == 1


async def test_a_reply_cut_by_its_token_limit_says_so(fake_openai: FakeOpenAI, chat: OpenAIChat) -> None:
    fake_openai.script(Answer('{"category": "infra', finish_reason="length"))

    reply = await chat.complete(ask(schema_=SCHEMA))

    assert reply.finish_reason == "length"


@pytest.mark.parametrize(
    ("behaviour", "text"), [(WrongLabel(), '{"category": "no_such_label"}'), (OutsideSchema(), '{"weather": "fine"}')]
)
async def test_an_answer_outside_the_schema_is_left_to_the_caller(
    fake_openai: FakeOpenAI, chat: OpenAIChat, behaviour: Behaviour, text: str
) -> None:
    fake_openai.script(behaviour)

    assert (await chat.complete(ask(schema_=SCHEMA))).text == text
