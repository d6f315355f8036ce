# Every target sets up its requirements: a virtual environment from the lock, and the servers of the local stack.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help demo test test-fast test-fuzz test-browser picture faults benchmarks check docs format dist lock clean

help: ## Show these targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1	/'

# The SDK and the pipeline are two distributions; the former distribution `tracelink` had both.
$(STAMP): requirements-dev.lock pyproject.toml tracelink/pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "tracelink needs Python 3.11 or newer; choose one with: make PYTHON=python3.12 …")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	$(BIN)/pip uninstall --quiet --quiet --disable-pip-version-check --yes tracelink
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable ./tracelink --editable .
	@touch $@

demo: $(STAMP) ## Run the whole pipeline with a small shop in which requests sometimes fail (ARGS=--once for a bounded run)
	$(BIN)/tracelink demo $(ARGS)

# Python and pytest keep what they compile, also where an image tells them not to: each test process would do it again.
test test-fast test-fuzz test-browser: export PYTHONDONTWRITEBYTECODE =

test: $(STAMP) ## Run all tests against real servers, in five processes (ARGS=… to pass other arguments to pytest)
	$(BIN)/pytest $(or $(ARGS),--hypothesis-profile ci --numprocesses 5 --dist worksteal)

test-fast: $(STAMP) ## Run the tests that need no servers, within a minute
	$(BIN)/pytest -m "not servers" --numprocesses 3 --dist worksteal

test-fuzz: $(STAMP) ## Fuzz what decodes requests, for a minute (ARGS="--seconds 3600", ARGS=lines)
	$(BIN)/python -m tests.fuzz $(ARGS)

test-browser: $(STAMP) ## Test the page in Chromium, for about two minutes (ARGS=… to pass other arguments to pytest)
	$(BIN)/pytest tests/browser $(ARGS)

picture: $(STAMP) ## Take the picture docs/page.png of the page, in Chromium, from the demo's shop
	$(BIN)/python -m tests.browser.picture

faults: $(STAMP) ## Run every fault at up to 20 seeds, for about an hour; resumes where it stopped (ARGS=… for fewer: --help)
	$(BIN)/python -m tests.faults.campaign $(ARGS)

benchmarks: $(STAMP) ## Measure against peers, on an idle machine (ARGS="join steady …", all by default)
	$(BIN)/python -m benchmarks $(or $(ARGS),all)

check: $(STAMP) ## Lint, format check, types, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(STAMP) ## Format, and apply ruff's automatic fixes
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(STAMP) ## Generate the pages of docs/ that come from the code
	$(BIN)/python -m docs.generate

# Each wheel is built from its sdist.
dist: $(STAMP) ## Build sdists and wheels of the SDK and of the pipeline into dist/
	rm -rf dist
	for source in tracelink .; do \
		$(BIN)/uv build --quiet --no-build-isolation --python $(BIN)/python --out-dir dist $$source || exit; \
	done

# Both locks come from one resolution, so that tested and shipped versions agree. The locks leave out our own SDK.
COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-header --no-annotate --no-emit-package tracelink-otel pyproject.toml

lock: $(STAMP) ## Resolve the dependencies again
	$(COMPILE) --upgrade --extra dev --output-file requirements-dev.lock
	$(COMPILE) --constraints requirements-dev.lock --output-file requirements.lock

clean: ## Delete the environment and the tools' caches (not the servers' cache: tracelink stack down --purge)
	rm -rf $(VENV) .faults .fuzz .benchmarks .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist
