"""`GET /v1/templates` and `GET /v1/prompts`: the prompt files of the project."""

import os
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from conftest import RunningServer, start_server


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project's folder, with a secret beside it and links that lead there."""
    beside = tmp_path_factory.mktemp("beside")
    folder = beside / "project"
    (folder / "parts").mkdir(parents=True)
    (folder / "agentmark.json").write_text('{"agentmarkPath": "."}')
    (folder / "chat.prompt.mdx").write_text("Grüße\r\n")
    (folder / "parts" / "deep.prompt.mdx").write_text("deep")
    (folder / "parts" / "tone.mdx").write_text("tone")
    (beside / "secret.mdx").write_text("not for you")
    (folder / "link.prompt.mdx").symlink_to(beside / "secret.mdx")
    (folder / "outside").symlink_to(beside, target_is_directory=True)
    (folder / "loop.prompt.mdx").symlink_to(folder / "loop.prompt.mdx")
    (folder / "large.mdx").write_text("x" * 1_000_001)
    os.mkfifo(folder / "pipe.mdx")
    for hidden in (".hidden", "node_modules"):
        (folder / hidden).mkdir()
        (folder / hidden / "a.prompt.mdx").write_text("a")
    return folder


@pytest.fixture(scope="module")
def project(folder: Path) -> Iterator[RunningServer]:
    """A server that was started in the project's folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        running = start_server(folder.parent / "agentmark.db")
    yield running
    running.stop()


def test_a_file_is_given_as_it_stands(project: RunningServer) -> None:
    """Prompts and components are read by their paths."""
    said = {"path": "chat.prompt.mdx", "source": "Grüße\r\n"}
    assert httpx2.get(f"{project.url}/v1/templates?path=chat.prompt.mdx").json() == {"data": said}
    for path in ("./parts/tone.mdx", "parts%2Ftone.mdx"):
        assert httpx2.get(f"{project.url}/v1/templates?path={path}").json()["data"]["source"] == "tone"


def test_an_unchanged_file_is_not_given_again(project: RunningServer, folder: Path) -> None:
    """A client that has the current version gets 304 and nothing else; after a change the new text."""
    (folder / "changing.mdx").write_text("Hello\n")
    url, params = f"{project.url}/v1/templates", {"path": "changing.mdx"}
    version = httpx2.get(url, params=params).headers["ETag"]
    again = httpx2.get(url, params=params, headers={"If-None-Match": version})
    assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", version)
    (folder / "changing.mdx").write_text("Bye\n")
    changed = httpx2.get(url, params=params, headers={"If-None-Match": version})
    assert (changed.status_code, changed.json()["data"]["source"]) == (200, "Bye\n")


@pytest.mark.parametrize(
    "path",
    [
        "none.mdx",
        "../secret.mdx",
        "parts/../../secret.mdx",
        "/etc/secret.mdx",
        "..\\secret.mdx",
        "outside/secret.mdx",
        "link.prompt.mdx",
        "loop.prompt.mdx",
        "large.mdx",
        "pipe.mdx",
        "a\0.mdx",
        "C:secret.mdx",
    ],
)
def test_nothing_else_is_given(path: str, project: RunningServer) -> None:
    """What is not a small file below the project's folder is not there, wherever links lead."""
    reply = httpx2.get(f"{project.url}/v1/templates", params={"path": path}, timeout=5)
    assert (reply.status_code, reply.json()["error"]["code"]) == (404, "not_found")
    assert "not for you" not in reply.text


@pytest.mark.parametrize("path", ["agentmark.json", ".env", "", "x" * 500 + ".mdx", "chat.prompt.mdx\n"])
def test_what_is_no_prompt_file_is_refused(path: str, project: RunningServer) -> None:
    """Only `.mdx` files can be asked for."""
    reply = httpx2.get(f"{project.url}/v1/templates", params={"path": path})
    assert (reply.status_code, reply.json()["error"]["details"][0]["place"]) == (400, "path")


def test_unknown_parameters_are_refused(project: RunningServer) -> None:
    """A parameter that the routes do not know is an error that names it."""
    for path in ("/v1/templates?path=chat.prompt.mdx&x=1", "/v1/prompts?x=1"):
        reply = httpx2.get(project.url + path)
        assert (reply.status_code, reply.json()["error"]["details"][0]["place"]) == (400, "x")


def test_prompts_are_listed(project: RunningServer) -> None:
    """All prompts by path, in parts if wanted; no components, nothing hidden, nothing from outside."""
    listed = project.get("/v1/prompts")
    assert listed == {
        "data": [{"path": "chat.prompt.mdx"}, {"path": "parts/deep.prompt.mdx"}],
        "pagination": {"total": 2, "limit": 50, "offset": 0, "next_cursor": None},
    }
    assert project.get("/v1/prompts", limit=1, offset=1)["data"] == [{"path": "parts/deep.prompt.mdx"}]


def test_the_folder_agentmark_holds_the_prompts_if_it_is_there(project: RunningServer, folder: Path) -> None:
    """As in projects of the published AgentMark; and agentmarkPath may lead elsewhere. Both are read each time."""
    (folder / "agentmark").mkdir()
    (folder / "agentmark" / "only.prompt.mdx").write_text("only")
    assert project.get("/v1/prompts")["data"] == [{"path": "only.prompt.mdx"}]
    (folder / "agentmark.json").write_text('{"agentmarkPath": "parts"}')
    assert project.get("/v1/prompts")["data"] == [{"path": "deep.prompt.mdx"}]


def test_without_a_project_there_are_no_prompts(project: RunningServer, folder: Path) -> None:
    """Where agentmark.json is missing or wrong, both routes say so."""
    relative = "agentmarkPath in agentmark.json must be a relative path"
    wrong = {"{": "agentmark.json cannot be read: ", "[]": relative, '{"agentmarkPath": "/etc"}': relative}
    for config, message in {"": "there is no agentmark.json in ", **wrong}.items():
        (folder / "agentmark.json").unlink(missing_ok=True)
        if config:
            (folder / "agentmark.json").write_text(config)
        for path in ("/v1/prompts", "/v1/templates?path=a.mdx"):
            reply = httpx2.get(project.url + path)
            assert reply.status_code == 404
            assert message in reply.json()["error"]["message"]
