"""`agentmark api sessions update`, `delete`, `export`, and `list --follow`."""

import json
import os
import pty
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest


def read(server: Any, session_id: str) -> httpx2.Response:
    return httpx2.get(f"{server.url}/v1/sessions/{session_id}")


class TestUpdate:
    def test_name_and_tags(self, shared_server: Any, agentmark: Any, record: Any) -> None:
        """Name and tags are those of the command; in a pipe the server's own answer is passed on."""
        record(shared_server, "cli-update", agentmark__unused=1)
        words = ("api", "sessions", "update", "cli-update")
        done = agentmark(*words, "--name", "By hand", "--tag", "a", "--tag", "b", env=shared_server.env)
        assert done.returncode == 0, done.stderr
        session = json.loads(done.stdout)["data"]
        assert (session["id"], session["name"], session["tags"]) == ("cli-update", "By hand", ["a", "b"])
        agentmark(*words, "--tag", "c", env=shared_server.env)
        agentmark(*words, "--name", "", env=shared_server.env)
        session = read(shared_server, "cli-update").json()["data"]
        assert (session["name"], session["tags"]) == (None, ["c"])
        said = agentmark(*words, "--no-tags", "--output", "table", env=shared_server.env).stdout
        assert said == b"cli-update: name none, tags none\n"

    def test_nothing_to_change(self, agentmark: Any, one_error: Callable[..., str]) -> None:
        """Without anything to change, and with what excludes each other, it is one line."""
        assert "--name" in one_error(agentmark("api", "sessions", "update", "x"))
        assert "--no-tags" in one_error(agentmark("api", "sessions", "update", "x", "--tag", "a", "--no-tags"))

    def test_unknown(self, shared_server: Any, agentmark: Any, one_error: Callable[..., str]) -> None:
        """A session that is not there is one line."""
        said = one_error(agentmark("api", "sessions", "update", "no/body", "--name", "x", env=shared_server.env))
        assert "no/body" in said


class TestDelete:
    def test_yes(self, shared_server: Any, agentmark: Any, record: Any, one_error: Callable[..., str]) -> None:
        """With --yes the session is gone, and the answer says how many spans went; then it is unknown."""
        record(shared_server, "cli-gone")
        record(shared_server, "cli-gone")
        words = ("api", "sessions", "delete", "cli-gone", "--yes")
        done = agentmark(*words, env=shared_server.env)
        assert json.loads(done.stdout) == {"data": {"id": "cli-gone", "deleted_spans": 2}}
        assert read(shared_server, "cli-gone").status_code == 404
        assert "cli-gone" in one_error(agentmark(*words, env=shared_server.env))

    def test_never_unasked(
        self, shared_server: Any, agentmark: Any, record: Any, one_error: Callable[..., str]
    ) -> None:
        """Where nobody can be asked, nothing is deleted without --yes."""
        record(shared_server, "cli-kept")
        command = agentmark.command("api", "sessions", "delete", "cli-kept")
        env = agentmark.env | shared_server.env
        done = subprocess.run(command, env=env, stdin=subprocess.DEVNULL, capture_output=True, check=False)
        assert "--yes" in one_error(done)
        assert read(shared_server, "cli-kept").status_code == 200

    @pytest.mark.parametrize(("answer", "status"), [(b"y\n", 404), (b"n\n", 200), (b"\n", 200)])
    def test_asks_on_a_terminal(
        self, shared_server: Any, agentmark: Any, record: Any, answer: bytes, status: int
    ) -> None:
        """On a terminal it says what would go, and only a yes deletes it."""
        session_id = f"cli-asked-{status}-{len(answer)}"
        record(shared_server, session_id)
        ours, theirs = pty.openpty()
        command = agentmark.command("api", "sessions", "delete", session_id)
        env = agentmark.env | shared_server.env
        with subprocess.Popen(command, env=env, stdin=theirs, stdout=theirs, stderr=subprocess.PIPE) as process:
            os.write(ours, answer)
            assert process.stderr
            said = process.stderr.read().decode()
        os.close(theirs)
        os.close(ours)
        assert f"Delete {session_id}: 1 traces, 1 spans?" in said
        assert (process.returncode == 0) == (status == 404)
        assert read(shared_server, session_id).status_code == status


