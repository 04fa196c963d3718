"""`agentmark doctor`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conftest import RunningServer

NOWHERE = {"AGENTMARK_API_PORT": "9", "OPENAI_API_KEY": ""}


@pytest.fixture
def project(tmp_path: Path, agentmark: Any) -> Path:
    """A project as `agentmark init` makes it."""
    assert agentmark("init").returncode == 0
    return tmp_path


def lines(done: Any) -> list[str]:
    assert done.stderr == b""
    return list(done.stdout.decode().splitlines())


def test_a_project_that_is_well(project: Path, agentmark: Any, server: RunningServer) -> None:
    """Everything that was looked at is named, and the exit code is 0."""
    done = agentmark("doctor", env={**server.env, "OPENAI_API_KEY": ""})
    assert (done.returncode, lines(done)) == (
        0,
        [
            "ok    what prompts need is installed",
            f"ok    agentmark.json: prompts are in {project}",
            "ok    chat.prompt.mdx can be read, and formatted with its test props",
            "ok    agentmark_client.py has a client",
            "ok    chat.prompt.mdx has a model and tools",
            f"ok    a server answers at {server.url}",
        ],
    )


def edited(name: str, old: str, new: str) -> Callable[[Path], None]:
    def change(project: Path) -> None:
        text = (project / name).read_text()
        assert old in text
        (project / name).write_text(text.replace(old, new))

    return change


def removed(name: str) -> Callable[[Path], None]:
    return lambda project: (project / name).unlink()


@pytest.mark.parametrize(
    ("change", "wrong", "mend"),
    [
        (removed("agentmark.json"), "there is no agentmark.json in ", "agentmark init makes a agentmark.json"),
        (edited("agentmark.json", "{", "["), "agentmark.json cannot be read: ", "agentmark init"),
        (
            edited("agentmark.json", '"."', '"/"'),
            "agentmarkPath in agentmark.json must be a relative path",
            "names",
        ),
        (removed("chat.prompt.mdx"), "there is no prompt", "put a file that ends in .prompt.mdx into "),
        (
            edited("chat.prompt.mdx", "</User>", ""),
            "chat.prompt.mdx:21:1: <User> is not closed: </User> is missing | <User>{props.message}",
            "mend that line",
        ),
        (
            edited("chat.prompt.mdx", "message: What", "mesage: What"),
            "props: 'message' is a required property",
            "mend that line",
        ),
        (
            removed("agentmark_client.py"),
            "there is no agentmark_client.py in ",
            "agentmark init in an empty folder",
        ),
        (
            edited("agentmark_client.py", "import os", "import oss"),
            "fails: ModuleNotFoundError",
            "python agentmark_cl",
        ),
        (edited("chat.prompt.mdx", "gpt-4o-mini", "gpt-5"), "no model is registered as 'gpt-5'", "register it in"),
        (
            edited("chat.prompt.mdx", "  temperature: 0.2", "  tools: [search]"),
            "uses the tool 'search'",
            "register it in agentmark_client.py",
        ),
        (
            edited("agentmark_client.py", 'else "test"', 'else "nobody:model"'),
            "chat.prompt.mdx: its model cannot be used: ",
            "install the provider and set its key",
        ),
    ],
)
def test_what_is_wrong_and_how_to_mend_it(
    change: Callable[[Path], None], wrong: str, mend: str, project: Path, agentmark: Any
) -> None:
    """Each thing that is wrong is a line, with how to mend it in the next; the exit code is 1."""
    change(project)
    done = agentmark("doctor", env=NOWHERE)
    assert done.returncode == 1
    said = lines(done)
    [at] = [index for index, line in enumerate(said) if line.startswith("wrong ")]
    assert wrong in said[at]
    assert said[at + 1].startswith("       -> ")
    assert mend in said[at + 1]
    assert "Traceback" not in done.stdout.decode()


def test_what_is_only_worth_a_note(project: Path, agentmark: Any) -> None:
    """That no server is there, or that a key sends everything to the cloud, is told and is no fault."""
    (project / "other.prompt.mdx").write_text("---\nname: o\ntext_config: {model_name: test}\n---\n<User>a</User>")
    done = agentmark("doctor", str(project), env={**NOWHERE, "AGENTMARK_API_KEY": "am_live_x"})
    said = lines(done)
    assert done.returncode == 0
    assert "ok    other.prompt.mdx can be read (it has no test_settings to try it with)" in said
    assert "note  AGENTMARK_API_KEY is set: programs record to the cloud" in said
    assert "note  nothing answers at http://127.0.0.1:9: start it with agentmark dev" in said
