"""All of the adapter's tests hold with the last 1.x of pydantic-ai too."""

import os
import re
import subprocess
import sys
import venv
from pathlib import Path

import pytest
from pydantic_ai import __version__

ROOT = Path(__file__).parents[2]
VERSION = "1.107.10"
NEWER_HERE = ("genai-prices", "pydantic-ai-slim", "pydantic-graph")
"""What 1.x wants older than it is in our own environment."""

pytestmark = pytest.mark.skipif(__version__.startswith("1."), reason="this is it")


@pytest.fixture(scope="session")
def python(pytestconfig: pytest.Config) -> Path:
    """Python of an environment with this checkout and the real 1.x, made once and kept with pytest's cache."""
    cache = pytestconfig.cache
    assert cache
    environment = cache.mkdir(f"pydantic-ai-{VERSION}") / "env"
    python = environment / ("Scripts" if os.name == "nt" else "bin") / "python"
    done = environment / "ready"
    wanted = (ROOT / "constraints.txt").read_text()
    if not done.exists() or done.read_text() != wanted:
        venv.create(environment, with_pip=True, clear=True)
        held = environment / "constraints.txt"
        held.write_text("".join(line + "\n" for line in wanted.splitlines() if not line.startswith(NEWER_HERE)))
        pip = [python, "-m", "pip", "install", "--quiet", "--no-compile", "--disable-pip-version-check"]
        packages = [f"{ROOT}[pydantic-ai]", f"pydantic-ai-slim=={VERSION}", "pytest", "pytest-asyncio", "httpx2"]
        subprocess.run([*pip, "--constraint", held, "--editable", *packages], check=True, capture_output=True)
        done.write_text(wanted)
    return python


def test_with_the_last_1_x(python: Path) -> None:
    """The same tests, against the same server, in an environment with real packages of 1.x."""
    env = {**os.environ, "SERVER_PYTHON": sys.executable}
    command = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/adapter"]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"\b[3-9]\d passed, 1 skipped", done.stdout), done.stdout
