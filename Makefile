# Every target is safe to call first, and again.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.set-up

.DEFAULT_GOAL := help
.PHONY: help setup run test faults system fuzz soak audit docs figures lock clean

help: ## say what can be made
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## fill .venv from the hashed lock (the others call it)

$(STAMP): requirements/dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "make: $$($(PYTHON) --version) found, Python 3.11 or later expected; name one with make PYTHON=python3.12 ..."; exit 2; }
	@rm -f $(STAMP)
	@$(PYTHON) -m venv $(VENV)
	@echo "Setting up .venv: about 190 packages, one to three minutes ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r requirements/dev.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@echo "Compiling the feature engine: half a minute, once ..."
	@$(BIN)/python -m features.warming
	@touch $(STAMP)

run: setup ## the main job: real coupons and simulated scans, from raw tables to an answer over HTTP
	@$(BIN)/shepherd run

test: setup ## style, types, import direction, and every fast test
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/python -m pytest -n 2 --dist loadfile

faults: setup ## break what the service stands on, as often as was promised (over an hour): kills, stops, swaps, disks, clocks
	@SHEPHERD_TEST_LONG=1 $(BIN)/python -m pytest -q --log-cli-level=INFO -m faults

system: ## a browser, Chinese letters and a Redis server, without which some tests skip (Debian, as root)
	@.ci/system-packages

fuzz: setup ## ask the routes 20,000 questions that their description allows, and that it does not
	@SHEPHERD_FUZZ_CASES=20000 $(BIN)/python -m pytest -q tests/serving/whole/test_openapi_page.py

soak: setup ## load the service for ten minutes: its memory and its open files have to stay flat
	@$(BIN)/python -m benchmarks.soak

audit: ## hold every locked package against the public lists of known faults; fails where they cannot be asked
	@$(PYTHON) -m venv var/audit
	@var/audit/bin/python -m pip install --quiet --disable-pip-version-check pip-audit==2.10.1
	@var/audit/bin/pip-audit --strict --progress-spinner off --disable-pip --no-deps --require-hashes -r requirements/dev.lock

docs: setup ## write the generated pages of docs/ anew
	@$(BIN)/python -m docs.generate

figures: setup ## write the figures of both README pages anew from docs/figures/
	@$(BIN)/python -m docs.figures

lock: setup ## write the hashed locks anew from pyproject.toml
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header \
	  --extra dev --extra cluster pyproject.toml --output-file requirements/dev.lock
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header \
	  --extra serve pyproject.toml --output-file requirements/serve.lock

clean: ## remove what was set up and what runs wrote
	rm -rf $(VENV) var
