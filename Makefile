# make run · make study · make test · make lint: each sets up what it needs, nothing before it. `make` alone explains.
.DEFAULT_GOAL := help
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null && echo $$p && break; done)
# Processes that share the tests out; a few tests named in ARGS run in this one.
JOBS ?= $(if $(ARGS),0,3)
VENV := .venv
BIN := $(VENV)/bin
# pip's output, reduced to one short line per package; its warnings are about this machine's pip, its errors are ours.
PIP := $(BIN)/python -m pip install --disable-pip-version-check --no-input --progress-bar off
PIP_SHOW := 2>&1 | awk '/^Collecting|^Processing|Downloading .* MB|^Installing collected/ \
	{ sub(/^ +/, ""); sub(/ \(from.*|: .*|-cp[0-9].*whl/, ""); sub(/\/.*\//, ""); print "  " substr($$0, 1, 90); fflush() } \
	/^ERROR|^ *error|No space left/ { print; fflush() }'


.PHONY: help run study test faults bench fuzz lint scan viewer

help: ## What can be made
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-6s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(VENV)/$(if $(EDGE),.edge,.runtime) ## Start the whole site on port 8000 (PORT=9000: on another; EDGE=1: without TensorFlow); Ctrl-C stops it
	@exec $(BIN)/python manage.py up

study: $(VENV)/.train ## Make the commands of the model study ready, and list them
	@$(BIN)/python -m mlcore --help

test: $(VENV)/.dev ## Run every test
	@mkdir -p var/tmp
	@# pytest closes its folder in the system's temporary one to other accounts whenever it starts, and a database that
	@# runs there under an account of its own then ends: each checkout has a folder of its own.
	@PYTEST_DEBUG_TEMPROOT=var/tmp $(BIN)/python -m pytest -n $(JOBS) --dist loadscope --no-loadscope-reorder --durations=15 --junitxml=var/junit.xml $(ARGS)

faults: $(VENV)/.dev ## Kill, freeze, fill and damage a site of its own, and count what is lost (ARGS=--help explains)
	@$(BIN)/python -m tests.faults $(ARGS)

bench: $(VENV)/.dev ## Measure engines, site, lists, queue, memory and training side by side (ARGS=--help explains)
	@$(BIN)/python -m bench $(ARGS)

FUZZ_MINUTES ?= 10
fuzz: $(VENV)/.dev ## Odd requests against the API, broken films against the decoder in two ways (FUZZ_MINUTES=60: an hour each)
	@FUZZ_SECONDS=$$(( $(FUZZ_MINUTES) * 60 )) $(BIN)/python -m pytest tests/fuzz/test_api.py -q
	@$(BIN)/python -m tests.fuzz.decode_hypothesis --minutes $(FUZZ_MINUTES)
	@$(BIN)/python -m tests.fuzz.decode_atheris --minutes $(FUZZ_MINUTES)

lint: $(VENV)/.dev ## Check style, templates, types and migrations
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/djlint --quiet --lint templates
	@$(BIN)/mypy
	@$(BIN)/python manage.py makemigrations --check --dry-run
	@LOG_LEVEL=WARNING DJANGO_SETTINGS_MODULE=cxrsite.settings.test $(BIN)/python manage.py lintmigrations --quiet ok ignore

viewer: ## Build the viewer's script from frontend/ into static/viewer (needs Node 20.19 or newer)
	@cd frontend && npm ci --ignore-scripts --no-audit --no-fund --silent && npm run build --silent

scan: $(VENV)/.dev ## Look for bad habits, secrets and known holes; write the bill of materials to var/sbom.json
	@$(BIN)/python .ci/scan

$(VENV)/bin/python:
	@if [ -z "$(PYTHON)" ]; then \
		echo "Python 3.11, 3.12 or 3.13 is needed and none was found. Install one, or name it: make run PYTHON=/path/to/python3.11"; \
		exit 1; fi
	@echo "Making the virtual environment .venv with $$($(PYTHON) --version) ..."
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo "Python could not make a virtual environment. On Debian or Ubuntu: apt install python3-venv"; exit 1; }

$(VENV)/.edge: requirements-edge.txt | $(VENV)/bin/python
	@echo "Installing packages (a few minutes, once) ..."
	@$(PIP) -r requirements-edge.txt $(PIP_SHOW)
	@touch $@

$(VENV)/.runtime: requirements.txt requirements-edge.txt | $(VENV)/bin/python
	@echo "Installing packages (about 1 GB, a few minutes, once) ..."
	@$(PIP) -r requirements.txt $(PIP_SHOW)
	@touch $@

$(VENV)/.train: requirements-train.txt $(VENV)/.runtime
	@echo "Installing what training and comparing need ..."
	@$(PIP) -r requirements-train.txt $(PIP_SHOW)
	@touch $@

$(VENV)/.dev: requirements-dev.txt $(VENV)/.train
	@echo "Installing the tools for tests and checks ..."
	@$(PIP) -r requirements-dev.txt $(PIP_SHOW)
	@touch $@
