# Everything a person does here is one word. Python 3.11 or newer and make are all it needs.

PYTHON ?=
ARGS ?=
BIN := .venv/bin
SHELL := /bin/sh

.DEFAULT_GOAL := help
.PHONY: help run test check coverage chaos accuracy bench fmt lock prices matrix clean

help: ## print this list
	@echo "Trunkline: one trunk line to every LLM"
	@echo
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' Makefile
	@echo
	@echo '  Arguments pass through: make run ARGS="--config trunkline.yaml", make test ARGS="-k keys"'

run: .venv/.runtime ## install what it needs and serve on 127.0.0.1:4000
	@exec $(BIN)/trunkline serve $(ARGS)

test: .venv/.dev ## install what it needs and run the tests
	@exec $(BIN)/python -m pytest -n 2 --dist loadfile $(ARGS)

check: .venv/.dev ## format, lint, types, walls, sizes, mirrors, dependencies
	@exec $(BIN)/python scripts/check.py

coverage: .venv/.dev ## run the tests and report which lines they reach
	@rm -f .coverage .coverage.*
	@$(BIN)/coverage run -m pytest -n 2 --dist loadfile $(ARGS)
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report
	@$(BIN)/coverage report --fail-under=100 --include='src/trunkline/canon/*,src/trunkline/dialects/*,src/trunkline/routing/*,src/trunkline/policy/*,src/trunkline/transforms/*' >/dev/null \
	  || { echo "coverage: the pure rooms (canon, dialects, routing, policy, transforms) are below 100 %" >&2; exit 1; }

chaos: .venv/.dev ## ten minutes of random faults and clients by a seed, which it prints
	@cd tests && exec ../$(BIN)/python -m chaos.run $(ARGS)

accuracy: .venv/.dev ## ten thousand requests of every kind, and whether the books say what was served
	@cd tests && exec ../$(BIN)/python -m accuracy.run $(ARGS)

bench: .venv/.dev ## measure cost and latency on this machine
	@exec $(BIN)/python bench/run.py $(ARGS)

fmt: .venv/.dev ## format and mend what can be mended
	@$(BIN)/ruff check --fix --quiet . ; exec $(BIN)/ruff format .

lock: .venv/.dev ## resolve the dependencies anew and write locks/
	@exec scripts/lock

prices: .venv/.dev ## compile the bundled price list anew
	@exec $(BIN)/python scripts/build_prices.py $(ARGS)

matrix: .venv/.dev ## write the conformance matrix anew
	@exec $(BIN)/python scripts/build_matrix.py

clean: ## remove the environment and what the tools cached
	rm -rf .venv .mypy_cache src/.mypy_cache tests/.mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage .coverage.* dist build tests/real/clients/node_modules

# The stamps: an environment is made once and again only when a lock or the project's own description changes.
.venv/.runtime: locks/runtime.txt locks/build.txt pyproject.toml scripts/install
	@PYTHON="$(PYTHON)" scripts/install runtime

.venv/.dev: locks/runtime.txt locks/build.txt locks/dev.txt pyproject.toml scripts/install
	@PYTHON="$(PYTHON)" scripts/install dev
