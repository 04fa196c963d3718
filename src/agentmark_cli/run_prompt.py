"""`agentmark run-prompt`: runs one prompt file with the project's own client."""

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agentmark_cli.client import Gateway, ask, base_url, local_gateway
from agentmark_cli.errors import CommandError
from agentmark_cli.output import count
from agentmark_cli.project_client import load_client, need_prompts, told

if TYPE_CHECKING:
    from agentmark_prompts import AgentMark

CLIENT = "agentmark_client.py"


def run_prompt(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A .prompt.mdx file.")],
    props: Annotated[
        str | None, typer.Option(metavar="JSON", help='The props, as \'{"message": "Hello!"}\'.')
    ] = None,
    props_file: Annotated[
        Path | None, typer.Option(metavar="FILE", dir_okay=False, help="A JSON file with the props.")
    ] = None,
) -> None:
    """Run one prompt and print the answer: text, or JSON for an object.

    Models and tools are those of `client` in agentmark_client.py, beside the prompt or in its project. Without
    props the prompt's test_settings serve. The run is recorded if a server is there.

    \b
    Examples:
      agentmark run-prompt chat.prompt.mdx
      agentmark run-prompt chat.prompt.mdx --props '{"message": "What can you help me with?"}'
      agentmark run-prompt chat.prompt.mdx --props-file props.json
    """  # noqa: D301 - Typer keeps the lines of a paragraph after a backspace
    need_prompts()
    from agentmark_prompts import PromptError  # noqa: PLC0415 - the other commands do without the extra

    given = _props(props, props_file)
    gateway = _recorder()
    try:
        output, usage = asyncio.run(_run(file, given, recorded=gateway is not None))
    except PromptError as error:
        raise CommandError(told(error)) from error
    except CommandError:
        raise
    except Exception as error:  # models, tools and their libraries raise anything
        msg = f"{type(error).__name__}: {error}"
        raise CommandError(msg) from error
    typer.echo(output if isinstance(output, str) else json.dumps(output, indent=2, ensure_ascii=False))
    where = f"recorded at {gateway.url}" if gateway else "not recorded: no server is there (agentmark dev)"
    typer.echo(f"{count(usage.input_tokens)} tokens in, {count(usage.output_tokens)} out; {where}", err=True)


def _props(text: str | None, file: Path | None) -> dict[str, Any] | None:
    if text is not None and file is not None:
        msg = "give --props or --props-file, not both"
        raise CommandError(msg)
    option = "--props" if text is not None else "--props-file"
    try:
        written = file.read_text(encoding="utf-8") if file else text
        props = None if written is None else json.loads(written)
    except OSError as error:
        msg = f"cannot read {file}: {error.strerror}"
        raise CommandError(msg) from error
    except ValueError as error:
        msg = f"{option} is not JSON: {error}"
        raise CommandError(msg) from error
    if props is not None and not isinstance(props, dict):
        msg = f'{option} must be a JSON object, as {{"message": "Hello!"}}'
        raise CommandError(msg)
    return props


def _recorder() -> Gateway | None:
    """The server that the SDK records to, if it answers."""
    url = base_url()
    gateway = Gateway(url, "check AGENTMARK_BASE_URL") if url else local_gateway()
    try:
        ask(gateway, "/health")
    except CommandError:
        return None
    return gateway


async def _run(file: Path, props: dict[str, Any] | None, *, recorded: bool) -> tuple[Any, Any]:
    from agentmark_pydantic_ai_v0 import (  # noqa: PLC0415 - slow to import
        PydanticAIObjectParams,
        PydanticAITextParams,
        run_object_prompt,
        run_text_prompt,
    )

    client, path = _opened(file)
    prompt = await client.load_prompt(path)
    telemetry = {"isEnabled": recorded}
    if props is None and prompt.test_props is not None:
        params = await prompt.format_with_test_props(telemetry)
    else:
        params = await prompt.format(props, telemetry)
    if isinstance(params, PydanticAIObjectParams):
        answer = await run_object_prompt(params)
        return answer.output, answer.usage
    if not isinstance(params, PydanticAITextParams):
        msg = f"the client in {CLIENT} is for another framework than pydantic-ai"
        raise CommandError(msg)
    said = await run_text_prompt(params)
    return said.output, said.usage


def _opened(file: Path) -> "tuple[AgentMark[Any, Any], str]":
    """The client that runs a prompt, reading from the prompt's own folder, and the prompt's path for it."""
    from agentmark_prompts import FileLoader, create_agentmark  # noqa: PLC0415 - as above
    from agentmark_prompts.project import Project  # noqa: PLC0415
    from agentmark_pydantic_ai_v0 import create_pydantic_ai_client  # noqa: PLC0415

    file = file.absolute()
    project = Project.around(file)
    inside = project is not None and file.is_relative_to(project.prompts)
    root = project.prompts if project and inside else file.parent
    folders = [root, *([project.folder] if project else []), Path.cwd()]
    client_file = next((folder / CLIENT for folder in folders if (folder / CLIENT).is_file()), None)
    client = load_client(client_file) if client_file else create_pydantic_ai_client()
    return create_agentmark(loader=FileLoader(root), adapter=client.adapter), file.relative_to(root).as_posix()
