"""`agentmark init`: a project to begin with."""

import json
from pathlib import Path
from typing import Annotated

import typer

from agentmark_cli.errors import CommandError

CONFIG = json.dumps({"version": "2.0.0", "mdxVersion": "1.0", "agentmarkPath": "."}, indent=2) + "\n"

PROMPT = """---
name: chat
text_config:
  model_name: gpt-4o-mini
  temperature: 0.2
input_schema:
  type: object
  properties:
    message:
      type: string
      description: What the user says
  required: [message]
test_settings:
  props:
    message: What can you help me with?
---

<System>
  You are a helpful assistant. Answer in one or two sentences.
</System>
<User>{props.message}</User>
"""

CLIENT = '''"""The client of this project: which models its prompts run on, and where they are."""

import os
from pathlib import Path

from agentmark_prompts import FileLoader
from agentmark_pydantic_ai_v0 import PydanticAIModelRegistry, create_pydantic_ai_client


def model(name, options=None):
    # Without a key pydantic-ai's test model answers, so that all else can be tried.
    return f"openai:{name}" if os.environ.get("OPENAI_API_KEY") else "test"


registry = PydanticAIModelRegistry()
registry.register_models(["gpt-4o-mini"], model)

client = create_pydantic_ai_client(model_registry=registry, loader=FileLoader(Path(__file__).parent))
'''

FILES = {"agentmark.json": CONFIG, "chat.prompt.mdx": PROMPT, "agentmark_client.py": CLIENT}


def init(
    folder: Annotated[Path, typer.Argument(help="Where; it is made when missing.")] = Path(),
) -> None:
    """Make a project: agentmark.json, a prompt, and the client that runs it.

    Nothing that exists is written over.

    \b
    Examples:
      agentmark init
      agentmark init my-project
    """  # noqa: D301 - Typer keeps the lines of a paragraph after a backspace
    existing = [name for name in FILES if (folder / name).exists()]
    if existing:
        msg = f"{', '.join(existing)} exists already in {folder.absolute()}: choose another folder"
        raise CommandError(msg)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in FILES.items():
            (folder / name).write_text(content, encoding="utf-8")
    except OSError as error:
        msg = f"cannot write to {folder}: {error.strerror}"
        raise CommandError(msg) from error
    into = "" if folder == Path() else f"cd {folder}\n  "
    typer.echo(f"Made {', '.join(FILES)}. Next:\n\n  {into}agentmark run-prompt chat.prompt.mdx")
    typer.echo("  agentmark doctor     # checks the project")
    typer.echo("  agentmark dev        # records and shows what runs, in another terminal")
