# Every target makes its environment first; `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
# Material for MkDocs prints a notice about its future at every build; it is no warning about these pages.
export NO_MKDOCS_2_WARNING := 1
MAKEFLAGS += --no-print-directory
# Two installations into one environment at the same time would break it.
.NOTPARALLEL:
.PHONY: help demo test test-fast lint audit bench docs serve-docs replicate constraints mutate clean

PYTHON := .venv/bin/python
# As many tests at a time as there are cores; a file's tests stay together as long as there are others.
PARALLEL := -n auto --dist worksteal
# A stamp holds for one place and one content of these files, whatever their dates say.
KEY := $(shell { pwd; cat pyproject.toml constraints.txt; } | sha256sum | cut -c1-16)
TEST := .venv/.ready-test-$(KEY)
LINT := .venv/.ready-lint-$(KEY)
DOCS := .venv/.ready-docs-$(KEY)
BENCH := .venv/.ready-bench-$(KEY)

help: ## List the targets
	@sed -nE 's/^([a-z-]+):.*## (.*)$$/\1|\2/p' $(MAKEFILE_LIST) \
	  | while IFS='|' read -r name text; do printf '  make %-12s %s\n' "$$name" "$$text"; done

demo: $(TEST) ## Simulate the worked example and write its report to build/demo
	@echo "Running the demonstration ..."
	@rm -rf build/demo
	@.venv/bin/euthymia demo --out build/demo
	@find build/demo -name '*.html' | sort | sed 's|^|The report lies at |'

test: $(TEST) ## Run the whole test suite
	@$(PYTHON) -m pytest $(PARALLEL)

test-fast: $(TEST) ## Run the tests that are quick and need no browser
	@$(PYTHON) -m pytest $(PARALLEL) -m "not slow and not browser"

lint: $(LINT) ## Check style, types, import levels, spelling, security and stray paths
	@echo "ruff ..."
	@.venv/bin/ruff check --quiet .
	@.venv/bin/ruff format --quiet --diff .
	@echo "basedpyright ..."
	@.venv/bin/basedpyright
	@echo "import-linter ..."
	@.venv/bin/lint-imports --no-logo
	@echo "codespell ..."
	@.venv/bin/codespell
	@echo "bandit ..."
	@.venv/bin/bandit -q -r src -ll
	@echo "repository ..."
	@$(PYTHON) tools/check_repository.py

mutate: $(TEST) ## Mutate the clock, checks, gate, readiness and stock of care, and count what tests notice
	@.venv/bin/pip install --quiet -c constraints.txt -e '.[mutate]'
	@$(PYTHON) tools/mutate.py

audit: $(LINT) ## Check what the clinic's record stands on, and list it in docs/care/components.md
	@$(PYTHON) tools/audit.py

bench: $(BENCH) ## Run every benchmark, rivals included
	@for file in benchmarks/bench_*.py; do \
	  if [ -e "$$file" ]; then echo "== $$file"; $(PYTHON) "$$file"; else echo "No benchmarks yet."; fi; \
	done

replicate: $(TEST) ## Simulate every published trial anew for its page (a quarter of an hour)
	@.venv/bin/euthymia evidence replicate --replicates 100 --out build/replicated
	@cp build/replicated/replication.json docs/reference/replication.json
	@$(PYTHON) tools/replication_copy.py

docs: $(DOCS) ## Build the documentation into site
	@$(PYTHON) tools/make_docs.py
	@$(PYTHON) -m mkdocs build --strict --quiet
	@echo "The documentation lies at site/index.html"

serve-docs: $(DOCS) ## Serve the documentation on this machine while you write it
	@$(PYTHON) tools/make_docs.py
	@$(PYTHON) -m mkdocs serve

constraints: $(TEST) ## Write constraints.txt anew, with the newest versions that pyproject.toml allows
	@echo "Resolving in a fresh environment (takes some minutes) ..."
	@tools/constraints.sh
	@echo "Wrote constraints.txt; run make lint and make test before you commit it."

clean: ## Remove what was built and cached; the environment .venv stays
	@rm -rf build dist site .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	@find . -path ./.venv -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

$(TEST): ; @tools/environment.sh test && rm -f .venv/.ready-test-* && touch $@
$(LINT): $(TEST) ; @tools/environment.sh lint && rm -f .venv/.ready-lint-* && touch $@
$(DOCS): $(TEST) ; @tools/environment.sh docs && rm -f .venv/.ready-docs-* && touch $@
$(BENCH): $(TEST) ; @tools/environment.sh bench && rm -f .venv/.ready-bench-* && touch $@
