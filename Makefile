# One entry per thing that one does here. `make demo` and `make test` work on a fresh machine with
# Python, pip and make.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SHARED := $(VENV)/shared

.DEFAULT_GOAL := help
.PHONY: help demo test shared check bench docs sentences pictures examples golden clean

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 8

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: $(BIN)/python pyproject.toml
	@echo "Installing into $(VENV); this takes a minute or two." >&2
	$(BIN)/pip install --quiet --editable '.[sandbox]'
	@touch $@

$(VENV)/.dev: $(BIN)/python pyproject.toml
	@echo "Installing into $(VENV) with all test tools; this takes some minutes." >&2
	$(BIN)/pip install --quiet --editable '.[dev]'
	@touch $@ $(VENV)/.demo

demo: $(VENV)/.demo ## make a link for the synthetic cell on the embedded sandbox
	@$(BIN)/make-link 864691135276234469 --sandbox
	@echo "Open the link; the sandbox goes on serving it until 30 minutes after the last request." >&2

# What all workers share is made during the static checks, which use one processor. Threads of the
# matrix library wait by spinning, which takes time from the other workers.
test: $(VENV)/.dev ## set up and run every test, after the static checks
	@./tests/chromium.sh
	@$(MAKE) --no-print-directory --jobs 2 check shared
	TESTS_SHARED=$(abspath $(SHARED)) PYTHONDONTWRITEBYTECODE= OPENBLAS_NUM_THREADS=1 $(BIN)/pytest --quiet \
	  --numprocesses 3 --dist loadfile --no-loadscope-reorder

shared: $(VENV)/.dev
	@PYTHONDONTWRITEBYTECODE= $(BIN)/python tests/prepare.py $(SHARED) >$(SHARED).log || \
	  { cat $(SHARED).log; exit 1; }

check: $(VENV)/.dev ## types, lint, format, import rules, dependencies
	$(BIN)/ruff check
	$(BIN)/ruff format --check --quiet
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/deptry src
	$(BIN)/pip check

bench: $(VENV)/.dev ## measure against what a user would write today, side by side
	$(BIN)/python bench/first_link.py
	$(BIN)/python bench/state_bytes.py
	$(BIN)/python bench/preview.py
	$(BIN)/python bench/report.py
	$(BIN)/python bench/publish.py
	$(BIN)/python bench/source.py

docs: $(VENV)/.dev ## build the documentation site into site/
	$(BIN)/sphinx-build -W --keep-going -q -b html docs site
	@echo "Open site/index.html"

golden: $(VENV)/.dev ## renew the golden state of the sample cell and the golden help; look at their diff
	$(BIN)/python tests/cli/golden.py

sentences: $(VENV)/.dev ## print every sentence that a user may read
	@$(BIN)/python docs/collect_sentences.py

pictures: $(VENV)/.dev ## take the pictures of the README and docs/ anew, on the sandbox
	@./tests/chromium.sh
	$(BIN)/python docs/make_pictures.py

examples: $(VENV)/.dev ## run the notebooks of docs/examples on the sandbox, and store what they show
	@./tests/chromium.sh
	$(BIN)/python tests/cli/examples.py

clean: ## remove the environment and what tools left behind
	rm -rf $(VENV) build dist site .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
