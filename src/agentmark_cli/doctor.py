"""`agentmark doctor`: what is wrong with a project, and how to mend it."""

import asyncio
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agentmark_cli.client import ask, base_url, local_gateway
from agentmark_cli.errors import CommandError
from agentmark_cli.output import console, one_line, text
from agentmark_cli.project_client import load_client, missing_packages, told

if TYPE_CHECKING:
    from agentmark_prompts import AgentMark
    from agentmark_prompts.project import Project

CLIENT = "agentmark_client.py"


@dataclass(frozen=True)
class Finding:
    """What was looked at, and how it is; `mend` says how to mend what is not well."""

    state: str
    what: str
    mend: str = ""


def _well(what: str) -> Finding:
    return Finding("ok", what)


def _wrong(what: str, mend: str) -> Finding:
    return Finding("wrong", what, mend)


def _note(what: str, mend: str) -> Finding:
    return Finding("note", what, mend)


def doctor(
    folder: Annotated[Path, typer.Argument(help="The folder of agentmark.json.")] = Path(),
) -> None:
    """Look at a project: what is wrong with it, and how to mend it.

    Checked are what is installed, agentmark.json, every prompt (also with its test props), the client, the models
    and tools that the prompts name, and whether a server is there. The exit code is 1 if something is wrong.

    \b
    Example:
      agentmark doctor
    """  # noqa: D301 - Typer keeps the lines of a paragraph after a backspace
    wrong = 0
    for finding in _examined(folder):
        _show(finding)
        wrong += finding.state == "wrong"
    if wrong:
        raise typer.Exit(1)


def _show(finding: Finding) -> None:
    style = {"ok": "green", "wrong": "red", "note": "yellow"}[finding.state]
    line = text(f"{finding.state:6}", style).append(one_line(finding.what), "")
    console().print(line, soft_wrap=True)
    if finding.mend:
        console().print(text(f"       -> {one_line(finding.mend)}"), soft_wrap=True)


def _examined(folder: Path) -> Iterator[Finding]:
    missing = missing_packages()
    if missing:
        yield _wrong(f"not installed: {', '.join(missing)}", "pip install 'agentmark[pydantic-ai]'")
    else:
        yield _well("what prompts need is installed")
        yield from _examined_project(folder)
    yield from _examined_server()


def _examined_project(folder: Path) -> Iterator[Finding]:
    from agentmark_prompts.project import CONFIG, Project, ProjectError  # noqa: PLC0415 - needs the extra

    try:
        project = Project.of(folder)
    except ProjectError as error:
        yield _wrong(
            str(error), f"agentmark init makes a {CONFIG}; agentmarkPath in it names the folder of prompts"
        )
        return
    yield _well(f"{CONFIG}: prompts are in {project.prompts}")
    paths = list(project.files())
    if not paths:
        yield _wrong("there is no prompt", f"put a file that ends in .prompt.mdx into {project.prompts}")
    readable = []
    for path in paths:
        finding = asyncio.run(_examined_prompt(project, path))
        yield finding
        readable += [path] if finding.state == "ok" else []
    yield from _examined_client(project, readable)


async def _examined_prompt(project: "Project", path: str) -> Finding:
    from agentmark_prompts import FileLoader, PromptError, create_agentmark  # noqa: PLC0415 - as above

    try:
        prompt = await create_agentmark(loader=FileLoader(project.prompts)).load_prompt(path)
        if prompt.test_props is None:
            return _well(f"{path} can be read (it has no test_settings to try it with)")
        await prompt.format_with_test_props()
    except PromptError as error:
        return _wrong(told(error), "mend that line; docs/prompts.md tells what a prompt may hold")
    return _well(f"{path} can be read, and formatted with its test props")


def _examined_client(project: "Project", paths: list[str]) -> Iterator[Finding]:
    file = project.folder / CLIENT
    if not file.is_file():
        yield _wrong(f"there is no {CLIENT} in {project.folder}", "agentmark init in an empty folder shows one")
        return
    try:
        client = load_client(file)
    except CommandError as error:
        yield _wrong(str(error), f"run python {CLIENT} to see where it fails")
        return
    yield _well(f"{CLIENT} has a client")
    for path in paths:
        yield from asyncio.run(_examined_run(client, project, path))


async def _examined_run(client: "AgentMark[Any, Any]", project: "Project", path: str) -> list[Finding]:
    """Whether the models and tools that a prompt names can be had."""
    from pydantic_ai.models import infer_model  # noqa: PLC0415

    from agentmark_prompts import FileLoader, create_agentmark  # noqa: PLC0415 - as above

    prompt = await create_agentmark(loader=FileLoader(project.prompts), adapter=client.adapter).load_prompt(path)
    if prompt.test_props is None:
        return []
    try:
        params = await prompt.format_with_test_props()
    except (LookupError, ValueError) as error:
        return [_wrong(f"{path}: {error.args[0]}", f"register it in {CLIENT}")]
    try:
        infer_model(params.model)
    except Exception as error:  # noqa: BLE001 - each provider's library raises its own
        return [_wrong(f"{path}: its model cannot be used: {error}", "install the provider and set its key")]
    return [_well(f"{path} has a model and tools")]


def _examined_server() -> Iterator[Finding]:
    if os.environ.get("AGENTMARK_API_KEY", "").strip() and not base_url():
        yield _note("AGENTMARK_API_KEY is set: programs record to the cloud", "unset it to record on this machine")
    gateway = local_gateway()
    try:
        ask(gateway, "/health")
    except CommandError as error:
        yield _note(str(error), "runs are recorded only while it is there")
    else:
        yield _well(f"a server answers at {gateway.url}")
