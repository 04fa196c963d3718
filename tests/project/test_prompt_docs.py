"""docs/prompts.md: every example is run, and everything that a prompt may hold is in one."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from agentmark_prompts import FileLoader, TemplateError, create_agentmark, parser
from agentmark_prompts.filters import FILTERS
from agentmark_prompts.frontmatter import _CONFIGS, _HEAD
from conftest import RunningServer

PAGE = (Path(__file__).parents[2] / "docs" / "prompts.md").read_text(encoding="utf-8")
FENCED = re.compile(r"^(`{3,4})(\w+)(?: (\S+))?\n(.*?)^\1$", flags=re.MULTILINE | re.DOTALL)
BLOCKS = [found.groups()[1:] for found in FENCED.finditer(PAGE)]
HEAD = "---\nname: example\ntext_config: {model_name: m}\n---\n"


def examples() -> list[tuple[dict[str, str], str, str, str]]:
    """Of each example: its components, the prompt, the props as JSON, and what comes out."""
    found, components, prompt, props = [], {}, "", "{}"
    for language, name, block in BLOCKS:
        if language == "mdx" and name:
            components[name] = block
        elif language == "mdx":
            prompt, props = block, "{}"
        elif language == "json":
            props = block
        elif language == "text":
            found.append((dict(components), prompt, props, block))
    return found


def said(messages: Any) -> str:
    """Messages as the page shows them: further lines below the beginning of the first."""
    lines = []
    for message in messages:
        start = f"{message.role}: "
        lines.append(start + message.content.replace("\n", "\n" + " " * len(start)))
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("number", range(len(examples())))
async def test_every_example_renders_to_what_stands_below_it(number: int, tmp_path: Path) -> None:
    """Each prompt of the page gives the messages, or the error, that the page shows."""
    components, prompt, props, expected = examples()[number]
    for name, text in components.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "chat.prompt.mdx").write_text(prompt if prompt.startswith("---") else HEAD + prompt)
    client = create_agentmark(loader=FileLoader(tmp_path))
    try:
        loaded = await client.load_prompt("chat.prompt.mdx")
        given = json.loads(props) or loaded.test_props
        shown = said((await loaded.format(given)).messages)
    except TemplateError as error:
        shown = f"{error}\n"
    assert shown == expected


def test_everything_that_a_prompt_may_hold_is_in_an_example() -> None:
    """Every tag, filter and setting of the code stands in an example, and each of the ten filters is one."""
    prompts = "\n".join(block for language, _, block in BLOCKS if language == "mdx")
    for tag in parser._TAGS:
        assert re.search(rf"<{tag}\b", prompts), tag
    assert len(FILTERS) == 10
    for name in FILTERS:
        assert f"{{{name}(" in prompts, name
    settings = {key for _, config in _CONFIGS.values() for key in config["properties"]} | set(_HEAD["properties"])
    for setting in settings - {"description", "metadata", "schema_name", "schema_description"}:
        assert re.search(rf"^ *{setting}:", prompts, flags=re.MULTILINE), setting


def test_the_program_runs(server: RunningServer, tmp_path: Path) -> None:
    """The client and the program of the page run beside a new project, and make the session that they tell of."""
    subprocess.run([sys.executable, "-m", "agentmark_cli", "init", tmp_path], check=True, capture_output=True)
    programs = {name or "program.py": block for language, name, block in BLOCKS if language == "python"}
    assert set(programs) == {"agentmark_client.py", "program.py"}
    for name, text in programs.items():
        (tmp_path / name).write_text(text.replace('f"openai:{name}"', '"test"'))
    done = subprocess.run(
        [sys.executable, "program.py"], cwd=tmp_path, env=server.env, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("success (no tool calls) ")
    assert done.stdout.endswith("\nsuccess (no tool calls)")
    [session] = server.get("/v1/sessions")["data"]
    assert (session["id"], session["name"], session["user_id"]) == ("chat-1", "Support", "user-123")
    assert (session["trace_count"], session["call_count"]) == (1, 1)
