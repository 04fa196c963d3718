"""What README shows is run as it stands, in the order in which it stands."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

from conftest import RunningServer

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(python|sh)\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)
MAKE = "make dev"


def run(command: list[str], server: RunningServer, folder: Path) -> str:
    env = server.env | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(command, env=env, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return done.stdout


def curl(arguments: list[str], server: RunningServer) -> str:
    """Ask what a curl line asks: not every machine has curl."""
    [address] = arguments
    reply = httpx2.get(address.replace("http://localhost:9418", server.url))
    assert reply.status_code == 200, reply.text
    return reply.text


def run_line(line: str, server: RunningServer, folder: Path) -> str:
    program, *arguments = shlex.split(line, comments=True)
    return curl(arguments, server) if program == "curl" else run([program, *arguments], server, folder)


def test_every_example_runs(server: RunningServer, tmp_path: Path) -> None:
    """Each example of README runs without an error, and all of them together make the sessions they tell of."""
    ran = 0
    for language, block in BLOCKS:
        if language == "python":
            run([sys.executable, "-c", block.replace("http://localhost:9418", server.url)], server, tmp_path)
            ran += 1
        elif MAKE not in block:
            said = [run_line(line, server, tmp_path) for line in block.splitlines() if not line.startswith("#")]
            assert all('"data"' in answer for answer in said)
            ran += len(said)
    assert ran >= 10
    sessions = {session["name"] or session["id"]: session for session in server.get("/v1/sessions")["data"]}
    assert sessions["Customer Support Chat #12345"]["trace_count"] == 2
    assert sessions["Customer Support Chat #12345"]["user_id"] == "user-123"
    assert sessions["Invoices of November"]["trace_count"] == 2
    assert sessions["chat-1"]["trace_count"] == 1


def test_filters_find_what_they_say(server: RunningServer, tmp_path: Path) -> None:
    """The example of the first screen is found by the filters that README shows, with both of its traces."""
    first = next(block for language, block in BLOCKS if language == "python")
    run([sys.executable, "-c", first], server, tmp_path)
    [session] = server.get("/v1/sessions", name="support", userId="user-123")["data"]
    traces = server.get(f"/v1/sessions/{session['id']}")["data"]["traces"]
    assert [trace["name"] for trace in traces] == ["handle-greeting", "handle-follow-up"]
    assert (session["input_preview"], session["output_preview"]) == ("Hello!", "With orders, refunds and bills.")


LINKED = [
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "docs/filters.md",
    "docs/numbers.md",
    "docs/prompts.md",
    "docs/sessions.md",
]


@pytest.mark.parametrize("page", LINKED)
def test_links_lead_somewhere(page: str) -> None:
    """Every link from one of our pages to another has a page at its end."""
    text = (ROOT / page).read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", text):
        assert (ROOT / page).parent.joinpath(target).exists(), target


def test_make_targets_exist() -> None:
    """Every `make` target that a page names is in the Makefile."""
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    for page in LINKED:
        named = re.findall(r"^make ([a-z ]+)", (ROOT / page).read_text(encoding="utf-8"), flags=re.MULTILINE)
        for target in " ".join(named).split():
            assert target in targets, target
