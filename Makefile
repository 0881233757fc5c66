# `make demo` and `make test` are all a newcomer needs; `make` alone lists the rest.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.DEFAULT_GOAL := help
.PHONY: help setup demo test chaos servers lint format clean .venv

BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
TORCH := 2.13.0
TORCH_CPU_INDEX := https://download.pytorch.org/whl/cpu
# arguments for pytest: make test ARGS="-k grammar"
ARGS :=

# the first of these that runs and is new and old enough
PYTHON ?= $(shell for python in python3.11 python3 python3.12 python3.13; do \
	$$python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null \
	&& echo $$python && break; done)

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile

setup: .venv/.stamp ## make .venv and install Gleaner into it

.venv/.stamp: pyproject.toml Makefile
	@$(PIP) --version >/dev/null 2>&1 || $(MAKE) --no-print-directory .venv
	# The plain wheel brings gigabytes of CUDA, which a machine without a GPU does not need. The CPU build is taken
	# from the configured index where that has one (a mirror, a wheel directory), else from PyTorch's own.
	if nvidia-smi -L >/dev/null 2>&1; then
		$(PIP) install torch==$(TORCH)
	elif $(PIP) install --quiet --dry-run --no-deps torch==$(TORCH)+cpu >/dev/null 2>&1; then
		$(PIP) install torch==$(TORCH)+cpu
	else
		$(PIP) install torch==$(TORCH)+cpu --index-url $(TORCH_CPU_INDEX) || {
			echo "No CPU build of torch $(TORCH) at $(TORCH_CPU_INDEX): name an index that has one, as in: make setup TORCH_CPU_INDEX=URL" >&2
			exit 1
		}
	fi
	$(PIP) install --editable '.[otel,parquet,plots,xlsx,dev]'
	touch $@

.venv:
	@python="$(PYTHON)"
	if [ -z "$$python" ]; then
		echo "Gleaner needs Python 3.11, 3.12 or 3.13: install one, or name it, as in: make setup PYTHON=/opt/python3.11/bin/python3" >&2
		exit 1
	fi
	# Debian ships Python without the means to make a virtual environment
	if ! "$$python" -c 'import ensurepip, venv' 2>/dev/null; then
		.ci/apt-install "$$("$$python" -c 'import sys; print("python3.%d-venv" % sys.version_info[1])')"
	fi
	"$$python" -m venv --clear .venv

demo: setup ## extract the bundled sample documents on the CPU and show the rows
	@$(BIN)/gleaner demo

test: setup servers ## run every test that needs no GPU, real PostgreSQL and Redis included
	@$(BIN)/python -m pytest $(ARGS)

# The tests start private servers from these binaries unless they are given the URL of one.
servers:
	@missing=()
	if [ -z "$${GLEANER_TEST_REDIS_URL-}" ] && ! command -v redis-server >/dev/null; then
		missing+=(redis-server)
	fi
	if [ -z "$${GLEANER_TEST_DATABASE_URL-}" ] && ! command -v initdb /usr/lib/postgresql/*/bin/initdb >/dev/null; then
		missing+=(postgresql)
	fi
	# without them their tests skip with the reason, or fail where CI=true
	[ $${#missing[@]} -eq 0 ] || .ci/apt-install "$${missing[@]}" || true

chaos: setup servers ## kill workers and crash servers for half an hour, then check the accounts
	@$(BIN)/python -m pytest tests/chaos -m slow -s --timeout 3600 $(ARGS)

lint: setup ## check style, formatting, types and the direction of imports
	@$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict
	$(BIN)/lint-imports

format: setup ## fix what ruff can fix
	@$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## remove what make made; rows under .gleaner stay
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis build dist
	find $(wildcard migrations pipelines schemas tests workers) -name __pycache__ -prune -exec rm -rf {} +
