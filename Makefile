# Two commands: `make dev` runs the product, `make test`s it. Both set up what they need in .venv first.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: dev test lint types imports format bench openapi lock clean

dev: .venv/ready
	$(BIN)/agentmark dev $(ARGS)

test: .venv/ready lint types imports
	$(BIN)/python -m pytest $(ARGS)

lint: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/ready
	$(BIN)/mypy

imports: .venv/ready
	$(BIN)/lint-imports

format: .venv/ready
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# How fast it is here; benchmarks/README.md says how to read it.
bench: .venv/ready
	$(BIN)/python -m pip install --quiet --group bench
	$(BIN)/python benchmarks/ingest.py $(ARGS)

# The committed description of the API; a test compares it with what the server says.
openapi: .venv/ready
	$(BIN)/python -m agentmark_server.openapi > openapi.json

# The versions that development and CI use. Users get what pyproject.toml allows.
lock:
	rm -rf .venv
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[server,pydantic-ai]' --group dev
	$(BIN)/python -m pip freeze --exclude-editable --exclude pip > constraints.txt

clean:
	rm -rf .venv dist .mypy_cache .ruff_cache .pytest_cache .hypothesis

.venv/ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "agentmark needs Python 3.11 or newer: make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv .venv || { echo "On Debian and Ubuntu, install python3-venv first."; exit 1; }
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[server,pydantic-ai]' --group dev --constraint constraints.txt
	@touch $@
