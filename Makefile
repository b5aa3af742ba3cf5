# Two commands are enough: `make run` starts the service, `make test` checks everything.

.DEFAULT_GOAL := help
.PHONY: help venv run test test-browser screenshots lint fmt bench lock clean
SHELL := /bin/sh

BIN := .venv/bin
STAMP := .venv/.made
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_NO_INPUT := 1

# The first Python on the PATH that the project supports; `make run PYTHON=/path/to/python` chooses another.
PYTHON = $(shell for p in python3.11 python3.12 python3.13 python3; do \
  $$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null && echo $$p && break; done)

# An environment knows its own path: one that was copied or moved here is made anew.
$(shell [ "$$(cat $(STAMP) 2>/dev/null)" = "$$(pwd)" ] || rm -f $(STAMP))

help: ## say what there is
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 14

venv: $(STAMP) ## build .venv, the environment of everything below
$(STAMP): pyproject.toml requirements.lock
	@test -n "$(PYTHON)" || { echo "make: no Python 3.11 to 3.13 found; install one, or name it: make PYTHON=..." >&2; exit 1; }
	@test -e $@ || $(PYTHON) -m venv --clear .venv
	@echo "Installing what requirements.lock lists into .venv ..."
	@$(BIN)/python -m pip install -qq --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install -qq --no-deps --no-build-isolation -e .
	@pwd > $@

run: $(STAMP) ## start the whole service on this machine; Ctrl-C stops it
	@exec $(BIN)/itp up

test: lint ## lint, types, import direction and every test; PYTEST_ARGS="-k windows" narrows the tests
	$(BIN)/python -m pytest -n 2 --dist loadgroup --no-loadscope-reorder $(PYTEST_ARGS)

test-browser: $(STAMP) ## the forms and pages in a headless Chromium; needs chromium and chromedriver
	ITP_TEST_BROWSER=1 $(BIN)/python -m pytest tests/browser $(PYTEST_ARGS)

screenshots: $(STAMP) ## take the screenshots in docs/ anew; needs chromium and chromedriver
	$(BIN)/python -m tests.browser.screenshots

lint: $(STAMP) ## lint, types and import direction alone
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

fmt: $(STAMP) ## format the code and mend what ruff can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(STAMP) ## measure what wakes, doors, the board and commands cost, beside Prefect's own way of running flows
	$(BIN)/python -m bench
	$(BIN)/python -m bench.doors
	$(BIN)/python -m bench.board
	$(BIN)/python -m bench.commands

lock: ## choose the versions anew (needs uv); UPGRADE=--upgrade moves them all
	uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 --quiet $(UPGRADE) \
	  --generate-hashes --no-emit-index-url --no-header --output-file requirements.lock

clean: ## remove .venv, caches and build products, never study data
	rm -rf .venv build dist .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
