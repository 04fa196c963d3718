"""Loading: from a folder and from a server, once for each change, and never from outside the root."""

import os
from pathlib import Path
from typing import Any

import pytest

from agentmark_prompts import (
    ApiLoader,
    FileLoader,
    LoadError,
    NotFoundError,
    PromptError,
    TemplateError,
    create_agentmark,
    parser,
)
from conftest import RunningServer, start_server

TEXT = (
    "---\nname: chat\ntext_config: {model_name: m}\ntest_settings: {props: {x: 1}}\n---\n<User>v{props.x}</User>\n"
)
OBJECT = "---\nname: list\nobject_config: {model_name: m, schema: {type: object}}\n---\n<User>a</User>\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder of prompts, with files beside it that are none of theirs."""
    root = tmp_path / "prompts"
    (root / "sub").mkdir(parents=True)
    (root / "chat.prompt.mdx").write_text(TEXT)
    (root / "sub" / "list.prompt.mdx").write_text(OBJECT)
    (tmp_path / "secret.mdx").write_text("secret")
    return root


async def test_prompts_are_loaded_by_kind(root: Path) -> None:
    """Each kind has its own method, which refuses the other; test props format without any given."""
    client = create_agentmark(loader=FileLoader(root))
    text = await client.load_text_prompt("./chat.prompt.mdx")
    assert (text.name, text.test_props) == ("chat", {"x": 1})
    assert (await text.format_with_test_props()).messages[0].content == "v1"
    assert (await text.format({"x": 2})).props == {"x": 2}
    listed = await client.load_object_prompt("sub/../sub/list.prompt.mdx")
    assert (await listed.format()).config.schema == {"type": "object"}
    with pytest.raises(TemplateError, match="this prompt has text_config: load it with load_text_prompt"):
        await client.load_object_prompt("chat.prompt.mdx")
    with pytest.raises(TemplateError, match="this prompt has object_config: load it with load_object_prompt"):
        await client.load_text_prompt("sub/list.prompt.mdx")
    with pytest.raises(TemplateError, match="no test_settings with props"):
        await listed.format_with_test_props()


