# Two commands are enough: `make run` starts the service, `make test` checks everything.

.DEFAULT_GOAL := help
.PHONY: help venv run test test-browser screenshots lint fmt bench storm storm-cluster validation docs lock sbom clean
SHELL := /bin/sh

BIN := .venv/bin
# What the service needs is in .venv; what its tests need is there too. Each holds the place it was made at.
RUN := .venv/.made
DEV := .venv/.made-for-tests
DOCS := .venv/.made-for-docs
# Wheels alone, each by its hash: building one would fetch build tools that nobody has pinned.
INSTALL := install -qq --only-binary :all: --require-hashes
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_NO_INPUT := 1

# The first Python on the PATH that the project supports; `make run PYTHON=/path/to/python` chooses another.
PYTHON = $(shell for p in python3.11 python3.12 python3.13 python3; do \
  $$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null && echo $$p && break; done)

# An environment knows its own path: one that was copied or moved here is made anew.
$(shell [ "$$(cat $(RUN) 2>/dev/null)" = "$$(pwd)" ] || rm -f $(RUN) $(DEV) $(DOCS))

help: ## say what there is
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 14

venv: $(DEV) ## build .venv, the environment of everything below
$(RUN): pyproject.toml requirements.lock requirements-build.lock
	@test -n "$(PYTHON)" || { echo "make: no Python 3.11 to 3.13 found; install one, or name it: make PYTHON=..." >&2; exit 1; }
	@test -e $@ || $(PYTHON) -m venv --clear .venv
	@echo "Installing what requirements.lock lists into .venv ..."
	@$(BIN)/python -m pip $(INSTALL) -r requirements-build.lock
	@$(BIN)/python -m pip uninstall -qq -y setuptools
	@$(BIN)/python -m pip $(INSTALL) -r requirements.lock
	@$(BIN)/python -m pip install -qq --no-deps --no-build-isolation -e .
	@pwd > $@

$(DEV): $(RUN) requirements-dev.lock
	@echo "Installing what requirements-dev.lock lists besides ..."
	@$(BIN)/python -m pip $(INSTALL) -r requirements-dev.lock
	@pwd > $@

$(DOCS): $(RUN) requirements-docs.lock
	@echo "Installing what requirements-docs.lock lists besides ..."
	@$(BIN)/python -m pip $(INSTALL) -r requirements-docs.lock
	@pwd > $@

run: $(RUN) ## start the whole service on this machine; Ctrl-C stops it
	@exec $(BIN)/itp up

# Tests of services, storms and databases wait more than they work: two processes for each of two processors.
WORKERS = 4
test: lint ## lint, types, import direction and every test; PYTEST_ARGS="-k windows" narrows the tests
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup --no-loadscope-reorder $(PYTEST_ARGS)

test-browser: $(DEV) ## the forms and pages in a headless Chromium; needs chromium and chromedriver
	ITP_TEST_BROWSER=1 $(BIN)/python -m pytest tests/browser $(PYTEST_ARGS)

screenshots: $(DEV) ## take the screenshots in docs/ anew; needs chromium, chromedriver and a Chinese font
	$(BIN)/python -m tests.browser.screenshots
	$(BIN)/python -m tests.browser.pictures_of_pages

lint: $(DEV) ## lint, types and import direction alone
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --num-workers 2
	$(BIN)/lint-imports

fmt: $(DEV) ## format the code and mend what ruff can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(DEV) ## measure what wakes, doors, the board and commands cost, beside Prefect's own way of running flows
	$(BIN)/python -m bench
	$(BIN)/python -m bench.doors
	$(BIN)/python -m bench.chain
	$(BIN)/python -m bench.machines
	$(BIN)/python -m bench.at_nine
	$(BIN)/python -m bench.board
	$(BIN)/python -m bench.commands
	$(BIN)/python -m bench.pages

storm: $(DEV) ## break the real service at random for an hour, and judge what is left; STORM_ARGS="--minutes 480 --db pg"
	$(BIN)/python -m storm --minutes 60 $(STORM_ARGS)

storm-cluster: $(DEV) ## kill the parts of a cluster 500 times and cut them off 100 times; STORM_ARGS="--kills 50 --cuts 10"
	$(BIN)/python -m storm.cluster --kills 500 --cuts 100 --minutes 600 $(STORM_ARGS)

validation: $(DEV) ## run the tests and the qualification, and write the validation pack of this very run
	$(BIN)/python -m validation --workers $(WORKERS) $(VALIDATION_ARGS)

docs: $(DOCS) docs/architecture.svg ## build the documentation in build/docs, for a browser without the internet
	$(BIN)/zensical build --clean --strict

docs/architecture.svg: docs/architecture.dot
	$(BIN)/python .ci/picture.py $< $@

COMPILE = uv pip compile --universal --python-version 3.11 --quiet $(UPGRADE) --generate-hashes --no-emit-index-url --no-header
lock: ## choose the versions anew (needs uv); UPGRADE=--upgrade moves them all
	$(COMPILE) pyproject.toml --output-file requirements.lock
	$(COMPILE) pyproject.toml --extra dev --constraint requirements.lock --output-file requirements-dev.lock
	$(COMPILE) pyproject.toml --extra docs --constraint requirements-dev.lock --output-file requirements-docs.lock
	$(COMPILE) --group build --constraint requirements-dev.lock --output-file requirements-build.lock
	$(COMPILE) --group sbom --constraint requirements-dev.lock --output-file requirements-sbom.lock

SBOM := build/sbom
sbom: $(RUN) ## list what the service is made of, in build/sbom: a CycloneDX document, and a table of licences
	@rm -rf $(SBOM)
	@$(BIN)/python -m venv --without-pip $(SBOM)/environment
	@$(BIN)/python -m pip --python $(SBOM)/environment $(INSTALL) -r requirements.lock
	@$(BIN)/python -m venv --without-pip $(SBOM)/tools
	@$(BIN)/python -m pip --python $(SBOM)/tools $(INSTALL) -r requirements-sbom.lock
	@$(SBOM)/tools/bin/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible \
	  --output-file $(SBOM)/itp-visits.cdx.json $(SBOM)/environment
	@$(BIN)/python .ci/licences.py $(SBOM)/itp-visits.cdx.json > $(SBOM)/licences.md
	@rm -rf $(SBOM)/environment $(SBOM)/tools
	@ls $(SBOM)/*

clean: ## remove .venv, caches and build products, never study data
	rm -rf .venv .cache build dist .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
