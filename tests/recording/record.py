"""Record what published libraries emit: `python tests/recording/record.py [NAME...]` (see README.md).

A program's header says what it needs and which recordings it makes:

    # requires: openai==3.54.0 langfuse==5.0.4          (for all of its recordings)
    # record: NAME [package==version ...] [KEY=VALUE ...]  (its own packages, and its environment)
    # ... more of the same line
"""

import argparse
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from collector import Collector
from model_server import ModelServer

HERE = Path(__file__).resolve().parent
PROGRAMS = HERE / "programs"
OUT = HERE.parent / "server" / "conventions"
NOWHERE = "http://127.0.0.1:9"  # the proxy for all that is not on loopback: nothing leaves this machine
MAX_BYTES = 400_000
# What says which machine it was, by the attribute's key.
NEUTRAL = {
    "host.name": "host",
    "host.id": "00000000000000000000000000000000",
    "host.ip": "127.0.0.1",
    "os.version": "6.1",
    "process.owner": "user",
    "process.runtime.description": "CPython",
    "server.hostname": "host",
}


@dataclass(frozen=True)
class Recording:
    """One recording of a program: its packages and its environment."""

    name: str
    program: Path
    packages: list[str]
    env: dict[str, str]

    @property
    def is_node(self) -> bool:
        """Whether it runs on Node."""
        return self.program.suffix == ".mjs"


def read_header(program: Path) -> list[Recording]:
    """The recordings that a program's header names."""
    lines = [line for line in program.read_text().splitlines() if line.startswith(("#", "//"))]
    head = "\n".join(line.lstrip("#/ ") for line in lines).replace("\n...", "").splitlines()
    common = [word for line in head if line.startswith("requires: ") for word in line.split()[1:]]
    found = []
    for line in head:
        if not line.startswith("record: "):
            continue
        name, *words = line.split()[1:]
        env = [word for word in words if re.match(r"[A-Z][A-Z0-9_]*=", word)]
        packages = common + [word for word in words if word not in env]
        found.append(Recording(name, program, packages, dict(word.split("=", 1) for word in env)))
    return found


def install(recording: Recording, folder: Path) -> list[str]:
    """Make the program's environment in the folder; gives the command that runs it there."""
    wanted = folder / "packages.txt"
    if folder.exists() and not (wanted.exists() and wanted.read_text().split() == recording.packages):
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(recording.program, folder)
    for helper in PROGRAMS.glob(f"*{recording.program.suffix}"):
        if not read_header(helper):
            shutil.copy(helper, folder)
    if recording.is_node:
        if not (folder / "node_modules").exists():
            (folder / "package.json").write_text('{"type": "module", "private": true}')
            quiet(["npm", "install", "--no-audit", "--no-fund", "--loglevel=error", *recording.packages], folder)
            wanted.write_text("\n".join(recording.packages))
        return ["node", recording.program.name]
    python = folder / "venv" / "bin" / "python"
    if not python.exists():
        if uv := shutil.which("uv"):
            quiet([uv, "venv", "-q", "--python", sys.executable, str(folder / "venv")], folder)
            quiet([uv, "pip", "install", "-q", "--python", str(python), *recording.packages], folder)
        else:
            quiet([sys.executable, "-m", "venv", str(folder / "venv")], folder)
            quiet([str(python), "-m", "pip", "install", "-q", *recording.packages], folder)
        wanted.write_text("\n".join(recording.packages))
    return [str(python), recording.program.name]


def quiet(command: list[str], folder: Path) -> None:
    """Run an installer; its output is shown only when it fails."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command[:4])} failed:\n{done.stdout[-2000:]}{done.stderr[-4000:]}")


def versions(recording: Recording, folder: Path) -> dict[str, str]:
    """The versions of the packages that it asked for, and of what instruments and exports."""
    asked = {re.split(r"[\[=]|(?<=.)@", package)[0].lower() for package in recording.packages}
    if recording.is_node:
        found = {
            str(path.parent.relative_to(folder / "node_modules")): json.loads(path.read_text()).get("version", "")
            for pattern in ("*/package.json", "@*/*/package.json")
            for path in (folder / "node_modules").glob(pattern)
        }
    else:
        info = (folder / "venv").glob("lib/python*/site-packages/*.dist-info")
        pairs = [path.name.removesuffix(".dist-info").split("-", 1) for path in info]
        found = {name.lower().replace("_", "-"): version for name, version in pairs}
    kept = (
        "opentelemetry-sdk",
        "opentelemetry-util-genai",
        "opentelemetry-instrumentation-openai",
        "openinference-",
    )
    return {name: found[name] for name in sorted(found) if name in asked or name.startswith(kept)}


def environment(recording: Recording, folder: Path, models: ModelServer, collector: Collector) -> dict[str, str]:
    """A clean environment that leads to the model server and the collector, and nowhere else."""
    base = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "USER": "user",
        "LOGNAME": "user",
        "LANG": "C.UTF-8",
        "PYTHONUNBUFFERED": "1",
        "DO_NOT_TRACK": "1",
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
        "MODEL_URL": models.url,
        "OPENAI_BASE_URL": f"{models.url}/v1",
        "OPENAI_API_KEY": "no-key",
        "ANTHROPIC_BASE_URL": models.url,
        "ANTHROPIC_API_KEY": "no-key",
        "COLLECTOR_URL": collector.url,
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_SERVICE_NAME": "order-desk",
    }
    base |= dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), NOWHERE)
    filled = {k: v.replace("$COLLECTOR", collector.url) for k, v in recording.env.items()}
    return base | filled


def scrub(text: str, folder: Path, ports: dict[str, str]) -> str:
    """The text without this machine's paths, names and ports."""
    words = {
        str(folder.resolve()): "/app",
        str(folder): "/app",
        sys.base_prefix: "/usr",
        sys.prefix: "/usr",
        str(Path.home()): "/home/user",
        socket.gethostname(): "host",
        **ports,
    }
    node = shutil.which("node")
    if node:
        words[str(Path(node).resolve().parent.parent)] = "/usr"
    for word in sorted(filter(lambda w: len(w) > 4, words), key=len, reverse=True):
        text = text.replace(word, words[word])
    for key, value in NEUTRAL.items():
        text = re.sub(
            rf'("key": "{re.escape(key)}",\s*"value": {{\s*"stringValue": )"[^"]*"', rf'\1"{value}"', text
        )
    return text


