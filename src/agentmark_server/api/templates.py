"""`/v1/templates` and `/v1/prompts`: the prompt files of the project that `agentmark dev` was started in.

They are served as they stand; clients parse them. Nothing but `.mdx` files below the folder that `agentmark.json`
names can be read, wherever links in it lead.
"""

import hashlib
import json
import os
import posixpath
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final

from fastapi import APIRouter, Header, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from agentmark_server.api.errors import NOT_FOUND, RESPONSES, NotFoundError
from agentmark_server.api.parameters import MAX_LIMIT, MAX_OFFSET
from agentmark_server.api.schemas import ListReply, Pagination

MAX_BYTES: Final = 1_000_000
"""The largest file that is served."""
MAX_PROMPTS: Final = 10_000
CONFIG: Final = "agentmark.json"
PROMPT_SUFFIX: Final = ".prompt.mdx"
_NOT_WALKED: Final = {"node_modules", "__pycache__"}
_NOT_MODIFIED: Final = 304


class TemplateParameters(BaseModel):
    """Which file."""

    model_config = ConfigDict(extra="forbid")

    path: str = Field(
        max_length=500,
        pattern=r"\.mdx$",
        description="Below the project's folder of prompts, with slashes.",
        examples=["chat.prompt.mdx"],
    )


class PromptParameters(BaseModel):
    """Which part of the list."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(50, ge=1, le=MAX_LIMIT, description="How many at most.", examples=[50])
    offset: int = Field(0, ge=0, le=MAX_OFFSET, description="How many to skip.", examples=[0])


class TemplateSchema(BaseModel):
    """A prompt or a component."""

    path: str = Field(examples=["chat.prompt.mdx"])
    source: str = Field(description="The file as it stands.")


class TemplateReply(BaseModel):
    """One file; the header `ETag` names its version."""

    data: TemplateSchema


class PromptSchema(BaseModel):
    """A prompt, by the path that loads it."""

    path: str = Field(examples=["chat.prompt.mdx"])


def router(project: Path) -> APIRouter:
    """The routes of prompt files; `project` is the folder of `agentmark.json`, which is read at every request."""
    routes = APIRouter(prefix="/v1", tags=["Prompts"], responses=RESPONSES)
    unchanged: dict[int | str, dict[str, Any]] = {
        _NOT_MODIFIED: {"description": "It is still the version of `If-None-Match`."}
    }

    @routes.get(
        "/templates",
        summary="Read a prompt file",
        response_model=TemplateReply,
        responses={**NOT_FOUND, **unchanged},
    )
    def get_template(
        parameters: Annotated[TemplateParameters, Query()],
        response: Response,
        if_none_match: Annotated[
            str | None, Header(description="The `ETag` of the version that one has.", examples=['"0"'])
        ] = None,
    ) -> TemplateReply | Response:
        """One prompt or component. Asked with the version that one has, it answers 304 if that is current."""
        content = _content(_root(project), parameters.path)
        version = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
        if if_none_match == version:
            return Response(status_code=_NOT_MODIFIED, headers={"ETag": version})
        response.headers["ETag"] = version
        return TemplateReply(data=TemplateSchema(path=parameters.path, source=content.decode(errors="replace")))

    @routes.get("/prompts", summary="List prompts", responses=NOT_FOUND)
    def list_prompts(parameters: Annotated[PromptParameters, Query()]) -> ListReply[PromptSchema]:
        """All files that end in `.prompt.mdx`, by path."""
        paths = sorted(_prompts(_root(project)))
        page = paths[parameters.offset :][: parameters.limit]
        prompts = [PromptSchema(path=path) for path in page]
        return ListReply(
            data=prompts,
            pagination=Pagination(
                total=len(paths), limit=parameters.limit, offset=parameters.offset, next_cursor=None
            ),
        )

    return routes


def _root(project: Path) -> Path:
    """The folder of prompts: where `agentmark.json` says, or in the folder `agentmark` there, if there is one."""
    try:
        config = json.loads((project / CONFIG).read_bytes())
    except FileNotFoundError as error:
        msg = f"there is no {CONFIG} in {project.absolute()}: agentmark init makes one"
        raise NotFoundError(msg) from error
    except (OSError, ValueError) as error:
        msg = f"{CONFIG} cannot be read: {error}"
        raise NotFoundError(msg) from error
    named = config.get("agentmarkPath", ".") if isinstance(config, dict) else None
    if not isinstance(named, str) or Path(named).is_absolute():
        msg = f"agentmarkPath in {CONFIG} must be a relative path"
        raise NotFoundError(msg)
    base = project / named
    return (base / "agentmark" if (base / "agentmark").is_dir() else base).resolve()


def _content(root: Path, path: str) -> bytes:
    """The bytes of a file that is below `root`, also when links have been followed."""
    real = _inside(root, path)
    try:
        content = _read(real) if real else None
    except OSError:
        content = None
    if content is None:
        msg = f"there is no file {path!r} of {MAX_BYTES:,} bytes at most"
        raise NotFoundError(msg)
    return content


def _read(path: Path) -> bytes | None:
    """The bytes of a regular file that is small enough."""
    # Opened without waiting at a pipe, and without following what became a link since it was looked at.
    flags = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0)
    with open(path, "rb", opener=lambda name, mode: os.open(name, mode | flags)) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            return None
        content = file.read(MAX_BYTES + 1)
    return content if len(content) <= MAX_BYTES else None


def _inside(root: Path, path: str) -> Path | None:
    """The file at `path`, with its links followed, if it is below `root`."""
    plain = posixpath.normpath(path)
    if posixpath.isabs(path) or plain.split("/")[0] == ".." or any(mark in path for mark in "\\\0:"):
        return None
    try:
        real = (root / plain).resolve(strict=True)
    except (OSError, RuntimeError):  # a loop of links is a RuntimeError before Python 3.13
        return None
    return real if real.is_relative_to(root) else None


def _prompts(root: Path) -> Iterator[str]:
    """The paths of all prompts; hidden folders, links to folders, and what packages brought along are left out."""
    found = 0
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in _NOT_WALKED)
        for name in files:
            path = (Path(folder) / name).relative_to(root).as_posix().encode(errors="replace").decode()
            if name.endswith(PROMPT_SUFFIX) and found < MAX_PROMPTS and _is_file(_inside(root, path)):
                found += 1
                yield path


def _is_file(path: Path | None) -> bool:
    return path is not None and path.is_file()