class TestExport:
    @pytest.mark.parametrize("format_", ["json", "jsonl", "otlp", "html"])
    def test_formats(self, shared_server: Any, agentmark: Any, record: Any, tmp_path: Path, format_: str) -> None:
        """What is written, to the output or to a file, is what the server answers."""
        record(shared_server, "cli-export")
        words = ("api", "sessions", "export", "cli-export", "--format", format_)
        done = agentmark(*words, env=shared_server.env)
        address = f"{shared_server.url}/v1/sessions/cli-export/export"
        assert done.stdout == httpx2.get(address, params={"format": format_}).content
        out = tmp_path / "session.out"
        assert agentmark(*words, "--out", str(out), env=shared_server.env).stdout == b""
        assert out.read_bytes() == done.stdout
        assert [one.name for one in tmp_path.iterdir() if "session" in one.name] == ["session.out"]

    def test_protobuf(self, shared_server: Any, agentmark: Any, record: Any) -> None:
        """OTLP in protobuf can be posted as it is."""
        record(shared_server, "cli-otlp")
        words = ("api", "sessions", "export", "cli-otlp", "--format", "otlp", "--encoding", "protobuf")
        body = agentmark(*words, env=shared_server.env).stdout
        headers = {"Content-Type": "application/x-protobuf"}
        assert httpx2.post(f"{shared_server.url}/v1/traces", content=body, headers=headers).content == b""

    def test_a_file_that_is_there_stays_when_it_fails(
        self, shared_server: Any, agentmark: Any, one_error: Callable[..., str], tmp_path: Path
    ) -> None:
        """An unknown session, or a folder that is not there, is one line and changes no file."""
        out = tmp_path / "kept"
        out.write_text("before")
        words = ("api", "sessions", "export", "nobody", "--out", str(out))
        assert "nobody" in one_error(agentmark(*words, env=shared_server.env))
        assert out.read_text() == "before"

    def test_no_folder(
        self, shared_server: Any, agentmark: Any, record: Any, one_error: Callable[..., str], tmp_path: Path
    ) -> None:
        """A folder that is not there is one line."""
        record(shared_server, "cli-folder")
        words = ("api", "sessions", "export", "cli-folder", "--out", str(tmp_path / "none" / "x"))
        assert "none" in one_error(agentmark(*words, env=shared_server.env))


@contextmanager
def following(agentmark: Any, server: Any, *words: str) -> Iterator["subprocess.Popen[str]"]:
    """A command that follows; it is stopped by Ctrl-C, which is no failure and leaves no traceback."""
    command = agentmark.command("api", "sessions", "list", "--follow", *words)
    pipe = subprocess.PIPE
    env = agentmark.env | server.env
    with subprocess.Popen(command, env=env, stdout=pipe, stderr=pipe, text=True, cwd=agentmark.folder) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=10)
        assert process.returncode == 0, said
        assert "Traceback" not in said


def lines(process: "subprocess.Popen[str]", number: int) -> list[dict[str, Any]]:
    assert process.stdout
    return [json.loads(process.stdout.readline()) for _ in range(number)]


class TestFollow:
    def test_in_a_pipe(self, server: Any, agentmark: Any, record: Any) -> None:
        """The sessions that are there come first, then each that changes, as a JSON object on a line."""
        record(server, "first")
        with following(agentmark, server) as process:
            assert [one["id"] for one in lines(process, 1)] == ["first"]
            record(server, "second")
            [session] = lines(process, 1)
            assert (session["id"], session["trace_count"]) == ("second", 1)
            httpx2.patch(f"{server.url}/v1/sessions/first", json={"name": "Named"})
            assert lines(process, 1)[0]["name"] == "Named"
            httpx2.delete(f"{server.url}/v1/sessions/first")
            assert lines(process, 1) == [{"id": "first", "deleted": True}]

    def test_filters(self, server: Any, agentmark: Any, record: Any) -> None:
        """Only sessions that fit the filters are shown."""
        record(server, "warm-up", **{"agentmark.session_name": "billing"})
        with following(agentmark, server, "--name", "BILL") as process:
            assert lines(process, 1)[0]["id"] == "warm-up"
            record(server, "other")
            record(server, "fits", **{"agentmark.session_name": "Billing"})
            assert lines(process, 1)[0]["id"] == "fits"

    def test_lines_for_people(self, server: Any, agentmark: Any, record: Any) -> None:
        """With --output table each change is a line of text, without what would steer a terminal."""
        with following(agentmark, server, "--output", "table") as process:
            time.sleep(3)  # until it follows
            record(server, "shown", **{"agentmark.session_name": "red \x1b[31m"})
            assert process.stdout
            line = process.stdout.readline()
        assert "shown" in line
        assert "1 traces" in line
        assert "\x1b" not in line

    def test_after_a_restart(self, launch: Callable[..., Any], agentmark: Any, record: Any) -> None:
        """When the server goes and comes back, what changed meanwhile is shown."""
        first = launch()
        record(first, "before")
        with following(agentmark, first) as process:
            lines(process, 1)
            ports = [int(url.rsplit(":", 1)[1]) for url in (first.url, first.page_url)]
            first.stop()
            again = launch(api_port=ports[0], app_port=ports[1])
            record(again, "meanwhile")
            assert lines(process, 1)[0]["id"] == "meanwhile"

    def test_no_server(self, agentmark: Any, one_error: Callable[..., str]) -> None:
        """Where nothing answers to begin with, it is one line."""
        done = agentmark("api", "sessions", "list", "--follow", env={"AGENTMARK_API_PORT": "1"})
        assert "nothing answers" in one_error(done)

    def test_from_a_page(self, agentmark: Any, one_error: Callable[..., str]) -> None:
        """--follow cannot begin in the middle of the list."""
        assert "--offset" in one_error(agentmark("api", "sessions", "list", "--follow", "--offset", "3"))