def settle(collector: Collector) -> None:
    """Wait until nothing more arrives."""
    seen = -1
    while seen != len(collector.received):
        seen = len(collector.received)
        time.sleep(0.3)


def scopes(requests: list[dict[str, Any]]) -> list[str]:
    """The names of all instrumentation scopes that sent spans."""
    return sorted(
        {
            part.get("scope", {}).get("name", "")
            for request in requests
            for resource in request.get("resourceSpans", [])
            for part in resource.get("scopeSpans", [])
        }
    )


def record(recording: Recording, folder: Path, *, verbose: bool) -> str:
    """Run the program once and write its recording; gives one line about it."""
    command = install(recording, folder)
    models, collector = ModelServer(), Collector()
    env = environment(recording, folder, models, collector)
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=240, check=False)
    settle(collector)
    if verbose or done.returncode:
        sys.stderr.write(done.stdout[-3000:] + done.stderr[-6000:])
    if done.returncode:
        raise SystemExit(f"{recording.name}: the program ended with {done.returncode}")
    turns = [json.loads(line[5:]) for line in done.stdout.splitlines() if line.startswith("TURN ")]
    requests = [got.as_json() for got in collector.received if got.signal == "traces"]
    logs = [got.as_json() for got in collector.received if got.signal == "logs"]
    whole = {
        "name": recording.name,
        "packages": versions(recording, folder),
        "scope_names": scopes(requests),
        "paths": sorted({got.path for got in collector.received if got.signal in ("traces", "logs")}),
        "requests": requests,
        "logs": logs,
        "truth": {"turns": turns, "calls": models.ledger},
    }
    ports = {
        f'"{models.server_port}"': '"8001"',
        f'"{collector.server_port}"': '"4318"',
        f"127.0.0.1:{models.server_port}": "127.0.0.1:8001",
        f"127.0.0.1:{collector.server_port}": "127.0.0.1:4318",
    }
    text = scrub(json.dumps(whole, indent=1, ensure_ascii=False), folder, ports) + "\n"
    if len(text) > MAX_BYTES:
        raise SystemExit(f"{recording.name}: {len(text)} characters are too many")
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / f"{recording.name}.json").write_text(text)
    models.shutdown()
    collector.shutdown()
    spans = text.count('"startTimeUnixNano"')
    other = sorted({got.path for got in collector.received if got.signal not in ("traces", "logs")})
    return (
        f"{recording.name}: {spans} spans, {len(logs)} log requests, {len(turns)} turns, "
        f"{len(models.ledger)} calls, {len(text) // 1000} kB {other or ''}"
    )


def main() -> None:
    """Record the named recordings, or all."""
    parser = argparse.ArgumentParser(description="Record what published libraries emit.")
    parser.add_argument("names", nargs="*", help="recordings or programs; none: all")
    parser.add_argument("--work", type=Path, help="keep the environments here, and use those that are there")
    parser.add_argument("--verbose", action="store_true", help="show what the program writes")
    given = parser.parse_args()
    every = [r for path in sorted(PROGRAMS.glob("*.*")) if path.is_file() for r in read_header(path)]
    names, programs = {r.name for r in every}, {r.program.stem for r in every}
    whole = set(given.names) - names  # a program's name stands for all of its recordings
    chosen = [r for r in every if not given.names or r.name in given.names or r.program.stem in whole]
    unknown = whole - programs
    if unknown:
        raise SystemExit(
            f"no such recording: {', '.join(sorted(unknown))}; there are {', '.join(r.name for r in every)}"
        )
    for recording in chosen:
        with tempfile.TemporaryDirectory(prefix="recording-") as made:
            folder = given.work / recording.name if given.work else Path(made)
            line = record(recording, folder.resolve(), verbose=given.verbose)
        sys.stdout.write(line + "\n")


if __name__ == "__main__":
    main()
