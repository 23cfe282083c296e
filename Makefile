# notifier: `make` lists the targets. Everything is installed into .venv, pinned and hash-checked.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help install demo test thorough lint types contract check wheel samples clean

help: ## list the targets
	@awk -F':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(STAMP) ## make .venv with everything that demo and test need

$(STAMP): requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "notifier needs Python 3.11 or newer: make PYTHON=python3.12"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $(STAMP)

demo: $(STAMP) ## run the main job on the samples: exports in, notices out, proof verified
	$(BIN)/notifier demo

test: $(STAMP) ## run the tests (under five minutes on two cores)
	$(BIN)/python -m pytest -n 2 --dist worksteal

thorough: $(STAMP) ## run the long tests that `make test` leaves out
	$(BIN)/python -m pytest -n 2 --dist worksteal -m thorough

lint: $(STAMP) ## ruff: lint and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP) ## mypy, strict
	$(BIN)/mypy

contract: $(STAMP) ## the import contract: which room may call which
	$(BIN)/lint-imports

check: test thorough lint types contract ## all that .ci/run asks

wheel: $(STAMP) ## build the wheel into dist/
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir dist .

samples: $(STAMP) ## make data/samples again (same bytes: the seed is fixed)
	$(BIN)/notifier drill exports --insured 320 --professionals 40 --seed 2024 --unusable 4 --out data/samples

clean: ## remove what was built (not campaigns, not .venv)
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage htmlcov
