"""What users install: the wheel, in an environment of its own."""

import os
import re
import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from conftest import clean_env

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the sdist, as an index would get it."""
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run([sys.executable, "-m", "build", "--outdir", folder, ROOT], check=True, capture_output=True)
    [built] = folder.glob("*.whl")
    return built


def install(folder: Path, requirement: str) -> Path:
    """The folder of the programs of a fresh environment with `requirement` in it."""
    venv.create(folder, with_pip=True)
    programs = folder / ("Scripts" if os.name == "nt" else "bin")
    pip = [programs / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--constraint", ROOT / "constraints.txt", requirement], check=True, capture_output=True)
    return programs


@pytest.fixture(scope="module")
def programs(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment with the server in it."""
    return install(tmp_path_factory.mktemp("server") / "env", f"{wheel}[server]")


@pytest.fixture
def port(programs: Path, tmp_path: Path) -> Iterator[str]:
    """The port of an installed `agentmark dev` that runs in an empty folder."""
    command = [programs / "agentmark", "dev", "--api-port", "0", "--app-port", "0"]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True, env=clean_env())
    assert process.stdout
    addresses = (re.search(r"http://127\.0\.0\.1:(\d+)", line) for line in process.stdout)
    yield next(found[1] for found in addresses if found)
    process.terminate()
    process.wait(timeout=15)
    process.stdout.close()


def test_installed(programs: Path, port: str, tmp_path: Path) -> None:
    """The installed wheel serves, records and lists a session, with nothing of this checkout."""
    env = clean_env() | {"AGENTMARK_API_PORT": port}
    record = "from agentmark_sdk import trace\nwith trace('a', session_id='from-the-wheel'): pass"
    subprocess.run([programs / "python", "-I", "-c", record], env=env, cwd=tmp_path, check=True)
    listed = subprocess.run(
        [programs / "agentmark", "api", "sessions", "list"], env=env, cwd=tmp_path, check=True, capture_output=True
    )
    assert b'"id":"from-the-wheel"' in listed.stdout
    assert (tmp_path / ".agentmark" / "agentmark.db").exists()
    page = httpx2.get(f"http://127.0.0.1:{port}/sessions")
    assert "/page/page.js" in page.text
    assert httpx2.get(f"http://127.0.0.1:{port}/page/page.js").status_code == 200


def test_sdk_alone(wheel: Path, tmp_path: Path) -> None:
    """Without an extra the SDK records, brings no server along, and the command says what is missing."""
    programs = install(tmp_path / "env", str(wheel))
    record = "from agentmark_sdk import trace\nwith trace('a', session_id='s') as ctx: print(ctx.trace_id)"
    recorded = subprocess.run(
        [programs / "python", "-I", "-c", record], capture_output=True, text=True, check=True, env=clean_env()
    )
    assert re.fullmatch(r"[0-9a-f]{32}\n", recorded.stdout)
    listed = subprocess.run([programs / "python", "-m", "pip", "list"], capture_output=True, text=True, check=True)
    assert not {"fastapi", "apsw", "typer"} & set(re.findall(r"^\S+", listed.stdout.lower(), flags=re.MULTILINE))
    command = subprocess.run([programs / "agentmark", "dev"], capture_output=True, text=True, check=False)
    assert command.returncode == 1
    assert "pip install 'agentmark[server]'" in command.stderr


def test_prompts_name_their_extra(programs: Path, tmp_path: Path) -> None:
    """Without the extra for prompts the packages are there, and the commands say which extra they need."""
    for package in ("agentmark_prompts", "agentmark_pydantic_ai_v0"):
        there = f"import importlib.util; assert importlib.util.find_spec('{package}')"
        subprocess.run([programs / "python", "-I", "-c", there], cwd=tmp_path, check=True)
    command = [programs / "agentmark", "run-prompt", "chat.prompt.mdx"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=clean_env(), check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "this command needs more: pip install 'agentmark[pydantic-ai]'\n"
    examined = subprocess.run(
        [programs / "agentmark", "doctor"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert examined.returncode == 1
    assert "not installed: jsonschema, pydantic_ai, referencing, yaml" in examined.stdout
