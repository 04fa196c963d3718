"""A project: the folder of `agentmark.json`, and where in it the prompts are."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agentmark_prompts.errors import PromptError

CONFIG: Final = "agentmark.json"
CLIENT: Final = "agentmark_client.py"
PROMPT_SUFFIX: Final = ".prompt.mdx"
_NOT_WALKED: Final = {"node_modules", "__pycache__"}


class ProjectError(PromptError):
    """There is no project, or its configuration cannot be used."""


@dataclass(frozen=True)
class Project:
    """Its folder, and that of its prompts, both absolute."""

    folder: Path
    prompts: Path

    @classmethod
    def of(cls, folder: Path) -> "Project":
        """The project in a folder; raises `ProjectError`."""
        folder = folder.absolute()
        try:
            config = json.loads((folder / CONFIG).read_bytes())
        except FileNotFoundError as error:
            msg = f"there is no {CONFIG} in {folder}"
            raise ProjectError(msg) from error
        except (OSError, ValueError) as error:
            msg = f"{CONFIG} cannot be read: {error}"
            raise ProjectError(msg) from error
        named = config.get("agentmarkPath", ".") if isinstance(config, dict) else None
        if not isinstance(named, str) or Path(named).is_absolute():
            msg = f"agentmarkPath in {CONFIG} must be a relative path"
            raise ProjectError(msg)
        base = folder / named
        return cls(folder, base / "agentmark" if (base / "agentmark").is_dir() else base)

    @classmethod
    def around(cls, path: Path) -> "Project | None":
        """The project that a file belongs to: that of the nearest folder above it which has one."""
        above = next((folder for folder in path.absolute().parents if (folder / CONFIG).is_file()), None)
        return cls.of(above) if above else None

    def files(self) -> Iterator[str]:
        """The paths of all prompts, as loaders take them; hidden folders and links to folders are left out."""
        for folder, folders, files in os.walk(self.prompts):
            folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in _NOT_WALKED)
            for name in sorted(files):
                if name.endswith(PROMPT_SUFFIX):
                    yield (Path(folder) / name).relative_to(self.prompts).as_posix()
