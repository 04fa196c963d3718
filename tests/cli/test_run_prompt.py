"""`agentmark run-prompt`."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conftest import RunningServer

CLIENT = """
from agentmark_pydantic_ai_v0 import PydanticAIModelRegistry, create_pydantic_ai_client
from pydantic_ai.messages import ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models.function import FunctionModel

def answer(messages, info):
    if info.output_tools:
        return ModelResponse(parts=[ToolCallPart(info.output_tools[0].name, {"email": "ä@b.c"})])
    return ModelResponse(parts=[TextPart("You said: " + str(messages[-1].parts[-1].content))])

def fail(messages, info):
    raise RuntimeError("the model\\nis away")

registry = PydanticAIModelRegistry().register_models("echo", lambda _: FunctionModel(answer))
registry.register_models("broken", lambda _: FunctionModel(fail))
client = create_pydantic_ai_client(model_registry=registry)
"""
CHAT = """---
name: chat
text_config: {model_name: echo}
input_schema: {type: object, properties: {message: {type: string}}, required: [message]}
test_settings: {props: {message: a test}}
---
import Tone from './tone.mdx'
<System><Tone /></System>
<User>{props.message}</User>
"""
CONTACT = """---
name: contact
object_config:
  model_name: echo
  schema: {type: object, properties: {email: {type: string}}, required: [email]}
---
<User>Who?</User>
"""
NOT_RECORDED = b"tokens in, 5 out; not recorded: no server is there (agentmark dev)\n"
NOWHERE = {"AGENTMARK_API_PORT": "9"}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project whose prompts are in a folder of their own."""
    (tmp_path / "agentmark").mkdir()
    (tmp_path / "agentmark.json").write_text('{"agentmarkPath": "."}')
    (tmp_path / "agentmark_client.py").write_text(CLIENT)
    (tmp_path / "agentmark" / "chat.prompt.mdx").write_text(CHAT)
    (tmp_path / "agentmark" / "contact.prompt.mdx").write_text(CONTACT)
    (tmp_path / "agentmark" / "tone.mdx").write_text("Be kind.")
    return tmp_path


def test_the_answer_is_printed(project: Path, agentmark: Any) -> None:
    """A text goes to stdout as it is, an object as JSON; the tokens, and that nothing records, to stderr."""
    said = agentmark("run-prompt", "agentmark/chat.prompt.mdx", "--props", '{"message": "Hi"}', env=NOWHERE)
    assert (said.returncode, said.stdout) == (0, b"You said: Hi\n")
    assert said.stderr.endswith(b"; not recorded: no server is there (agentmark dev)\n")
    assert b"tokens in, " in said.stderr
    listed = agentmark("run-prompt", str(project / "agentmark" / "contact.prompt.mdx"), env=NOWHERE)
    assert json.loads(listed.stdout) == {"email": "ä@b.c"}


def test_props_come_from_a_file_or_from_the_prompt(project: Path, agentmark: Any) -> None:
    """Without props those of the prompt's test_settings serve."""
    (project / "props.json").write_text('{"message": "from a file"}')
    words = ("run-prompt", "agentmark/chat.prompt.mdx")
    assert agentmark(*words, "--props-file", "props.json", env=NOWHERE).stdout == b"You said: from a file\n"
    assert agentmark(*words, env=NOWHERE).stdout == b"You said: a test\n"


def test_a_run_is_recorded_where_a_server_is(project: Path, agentmark: Any, server: RunningServer) -> None:
    """The run is a trace with the prompt's call, and in no session."""
    done = agentmark("run-prompt", "agentmark/chat.prompt.mdx", env=server.env)
    assert done.stderr.endswith(f"; recorded at {server.url}\n".encode())
    assert server.get("/v1/sessions")["data"] == []
    (project / "agentmark" / "chat.prompt.mdx").write_text(CHAT.replace("<User>", "<User>Again: "))
    assert (
        agentmark("run-prompt", "agentmark/chat.prompt.mdx", env=server.env).stdout == b"You said: Again: a test\n"
    )


def test_without_a_client_models_are_pydantic_ais(tmp_path: Path, agentmark: Any) -> None:
    """A prompt alone runs too: its model is what pydantic-ai calls so."""
    (tmp_path / "a.prompt.mdx").write_text("---\nname: a\ntext_config: {model_name: test}\n---\n<User>a</User>")
    assert agentmark("run-prompt", "a.prompt.mdx", env=NOWHERE).stdout == b"success (no tool calls)\n"


def replaced(old: str, new: str) -> Callable[[Path], None]:
    def change(project: Path) -> None:
        file = project / "agentmark" / "chat.prompt.mdx"
        file.write_text(CHAT.replace(old, new))

    return change


def client_of(text: str) -> Callable[[Path], None]:
    return lambda project: (project / "agentmark_client.py").write_text(text) and None


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (None, ["--props", "{"], "--props is not JSON: "),
        (None, ["--props", "[]"], '--props must be a JSON object, as {"message": "Hello!"}'),
        (None, ["--props", "{}", "--props-file", "x"], "give --props or --props-file, not both"),
        (None, ["--props-file", "none.json"], "cannot read none.json: No such file or directory"),
        (
            None,
            ["--props", "{}"],
            "chat.prompt.mdx:4:69: props: 'message' is a required property | input_",
        ),
        (
            replaced("{props.message}", "{uper(props.message)}"),
            [],
            "chat.prompt.mdx:9:8: there is no filter uper: did you mean upper? | <User>{uper(props.",
        ),
        (replaced("./tone", "./none"), [], "chat.prompt.mdx:7:19: there is no none.mdx in "),
        (replaced("model_name: echo", "model_name: other"), [], "ModelNotRegisteredError: no model is registered"),
        (replaced("model_name: echo", "model_name: broken"), [], "RuntimeError: the model is away"),
        (client_of("1 / 0"), [], "agentmark_client.py fails: ZeroDivisionError: division by zero"),
        (client_of("client = 1"), [], "agentmark_client.py has no client: client = create_pydantic_ai_client("),
        (
            client_of("import agentmark_prompts as a\nclient = a.create_agentmark()"),
            [],
            "another framework",
        ),
    ],
)
def test_what_is_wrong_is_one_line(
    change: Callable[[Path], None] | None,
    options: list[str],
    message: str,
    project: Path,
    agentmark: Any,
    one_error: Callable[..., str],
) -> None:
    """Wrong props, prompts, models and clients are one line on stderr, in files with line and column."""
    if change:
        change(project)
    said = one_error(agentmark("run-prompt", "agentmark/chat.prompt.mdx", *options, env=NOWHERE))
    assert message in said


def test_a_missing_prompt_is_one_line(tmp_path: Path, agentmark: Any, one_error: Callable[..., str]) -> None:
    """A path that leads nowhere is said."""
    said = one_error(agentmark("run-prompt", "none.prompt.mdx", env=NOWHERE))
    assert said == f"there is no none.prompt.mdx in {tmp_path}"
