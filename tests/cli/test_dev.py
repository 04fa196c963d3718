"""`agentmark dev`."""

import asyncio
import re
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any

import httpx2
import pytest

from agentmark_cli.dev import _bind


def test_both_addresses_answer_once_they_are_printed(server: Any) -> None:
    """The API and the page are two ports of one server, and answer as soon as they are named."""
    assert server.url != server.page_url
    for url in (server.url, server.page_url):
        assert httpx2.get(f"{url}/health").status_code == 200


def test_a_taken_port_is_one_line(agentmark: Any, one_error: Callable[..., str]) -> None:
    """A port that something listens on is named, with the option that chooses another."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        said = one_error(agentmark("dev", "--api-port", port))
        assert said == f"port {port} is taken: stop what listens there, or choose another with --api-port"
        said = one_error(agentmark("dev", "--api-port", "0", "--app-port", port))
        assert said == f"port {port} is taken: stop what listens there, or choose another with --app-port"


def test_a_second_server_on_one_file_is_one_line(
    server: Any, agentmark: Any, one_error: Callable[..., str]
) -> None:
    """Two servers never share a database: the second says so and ends, and the first goes on."""
    second = agentmark("dev", "--api-port", "0", "--app-port", "0", "--db", str(server.db))
    assert str(server.db) in one_error(second)
    assert httpx2.get(f"{server.url}/health").status_code == 200


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_it_cleanly(server: Any, how: signal.Signals) -> None:
    """Ctrl-C and SIGTERM end the server with exit code 0 and no traceback, while a client is connected."""
    with httpx2.Client() as connected:
        connected.get(f"{server.url}/health")
        server.process.send_signal(how)
        rest = server.process.stdout.read()
        assert server.process.wait(timeout=10) == 0
    assert "Traceback" not in rest
    assert "Error" not in rest
    server.process.stdout.close()


def test_the_same_ports_can_be_used_again_at_once(launch: Callable[..., Any]) -> None:
    """A server that was stopped leaves its ports and its file free for the next."""
    first = launch()
    ports = [int(url.rsplit(":", 1)[1]) for url in (first.url, first.page_url)]
    first.stop()
    again = launch(api_port=ports[0], app_port=ports[1])
    assert again.url == first.url


def _first_lines(agentmark: Any, *words: str, lines: int, **env: str) -> str:
    """Return the beginning of what a server prints, which is then stopped."""
    command = agentmark.command("dev", *words)
    with Popen(command, stdout=PIPE, text=True, cwd=agentmark.folder, env=agentmark.env | env) as process:
        assert process.stdout
        said = "".join(process.stdout.readline() for _ in range(lines))
        process.terminate()
    assert process.returncode == 0
    return said


def test_without_the_page_only_the_api_is_served(agentmark: Any) -> None:
    """--no-ui opens one port."""
    said = _first_lines(agentmark, "--api-port", "0", "--no-ui", lines=8)
    assert len(re.findall(r"http://127\.0\.0\.1:\d+", said)) == 1


def test_it_says_what_to_run_next(agentmark: Any) -> None:
    """The next commands can be copied as they stand, also when the API's port is not the usual one."""
    said = _first_lines(agentmark, "--api-port", "0", "--app-port", "0", lines=9)
    port = re.findall(r"http://127\.0\.0\.1:(\d+)", said)[0]
    assert f"AGENTMARK_API_PORT={port} agentmark demo" in said
    assert f"AGENTMARK_API_PORT={port} agentmark api sessions list" in said
    assert "\x1b" not in said


def test_the_environment_sets_the_api_port(agentmark: Any, one_error: Callable[..., str]) -> None:
    """AGENTMARK_API_PORT is the default of --api-port."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert f"port {port} is taken" in one_error(agentmark("dev", env={"AGENTMARK_API_PORT": port}))


def test_the_folder_of_the_database_is_made(agentmark: Any) -> None:
    """By default the database is .agentmark/agentmark.db in the working folder, which is made."""
    _first_lines(agentmark, "--api-port", "0", "--app-port", "0", lines=4)
    assert (agentmark.folder / ".agentmark" / "agentmark.db").is_file()


def test_a_folder_that_cannot_be_made_is_one_line(
    agentmark: Any, one_error: Callable[..., str], tmp_path: Path
) -> None:
    """A database below something that is no folder is one line."""
    (tmp_path / "file").touch()
    said = one_error(agentmark("dev", "--api-port", "0", "--app-port", "0", "--db", "file/agentmark.db"))
    assert said.startswith("cannot make the folder of the database file/agentmark.db")


def test_a_folder_is_no_database(agentmark: Any, one_error: Callable[..., str]) -> None:
    """A folder in place of the database's file is one line."""
    said = one_error(agentmark("dev", "--api-port", "0", "--app-port", "0", "--db", "."))
    assert "--db" in said
    assert "directory" in said


def test_a_wrong_option_is_one_line(agentmark: Any, one_error: Callable[..., str]) -> None:
    """A mistyped option and a value that is none are one line on stderr, with exit code 2."""
    for words in (["dev", "--api-prt", "1"], ["dev", "--api-port", "x"], ["dev", "--api-port", "70000"]):
        done = agentmark(*words)
        assert words[1] in one_error(done)
        assert done.returncode == 2


async def test_no_delay() -> None:
    """Small answers leave at once: connections to the port have Nagle's algorithm off."""
    found: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def tell(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        found.set_result(writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    bound = _bind(0, "--api-port")
    async with await asyncio.start_server(tell, sock=bound):
        _, writer = await asyncio.open_connection(*bound.getsockname())
        assert await found
        writer.close()
        await writer.wait_closed()