async def test_without_a_loader_the_working_folder_is_read(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client of nothing reads where the program runs, and goes on there."""
    monkeypatch.chdir(root)
    client = create_agentmark()
    monkeypatch.chdir(root.parent)
    assert (await client.load_prompt("chat.prompt.mdx")).name == "chat"


@pytest.mark.parametrize(
    ("telemetry", "message"),
    [
        ({"enabled": True}, "telemetry has no 'enabled'"),
        ({"isEnabled": "no"}, "is_enabled is True or False, not 'no'"),
        ({"metadata": ["a"]}, r"metadata must be a dict, not \['a'\]"),
    ],
)
async def test_telemetry_that_means_nothing_is_refused(root: Path, telemetry: Any, message: str) -> None:
    """A setting that would be without effect is an error, and not ignored."""
    prompt = await create_agentmark(loader=FileLoader(root)).load_text_prompt("chat.prompt.mdx")
    with pytest.raises(ValueError, match=message):
        await prompt.format({"x": 1}, telemetry)


async def test_telemetry_is_read_in_both_spellings(root: Path) -> None:
    """Camel case and underscores mean the same; what names no session, user or tag stays metadata."""
    prompt = await create_agentmark(loader=FileLoader(root)).load_text_prompt("chat.prompt.mdx")
    camel = {
        "isEnabled": True,
        "functionId": "f",
        "metadata": {"sessionId": 5, "sessionName": "n", "userId": "u", "tags": ["a"], "plan": "pro"},
    }
    snake = {
        "is_enabled": True,
        "function_id": "f",
        "metadata": {"session_id": 5, "session_name": "n", "user_id": "u", "tags": "a", "plan": "pro"},
    }
    one, other = await prompt.format({"x": 1}, camel), await prompt.format({"x": 1}, snake)
    assert one.telemetry == other.telemetry
    said = one.telemetry
    assert said
    assert (said.session_id, said.session_name, said.user_id, said.tags) == (5, "n", "u", ("a",))
    assert (said.function_id, said.metadata, said.is_enabled) == ("f", {"plan": "pro"}, True)


async def test_a_file_is_parsed_once_for_each_change(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What has not changed is not parsed again; what has, also in a component, is there at the next use."""
    parsed: list[str] = []
    original = parser.parse
    monkeypatch.setattr(
        parser, "parse", lambda source, start: (parsed.append(source.path), original(source, start))[1]
    )
    (root / "part.mdx").write_text("one")
    (root / "chat.prompt.mdx").write_text(
        TEXT.replace("---\n<", "---\nimport P from './part.mdx'\n<").replace("v", "<P />")
    )
    client = create_agentmark(loader=FileLoader(root))

    async def said() -> str:
        prompt = await client.load_text_prompt("chat.prompt.mdx")
        return (await prompt.format({"x": "!"})).messages[0].content

    assert [await said(), await said()] == ["one!", "one!"]
    assert parsed == ["chat.prompt.mdx", "part.mdx"]
    (root / "part.mdx").write_text("two")  # as long as before, and perhaps within one tick of the file's clock
    assert [await said(), await said()] == ["two!", "two!"]
    assert parsed == ["chat.prompt.mdx", "part.mdx", "part.mdx"]


OUTSIDE = [
    "../secret.mdx",
    "sub/../../secret.mdx",
    "/etc/hostname.mdx",
    "..\\secret.mdx",
    "link.mdx",
    "folder/secret.mdx",
    "C:/secret.mdx",
    "a\0.mdx",
    "%2e%2e/secret.mdx",
    "chat.prompt",
    ".env",
    "",
    "sub",
    "sub/.mdx/..",
    "pipe.mdx",
    "folder.mdx",
    "loop.mdx",
    "large.mdx",
    "bytes.mdx",
]


@pytest.fixture
def traps(root: Path) -> Path:
    """The root with links out of it, and with files that are none."""
    (root / "link.mdx").symlink_to(root.parent / "secret.mdx")
    (root / "folder").symlink_to(root.parent, target_is_directory=True)
    (root / "loop.mdx").symlink_to(root / "loop.mdx")
    (root / "folder.mdx").mkdir()
    (root / "large.mdx").write_text("x" * 1_000_001)
    (root / "bytes.mdx").write_bytes(b"\xff\xfe")
    (root / ".env").write_text("KEY=1")
    os.mkfifo(root / "pipe.mdx")
    return root


@pytest.mark.parametrize("path", OUTSIDE)
async def test_nothing_outside_the_root_can_be_read(path: str, traps: Path) -> None:
    """Neither by the path that is loaded nor by an import can anything but a small file below the root be read."""
    client = create_agentmark(loader=FileLoader(traps))
    with pytest.raises(LoadError) as caught:
        await client.load_prompt(path)
    assert "secret\n" not in str(caught.value)
    (traps / "main.prompt.mdx").write_text(TEXT.replace("---\n<", f"---\nimport P from '{path}'\n<"))
    with pytest.raises(PromptError):
        await client.load_prompt("main.prompt.mdx")


async def test_a_link_within_the_root_is_followed(root: Path) -> None:
    """Links are nothing bad as long as they stay."""
    (root / "alias.prompt.mdx").symlink_to(root / "chat.prompt.mdx")
    assert (await create_agentmark(loader=FileLoader(root)).load_prompt("alias.prompt.mdx")).name == "chat"


@pytest.fixture
def api(root: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A real server in the project's folder."""
    (root / "agentmark.json").write_text('{"agentmarkPath": "."}')
    monkeypatch.chdir(root)
    running = start_server(root.parent / "agentmark.db")
    yield running
    running.stop()


async def test_prompts_come_from_a_server_too(api: RunningServer, root: Path) -> None:
    """`ApiLoader.local()` gives what the folder gives, also after a change."""
    client = create_agentmark(loader=ApiLoader.local(api.url))
    (root / "part.mdx").write_text("one")
    (root / "chat.prompt.mdx").write_text(
        TEXT.replace("---\n<", "---\nimport P from './part.mdx'\n<").replace("v", "<P />")
    )

    async def said() -> str:
        prompt = await client.load_text_prompt("chat.prompt.mdx")
        return (await prompt.format({"x": "!"})).messages[0].content

    assert [await said(), await said()] == ["one!", "one!"]
    (root / "part.mdx").write_text("two")
    assert await said() == "two!"
    with pytest.raises(NotFoundError, match=r"cannot load none.mdx: there is no file 'none.mdx'"):
        await client.load_prompt("none.mdx")
    (root / "part.mdx").unlink()
    with pytest.raises(TemplateError, match=r"there is no file 'part\.mdx'") as caught:
        await client.load_prompt("chat.prompt.mdx")
    assert (caught.value.path, caught.value.line) == ("chat.prompt.mdx", 6)


async def test_the_local_loader_finds_the_port(api: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an address the loader asks the port of AGENTMARK_API_PORT, past every proxy."""
    monkeypatch.setenv("AGENTMARK_API_PORT", api.url.rsplit(":", 1)[1])
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert (await create_agentmark(loader=ApiLoader.local()).load_prompt("chat.prompt.mdx")).name == "chat"


async def test_a_gateway_is_asked_with_the_key_and_once_a_minute(gateway: Any) -> None:
    """`ApiLoader.cloud()` sends key and app, and keeps what it got for a while."""
    gateway.answer(200, {"data": {"path": "chat.prompt.mdx", "source": TEXT}})
    client = create_agentmark(
        loader=ApiLoader.cloud(api_key="am_live_x", app_id="app_1", base_url=gateway.url + "/")
    )
    for _ in range(3):
        assert (await client.load_prompt("chat.prompt.mdx")).name == "chat"
    assert gateway.paths == ["/v1/templates?path=chat.prompt.mdx"]
    [sent] = gateway.headers
    assert (sent["authorization"], sent["x-agentmark-app-id"]) == ("Bearer am_live_x", "app_1")


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (401, {"error": {"code": "unauthorized", "message": "no such key"}}, "cannot load a.mdx: no such key"),
        (500, b"oops", "answered 500 without a prompt"),
        (200, {"data": {"type": "root"}}, "answered 200 without a prompt"),
        (200, [], "answered 200 without a prompt"),
    ],
)
async def test_what_a_server_says_wrong_is_told(status: int, body: Any, message: str, gateway: Any) -> None:
    """An answer without a prompt is one clear error."""
    gateway.answer(status, body)
    with pytest.raises(LoadError, match=message):
        await create_agentmark(loader=ApiLoader.local(gateway.url)).load_prompt("a.mdx")


async def test_a_server_that_is_not_there_is_told() -> None:
    """Without a server the error says whom it asked."""
    with pytest.raises(LoadError, match=r"cannot ask http://127.0.0.1:9 for a.mdx: ConnectionError"):
        await create_agentmark(loader=ApiLoader.local("http://127.0.0.1:9")).load_prompt("a.mdx")
