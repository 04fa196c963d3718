"""What the tests of prompt files share: bodies and files, rendered through the public client."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agentmark_prompts import FileLoader, Formatted, create_agentmark

HEAD = "---\nname: test\ntext_config:\n  model_name: gpt-4o-mini\n---\n"


@pytest.fixture
def formatted(tmp_path: Path) -> Callable[..., Formatted[Any]]:
    """Write files (`main.prompt.mdx` is the prompt), and format the prompt with props."""

    def make(props: dict[str, Any] | None = None, **files: str) -> Formatted[Any]:
        for name, text in files.items():
            suffix = ".prompt.mdx" if name == "main" else ".mdx"
            (tmp_path / f"{name}{suffix}").write_text(text, encoding="utf-8")

        async def run() -> Formatted[Any]:
            client = create_agentmark(loader=FileLoader(tmp_path))
            return await (await client.load_prompt("main.prompt.mdx")).format(props or {})

        return asyncio.run(run())

    return make


@pytest.fixture
def messages(formatted: Callable[..., Formatted[Any]]) -> Callable[..., list[tuple[str, str]]]:
    """Render a body with props to its messages: role and content."""

    def render(body: str, props: dict[str, Any] | None = None, **components: str) -> list[tuple[str, str]]:
        prompt = formatted(props, main=HEAD + body, **components)
        return [(message.role, message.content) for message in prompt.messages]

    return render


@pytest.fixture
def said(messages: Callable[..., list[tuple[str, str]]]) -> Callable[..., str]:
    """Render what a user's message says."""

    def render(content: str, props: dict[str, Any] | None = None, **components: str) -> str:
        [(_, text)] = messages(f"<User>{content}</User>", props, **components)
        return text

    return render
