"""`agentmark init`."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

NOWHERE = {"AGENTMARK_API_PORT": "9", "OPENAI_API_KEY": ""}
FILES = {"agentmark.json", "chat.prompt.mdx", "agentmark_client.py"}


@pytest.mark.parametrize("folder", ["", "new/project"])
def test_a_project_that_runs_at_once(folder: str, tmp_path: Path, agentmark: Any) -> None:
    """A new project has its three files, is well by the doctor's word, and its prompt runs without any key."""
    done = agentmark("init", *([folder] if folder else []))
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"agentmark run-prompt chat.prompt.mdx" in done.stdout
    assert {path.name for path in (tmp_path / folder).iterdir()} == FILES
    assert json.loads((tmp_path / folder / "agentmark.json").read_text())["agentmarkPath"] == "."
    agentmark.folder = tmp_path / folder
    assert agentmark("run-prompt", "chat.prompt.mdx", env=NOWHERE).stdout == b"success (no tool calls)\n"
    said = agentmark("doctor", env=NOWHERE)
    assert (said.returncode, b"wrong" in said.stdout) == (0, False)


@pytest.mark.parametrize("name", sorted(FILES))
def test_nothing_is_written_over(name: str, tmp_path: Path, agentmark: Any, one_error: Callable[..., str]) -> None:
    """Where one of the files exists, none is written."""
    (tmp_path / name).write_text("mine")
    said = one_error(agentmark("init"))
    assert said == f"{name} exists already in {tmp_path}: choose another folder"
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "mine"


def test_a_folder_that_cannot_be_is_one_line(
    tmp_path: Path, agentmark: Any, one_error: Callable[..., str]
) -> None:
    """A file in the way is said."""
    (tmp_path / "file").write_text("")
    assert one_error(agentmark("init", "file/project")).startswith("cannot write to file/project: ")
