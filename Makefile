# The whole workflow in a handful of words; `make help` lists them.
SHELL := /bin/sh
PY := .venv/bin/python
.DEFAULT_GOAL := help
# Many tests wait for real processes; but those compute: on two cores 4, 5 and 6 testers took 265, 250 and 265 s.
TESTERS ?= 5
# What `make mutants` draws.
SEED ?= 1

.PHONY: help
help: ## list these commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: .venv/local.stamp ## two dozen prompts become pictures in a bucket (no key, no Docker, no cost)
	@$(PY) -P -m darkroom demo $(ARGS)

.PHONY: test
test: .venv/dev.stamp ## everything, against real services
	@$(PY) -m pytest -n $(TESTERS) --dist worksteal $(ARGS)

.PHONY: chaos
chaos: .venv/dev.stamp ## every fault of the matrix under load, every job and paid call counted (an hour)
	@$(PY) -m chaos $(ARGS)

.PHONY: bench
bench: .venv/dev.stamp ## what an image costs and how many calls a process holds, beside other queues (minutes)
	@$(PY) -m benchmarks $(ARGS)

.PHONY: mutants
mutants: .venv/dev.stamp .venv-mutants/mutants.stamp ## plant bugs in the core and list those that no test notices (long)
	@.venv-mutants/bin/python -m mutants --seed $(SEED) $(ARGS)

.PHONY: check
check: .venv/dev.stamp ## lint, types, imports between packages, formatting, words
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	.venv/bin/python -c 'from importlinter.cli import lint_imports_command as run; run()'
	$(PY) -m wording

.PHONY: format
format: .venv/dev.stamp ## let ruff put the code in order
	$(PY) -m ruff check --fix-only .
	$(PY) -m ruff format .

.PHONY: lock
lock: ## pin every dependency again, with hashes (needs uv on the PATH)
	sh requirements/lock.sh

.PHONY: clean
clean: ## remove the environment, caches and the demo's data
	rm -rf .venv .venv-* .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage* dist darkroom-demo
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Each environment is a lock file installed with its hashes; a stamp newer than the lock means it is there already.
.venv/local.stamp: requirements/local.lock requirements/install.sh pyproject.toml
	@sh requirements/install.sh local

.venv/dev.stamp: requirements/dev.lock requirements/install.sh pyproject.toml
	@sh requirements/install.sh dev

.venv-mutants/mutants.stamp: requirements/mutants.lock requirements/install.sh
	@sh requirements/install.sh mutants
