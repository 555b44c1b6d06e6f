# Everything from a fresh clone needs Python 3.11 or newer with pip, and make. Nothing else.
#
#   make demo                 a city on this machine, with its pages to look at
#   make demo ARGS="--units 5"
#   make demo SPEECH=1        with speech turned into text and text into speech (0.6 GB more)
#   make test                 all tests (ARGS="tests/unit -k ecg" for some)
#   make check                what CI runs: format, lint, types, tests
#   make bench ARGS="ecg"     measure, compare, check what is promised
#   make lock                 pin the dependencies anew (UPGRADE=--upgrade for newer ones)
#   make clean                back to a fresh clone
#
# Python goes into .venv, pinned with hashes in .ci/*.lock; browser libraries into
# streams/static/vendor, pinned in package-lock.json. Stamps make the next start instant.

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input -q
ARGS ?=
UPGRADE ?=
PAGES := streams/vendor.py streams/static/package.json streams/static/package-lock.json streams/static/.npmrc

.PHONY: demo test check bench lock clean system
.DELETE_ON_ERROR:

demo: $(VENV)/.project $(if $(SPEECH),$(VENV)/.dev)
	@$(BIN)/forerun demo $(ARGS)

bench: $(VENV)/.dev $(VENV)/.project
	@$(BIN)/forerun bench $(ARGS)

test: $(VENV)/.dev $(VENV)/.project $(VENV)/.pages system
	$(BIN)/pytest -n logical --maxprocesses=4 --dist worksteal $(ARGS)

check: $(VENV)/.dev $(VENV)/.project $(VENV)/.pages
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	build/npm/node_modules/.bin/tsc --project tsconfig.json
	@$(MAKE) --no-print-directory test

# --- set-up -------------------------------------------------------------------------------

$(BIN)/python:
	@echo "Setting up .venv, once; this takes a few minutes ..."
	@.ci/venv $(VENV)

$(VENV)/.demo: .ci/demo.lock | $(BIN)/python
	@$(PIP) install --require-hashes -r $<
	@touch $@

# The project itself. Its build fetches the browser libraries with npm: the system's, or one
# from a wheel where the system has none.
$(VENV)/.project: pyproject.toml $(PAGES) $(VENV)/.demo
	@command -v npm >/dev/null || $(PIP) install --require-hashes -r .ci/npm.lock
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: .ci/dev.lock | $(VENV)/.demo
	@$(PIP) install --require-hashes -r $<
	@touch $@

# What tests and checks need besides: axe-core, typescript.
$(VENV)/.pages: $(PAGES) | $(VENV)/.project
	@$(BIN)/python -m streams.vendor --dev
	@touch $@

# Chromium, CJK fonts, gpsd, ip: installed where that is allowed, else named.
system:
	@.ci/system

# --- upkeep -------------------------------------------------------------------------------

COMPILE = $(BIN)/uv pip compile pyproject.toml --universal --generate-hashes --no-header \
	--no-emit-index-url --no-annotate -q -p 3.11 $(UPGRADE)

lock: $(VENV)/.project
	@$(BIN)/python -m uv --version >/dev/null 2>&1 || $(PIP) install uv
	$(COMPILE) --extra demo --extra bench --extra speech --extra dev --group build -o .ci/dev.lock
	$(COMPILE) --extra demo --group build -c .ci/dev.lock -o .ci/demo.lock
	$(BIN)/uv pip compile --group npm --universal --generate-hashes --no-header \
		--no-emit-index-url --no-annotate -q -p 3.11 $(UPGRADE) -o .ci/npm.lock
	$(BIN)/python -m streams.vendor --lock

clean:
	rm -rf $(VENV) build dist streams/static/vendor screenshots .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
