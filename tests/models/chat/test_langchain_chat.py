"""The LangChain adapter with a real provider package, against the fake endpoint."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel

from tests.fake_openai import Answer, Behaviour, FakeOpenAI, OutsideSchema, Status, format_asked
from triage.domain.errors import MisconfiguredService, ModelUnavailable
from triage.models.chat import Message, Request
from triage.models.chat.langchain import LangChainChat
from triage.models.chat.retry import RetryPolicy

ChatOpenAI = pytest.importorskip("langchain_openai").ChatOpenAI

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"category": {"type": "string", "enum": ["infrastructure", "operational"]}},
    "required": ["category"],
    "additionalProperties": False,
}
QUICK = RetryPolicy(attempts=3, first_wait_s=0.01, longest_wait_s=0.02)


def ask(**changes: Any) -> Request:
    return Request(messages=(Message(role="user", content="The disks of three nodes failed."),), **changes)


@pytest.fixture
def chat(fake_openai: FakeOpenAI) -> LangChainChat:
    return LangChainChat("gpt-test", "openai", policy=QUICK, base_url=fake_openai.base_url, api_key="sk-test-secret")


async def test_a_plain_question_gets_a_reply_with_its_token_counts(
    fake_openai: FakeOpenAI, chat: LangChainChat
) -> None:
    fake_openai.script(Answer("three disks"))

    reply = await chat.complete(ask())

    assert (reply.text, reply.finish_reason, reply.prompt_tokens, reply.completion_tokens) == (
        "three disks",
        "stop",
        6,
        2,
    )


async def test_a_schema_gives_json_that_fits_it(fake_openai: FakeOpenAI, chat: LangChainChat) -> None:
    fake_openai.prefer = ("operational",)

    reply = await chat.complete(ask(schema_=SCHEMA))

    assert json.loads(reply.text) == {"category": "operational"}
    assert reply.prompt_tokens > 0


@pytest.mark.parametrize(
    ("behaviour", "text"),
    [(OutsideSchema(), '{"weather": "fine"}'), (Answer('{"category": "infra'), '{"category": "infra')],
)
async def test_an_answer_outside_the_schema_is_left_to_the_caller(
    fake_openai: FakeOpenAI, chat: LangChainChat, behaviour: Behaviour, text: str
) -> None:
    fake_openai.script(behaviour)

    assert (await chat.complete(ask(schema_=SCHEMA))).text == text


@pytest.mark.filterwarnings("ignore:Cannot use method='json_schema'")
@pytest.mark.parametrize("text", ['{"category": "operational"}', '{"category": "opera'])
async def test_a_provider_that_answers_through_a_tool_is_read_as_written(fake_openai: FakeOpenAI, text: str) -> None:
    chat = LangChainChat("gpt-3.5-turbo", "openai", base_url=fake_openai.base_url, api_key="sk-test-secret")
    fake_openai.script(Answer(text))

    reply = await chat.complete(ask(schema_=SCHEMA))

    assert "tools" in fake_openai.requests[0]
    assert reply.text == text


@pytest.mark.parametrize(
    ("rejected", "understood"),
    [
        ({"json_schema"}, "tool"),
        ({"json_schema", "tools"}, "json_object"),
        ({"json_schema", "tools", "json_object"}, "text"),
    ],
)
async def test_the_strictest_format_that_the_provider_supports_is_found_and_remembered(
    fake_openai: FakeOpenAI, chat: LangChainChat, rejected: set[str], understood: str
) -> None:
    fake_openai.rejects = rejected

    first = await chat.complete(ask(schema_=SCHEMA))
    second = await chat.complete(ask(schema_=SCHEMA))

    assert json.loads(first.text) == json.loads(second.text) == {"category": "infrastructure"}
    assert first.finish_reason == "stop"
    ladder = ["json_schema", "tool", "json_object", "text"]
    assert [format_asked(sent) for sent in fake_openai.requests] == [
        *ladder[: ladder.index(understood) + 1],
        understood,
    ]


async def test_a_provider_without_structured_output_gets_the_schema_in_the_prompt(
    fake_openai: FakeOpenAI, chat: LangChainChat, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The classes of many providers inherit both from LangChain's base class.
    for method in ("with_structured_output", "bind_tools"):
        monkeypatch.setattr(ChatOpenAI, method, getattr(BaseChatModel, method))

    reply = await chat.complete(ask(schema_=SCHEMA))

    assert json.loads(reply.text) == {"category": "infrastructure"}
    assert [format_asked(sent) for sent in fake_openai.requests] == ["text"]


async def test_an_invalid_request_does_not_change_what_is_remembered(
    fake_openai: FakeOpenAI, chat: LangChainChat
) -> None:
    fake_openai.script(Status(400, "This model's maximum context length is 8192 tokens."))

    with pytest.raises(ModelUnavailable, match="maximum context length"):
        await chat.complete(ask(schema_=SCHEMA))
    await chat.complete(ask(schema_=SCHEMA))

    assert [format_asked(sent) for sent in fake_openai.requests] == ["json_schema", "json_schema"]


async def test_only_one_layer_retries(fake_openai: FakeOpenAI, chat: LangChainChat) -> None:
    fake_openai.otherwise = Status(500)

    with pytest.raises(ModelUnavailable, match="status 500"):
        await chat.complete(ask())

    assert len(fake_openai.requests) == QUICK.attempts


async def test_retry_after_is_honoured_and_retries_are_counted(fake_openai: FakeOpenAI, chat: LangChainChat) -> None:
    fake_openai.script(Status(429, headers={"retry-after": "0.2"}), Answer("at last"))
    started = time.monotonic()

    reply = await chat.complete(ask())

    assert (reply.text, reply.retries) == ("at last", 1)
    assert time.monotonic() - started >= 0.2


async def test_a_slow_provider_is_given_up_at_the_deadline(fake_openai: FakeOpenAI, chat: LangChainChat) -> None:
    fake_openai.otherwise = Answer(delay_s=5)

    with pytest.raises(ModelUnavailable, match="no answer within"):
        await chat.complete(ask(deadline_s=0.3))


async def test_a_wrong_key_names_the_providers_key(fake_openai: FakeOpenAI, chat: LangChainChat) -> None:
    fake_openai.keys = {"another"}

    with pytest.raises(ModelUnavailable, match="OPENAI_API_KEY") as raised:
        await chat.complete(ask())

    assert "sk-test-secret" not in raised.value.detail


async def test_a_rejected_temperature_is_omitted_from_then_on(fake_openai: FakeOpenAI, chat: LangChainChat) -> None:
    fake_openai.rejects = {"temperature"}

    await chat.complete(ask())
    await chat.complete(ask())

    assert ["temperature" in sent for sent in fake_openai.requests] == [True, False, False]


def test_a_provider_whose_package_is_missing_is_named_with_the_command() -> None:
    with pytest.raises(MisconfiguredService, match="pip install langchain-fireworks"):
        LangChainChat("any", "fireworks")


def test_an_unknown_provider_is_a_configuration_mistake() -> None:
    with pytest.raises(MisconfiguredService, match="TRIAGE_MODEL"):
        LangChainChat("any", "nobody")
