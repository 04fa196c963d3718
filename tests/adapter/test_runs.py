"""What the model is asked, and what comes of its answer: messages, tools, settings, objects, history, streams."""

import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic_ai import RunContext, Tool, UnexpectedModelBehavior, UsageLimitExceeded
from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    SystemPromptPart,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.models.test import TestModel

from agentmark_prompts import FileLoader
from agentmark_pydantic_ai_v0 import (
    ModelNotRegisteredError,
    PydanticAIModelRegistry,
    Record,
    ToolNotRegisteredError,
    create_pydantic_ai_client,
    run_object_prompt,
    run_text_prompt,
    stream_text_prompt,
)

Answer = Callable[[list[ModelMessage], AgentInfo], ModelResponse]


class Model:
    """A model that keeps what it is asked; by default it says `Hi!`."""

    def __init__(self, answer: Answer | None = None) -> None:
        self.asked: list[tuple[list[ModelMessage], AgentInfo]] = []
        self._answer = answer or (lambda _messages, _info: ModelResponse(parts=[TextPart("Hi!")]))

    def at_once(self, messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        self.asked.append((list(messages), info))
        return self._answer(messages, info)

    async def in_pieces(self, messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
        self.asked.append((list(messages), info))
        for piece in ("Hi", "!"):
            yield piece

    @property
    def heard(self) -> list[tuple[str, str]]:
        """What the last request says: instructions first, then every part by its role."""
        messages, info = self.asked[-1]
        said = [("instructions", info.instructions)] if info.instructions else []
        parts = [part for message in messages for part in message.parts]
        return said + [
            _heard(part) for part in parts if isinstance(part, SystemPromptPart | UserPromptPart | TextPart)
        ]


def _heard(part: SystemPromptPart | UserPromptPart | TextPart) -> tuple[str, str]:
    """A part; pydantic-ai 2 puts a later system message into a user's for models that know none there."""
    later = re.fullmatch("<system>(.*)</system>", str(part.content))
    return ("system-prompt", later[1]) if later else (part.part_kind, str(part.content))


@pytest.fixture
def formatted(tmp_path: Path) -> Callable[..., Any]:
    """Format a prompt of a body and settings for a model."""

    async def make(
        body: str, model: Model, config: str = "", *, tools: Any = (), kind: str = "text", **props: Any
    ) -> Any:
        head = f"---\nname: main\n{kind}_config:\n  model_name: mine\n{config}\n---\n"
        (tmp_path / "main.prompt.mdx").write_text(head + body)
        registry = PydanticAIModelRegistry().register_models(
            "mine", lambda _: FunctionModel(model.at_once, stream_function=model.in_pieces)
        )
        client = create_pydantic_ai_client(model_registry=registry, tools=tools, loader=FileLoader(tmp_path))
        return await (await client.load_prompt("main.prompt.mdx")).format(props)

    return make


EXAMPLES = """
<System>Be brief.</System>
<System>Be kind.</System>
<User>1 + 1?</User>
<Assistant>2</Assistant>
<System>Now the real one.</System>
<User>{props.question}</User>
"""


async def test_messages_of_every_role_reach_the_model(formatted: Callable[..., Any]) -> None:
    """System messages at the start are instructions; all others keep their role and order."""
    model = Model()
    result = await run_text_prompt(await formatted(EXAMPLES, model, question="2 + 2?"))
    assert model.heard == [
        ("instructions", "Be brief.\n\nBe kind."),
        ("user-prompt", "1 + 1?"),
        ("text", "2"),
        ("system-prompt", "Now the real one."),
        ("user-prompt", "2 + 2?"),
    ]
    assert result.output == "Hi!"
    assert result.usage.input_tokens > 0
    assert result.usage.output_tokens > 0


async def test_a_prompt_can_leave_the_last_word_to_the_model(formatted: Callable[..., Any]) -> None:
    """A prompt that ends with the model's own words lets it go on from there; one may be instructions alone."""
    model = Model()
    await run_text_prompt(await formatted("<User>Count.</User><Assistant>1, 2,</Assistant>", model))
    assert model.heard == [("user-prompt", "Count."), ("text", "1, 2,")]
    assert isinstance(model.asked[-1][0][-1], ModelRequest)
    await run_text_prompt(await formatted("<System>Greet.</System>", model))
    assert model.heard == [("instructions", "Greet.")]
    with pytest.raises(ValueError, match="the prompt 'main' has no messages"):
        await formatted("<User>{props.x || ''}</User>", model)


async def test_what_was_said_before_comes_before(formatted: Callable[..., Any]) -> None:
    """`messages` of one result are the history of the next run; the prompt's own examples are not repeated."""
    model = Model()
    first = await run_text_prompt(await formatted(EXAMPLES, model, question="2 + 2?"))
    await run_text_prompt(await formatted(EXAMPLES, model, question="3 + 3?"), first.messages)
    expected = [
        ("instructions", "Be brief.\n\nBe kind."),
        ("user-prompt", "1 + 1?"),
        ("text", "2"),
        ("system-prompt", "Now the real one."),
        ("user-prompt", "2 + 2?"),
        ("text", "Hi!"),
        ("user-prompt", "3 + 3?"),
    ]
    assert model.heard == expected
    other = [ModelRequest(parts=[UserPromptPart("Hello")]), ModelResponse(parts=[TextPart("Hello!")])]
    await run_text_prompt(await formatted(EXAMPLES, model, question="4 + 4?"), other)
    assert model.heard[1:] == [
        *expected[1:4],
        ("user-prompt", "Hello"),
        ("text", "Hello!"),
        ("user-prompt", "4 + 4?"),
    ]


SETTINGS = """
  max_tokens: 100
  temperature: 0.5
  top_p: 0.9
  top_k: 40
  presence_penalty: 0.25
  frequency_penalty: -0.25
  stop_sequences: [END]
  seed: 7
  tool_choice: none
"""


async def test_settings_reach_the_model(formatted: Callable[..., Any]) -> None:
    """Every setting of a prompt is one of the request's, and there are no others."""
    model = Model()
    await run_text_prompt(await formatted("<User>a</User>", model, SETTINGS))
    assert model.asked[0][1].model_settings == {
        "max_tokens": 100,
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 40,
        "presence_penalty": 0.25,
        "frequency_penalty": -0.25,
        "stop_sequences": ["END"],
        "seed": 7,
        "tool_choice": "none",
    }
    await run_text_prompt(await formatted("<User>a</User>", model))
    assert not model.asked[-1][1].model_settings


def add(first: int, second: int) -> int:
    """Add two numbers."""
    return first + second


async def greet(context: RunContext[Any], name: str) -> str:
    """Greet somebody."""
    return f"{context.deps} {name}"


def calling(*calls: tuple[str, dict[str, Any]]) -> Answer:
    """A model that calls tools one after the other, and then says what came of them."""

    def answer(messages: list[ModelMessage], _info: AgentInfo) -> ModelResponse:
        returned = [part.content for m in messages for part in m.parts if isinstance(part, ToolReturnPart)]
        if len(returned) < len(calls):
            return ModelResponse(parts=[ToolCallPart(*calls[len(returned)])])
        return ModelResponse(parts=[TextPart(str(returned))])

    return answer


async def test_tools_are_those_that_the_prompt_names(formatted: Callable[..., Any]) -> None:
    """Of the client's functions and `Tool`s the model gets those of the prompt, and pydantic-ai calls them."""
    model = Model(calling(("add", {"first": 1, "second": 2}), ("hello", {"name": "Amara"})))
    tools = [add, Tool(greet, name="hello"), Tool(add, name="other")]
    params = await formatted("<User>a</User>", model, "  tools: [add, hello]", tools=tools)
    assert (await run_text_prompt(params, deps="Dear")).output == "[3, 'Dear Amara']"
    known = {tool.name: tool for tool in model.asked[0][1].function_tools}
    assert sorted(known) == ["add", "hello"]
    assert known["add"].description == "Add two numbers."
    with pytest.raises(
        ToolNotRegisteredError, match="uses the tool 'search'; the client was given add, hello, other"
    ):
        await formatted("<User>a</User>", model, "  tools: [search]", tools=tools)


async def test_a_prompt_may_describe_its_tools(formatted: Callable[..., Any]) -> None:
    """A description and parameters in the prompt take the place of the function's own."""
    config = """
  tools:
    add: {description: Sums up, parameters: {type: object, properties: {first: {type: integer}}}}
    greet: {description: Greets}
"""
    model = Model(calling(("add", {"first": 1, "second": 2}), ("greet", {"name": "Amara"})))
    params = await formatted("<User>a</User>", model, config, tools=[add, greet])
    assert (await run_text_prompt(params, deps="Dear")).output == "[3, 'Dear Amara']"
    known = {tool.name: tool for tool in model.asked[0][1].function_tools}
    assert (known["add"].description, known["greet"].description) == ("Sums up", "Greets")
    assert known["add"].parameters_json_schema == {"type": "object", "properties": {"first": {"type": "integer"}}}


@pytest.mark.parametrize(
    ("choice", "first"), [("required", "required"), ("{type: tool, tool_name: add}", ["add"]), ("auto", "auto")]
)
async def test_a_choice_of_tools_lets_an_answer_come(
    choice: str, first: str | list[str], formatted: Callable[..., Any]
) -> None:
    """A tool that must be called is called at once; after that the model may answer."""
    model = Model(calling(("add", {"first": 1, "second": 2})))
    params = await formatted("<User>a</User>", model, f"  tools: [add]\n  tool_choice: {choice}", tools=[add])
    assert (await run_text_prompt(params)).output == "[3]"
    chosen = [(info.model_settings or {}).get("tool_choice") for _, info in model.asked]
    assert chosen == ([first, None] if choice != "auto" else ["auto", "auto"])


async def test_calls_are_bounded(formatted: Callable[..., Any]) -> None:
    """`max_calls` bounds the requests of one run."""
    model = Model(calling(*[("add", {"first": 1, "second": 2})] * 5))
    params = await formatted("<User>a</User>", model, "  tools: [add]\n  max_calls: 2", tools=[add])
    with pytest.raises(UsageLimitExceeded):
        await run_text_prompt(params)
    assert len(model.asked) == 2


CONTACT = """
  schema_name: contact
  schema:
    type: object
    properties: {email: {type: string, minLength: 3}, tags: {type: array, items: {type: object}}}
    required: [email]
    additionalProperties: false
"""


def objects(*values: dict[str, Any]) -> Answer:
    """A model that answers with one object after the other."""
    left = list(values)

    def answer(_messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        return ModelResponse(parts=[ToolCallPart(info.output_tools[0].name, left.pop(0))])

    return answer


async def test_an_object_keeps_to_its_schema(formatted: Callable[..., Any]) -> None:
    """The model gets the schema; an answer that breaks it goes back with what is wrong, a good one comes out."""
    model = Model(objects({"mail": "x"}, {"email": "a@b.c", "tags": [{"name": "new"}]}))
    result = await run_object_prompt(await formatted("<User>a</User>", model, CONTACT, kind="object"))
    assert result.output == {"email": "a@b.c", "tags": [{"name": "new"}]}
    assert isinstance(result.output, Record)
    assert (result.output.email, result.output.tags[0].name) == ("a@b.c", "new")
    with pytest.raises(AttributeError, match="phone"):
        _ = result.output.phone
    assert model.asked[0][1].output_tools[0].parameters_json_schema["required"] == ["email"]
    assert "is a required property" in str(model.asked[1][0][-1])


async def test_an_object_that_never_fits_is_an_error(formatted: Callable[..., Any]) -> None:
    """After `max_retries` wrong answers the run fails."""
    model = Model(objects(*[{"email": ""}] * 5))
    with pytest.raises(UnexpectedModelBehavior):
        await run_object_prompt(
            await formatted("<User>a</User>", model, f"{CONTACT}  max_retries: 2", kind="object")
        )
    assert len(model.asked) == 3


async def test_a_stream_gives_every_piece(formatted: Callable[..., Any]) -> None:
    """A stream gives the text as it comes, takes history, and raises what the run raises."""
    model = Model()
    params = await formatted("<System>s</System><User>a</User>", model)
    assert [piece async for piece in stream_text_prompt(params)] == ["Hi", "!"]
    first = await run_text_prompt(params)
    assert [piece async for piece in stream_text_prompt(params, first.messages)] == ["Hi", "!"]
    assert model.heard == [("instructions", "s"), ("user-prompt", "a"), ("text", "Hi!"), ("user-prompt", "a")]
    limited = await formatted("<User>a</User>", model, "  max_calls: 1\n  tools: [add]", tools=[add])
    limited.usage_limits.request_limit = 0
    with pytest.raises(UsageLimitExceeded):
        _ = [piece async for piece in stream_text_prompt(limited)]


async def test_params_are_parts_of_an_agent(formatted: Callable[..., Any]) -> None:
    """What is formatted can also be given to `pydantic_ai.Agent` piece by piece."""
    params = await formatted(EXAMPLES, Model(), "  temperature: 0.5", question="2 + 2?")
    assert (params.name, params.system_prompt, params.user_prompt) == ("main", "Be brief.\n\nBe kind.", "2 + 2?")
    assert len(params.message_history) == 3
    assert params.model_settings == {"temperature": 0.5}
    assert isinstance(params.model, FunctionModel)


def test_models_are_found_by_name_then_by_pattern() -> None:
    """Exact names come first, then patterns, then the default; creators may take the options or not."""
    registry = (
        PydanticAIModelRegistry()
        .register_models(re.compile("gpt-"), lambda name, options=None: f"openai:{name}{options or ''}")
        .register_models(["gpt-4o", "gpt-4o-mini"], lambda name: f"azure:{name}")
        .register_models("test", lambda *_: TestModel())
    )
    assert registry.model("gpt-4o") == "azure:gpt-4o"
    assert registry.model("gpt-5") == "openai:gpt-5"
    assert isinstance(registry.model("test"), TestModel)
    with pytest.raises(ModelNotRegisteredError, match=r"'claude' \(registered: gpt-4o, gpt-4o-mini, test, gpt-\)"):
        registry.model("claude")


@pytest.mark.parametrize(("name", "model"), [("openai/gpt-4o", "openai:gpt-4o"), ("openai:a/b", "openai:a/b")])
async def test_without_a_registry_names_are_pydantic_ais(name: str, model: str, tmp_path: Path) -> None:
    """A client of nothing takes model names for pydantic-ai's own, with a slash or a colon."""
    text = f"---\nname: a\ntext_config: {{model_name: '{name}'}}\n---\n<User>a</User>"
    (tmp_path / "a.prompt.mdx").write_text(text)
    client = create_pydantic_ai_client(loader=FileLoader(tmp_path))
    assert (await (await client.load_text_prompt("a.prompt.mdx")).format()).model == model
