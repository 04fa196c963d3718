"""A project's own client: `client` in its `agentmark_client.py`."""

import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentmark_cli.errors import CommandError

if TYPE_CHECKING:
    from agentmark_prompts import AgentMark, PromptError

EXTRA = "this command needs more: pip install 'agentmark[pydantic-ai]'"


def need_prompts() -> None:
    """Raise `CommandError` unless all that prompts need is installed."""
    if missing_packages():
        raise CommandError(EXTRA)


def missing_packages() -> list[str]:
    """Which of the packages that prompts and pydantic-ai runs need are not installed."""
    names = ("jsonschema", "pydantic_ai", "referencing", "yaml")
    return [name for name in names if importlib.util.find_spec(name) is None]


def load_client(file: Path) -> "AgentMark[Any, Any]":
    """Run `agentmark_client.py` and return its `client`; raises `CommandError`."""
    from agentmark_prompts import AgentMark  # noqa: PLC0415 - the other commands do without the extra

    spec = importlib.util.spec_from_file_location(file.stem, file)
    if spec is None or spec.loader is None:
        msg = f"{file.name} cannot be imported"
        raise CommandError(msg)
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(file.parent))  # it imports its neighbours, as in a program that lies beside it
    sys.modules[file.stem] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # it is the user's program
        msg = f"{file.name} fails: {type(error).__name__}: {error}"
        raise CommandError(msg) from error
    client = getattr(module, "client", None)
    if not isinstance(client, AgentMark):
        msg = f"{file.name} has no client: client = create_pydantic_ai_client(...)"
        raise CommandError(msg)
    return client


def told(error: "PromptError") -> str:
    """A prompt's error in one line: what is wrong, where, and the line itself."""
    from agentmark_prompts import TemplateError  # noqa: PLC0415 - as above

    if not isinstance(error, TemplateError):
        return str(error)
    return f"{error.path}:{error.line}:{error.column}: {error.message} | {error.source_line.strip():.120}"
