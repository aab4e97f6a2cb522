# Every habit of the project. `make` lists them.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
UV_VERSION = 0.13.9
INSTALL = $(BIN)/uv pip install --quiet --python $(BIN)/python
export PYTHONUTF8 = 1
# Where an image has set it, every command would compile some 2,000 modules anew: 5 seconds each time.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL = help
.PHONY: help demo serve test fast lint types docs contract format lock eval bench doctor wheel clean

help: ## list these commands
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

demo: $(VENV)/run.stamp ## triage three real write-ups with the local model
	@$(BIN)/triage demo

serve: $(VENV)/run.stamp ## start the service on http://127.0.0.1:8350
	@$(BIN)/triage serve

doctor: $(VENV)/run.stamp ## check settings, model, weights, database and index
	@$(BIN)/triage doctor

test: $(VENV)/dev.stamp ## all tests, the slow ones too
	@$(BIN)/python -m pytest -n 4 --dist loadfile --no-loadscope-reorder

fast: $(VENV)/dev.stamp ## the tests that take no time
	@$(BIN)/python -m pytest -m "not slow" -x -q

lint: $(VENV)/dev.stamp ## style, import directions, generated docs
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/lint-imports && $(BIN)/python docs/reference.py --check

types: $(VENV)/dev.stamp ## mypy, strict
	@$(BIN)/mypy

docs: $(VENV)/dev.stamp ## write the reference of settings and commands from the code
	@$(BIN)/python docs/reference.py

contract: $(VENV)/dev.stamp ## write docs/openapi.json, unless a change breaks clients
	@$(BIN)/python -m tests.server.api.write_contract

format: $(VENV)/dev.stamp ## put the code in its style
	@$(BIN)/ruff check --fix . && $(BIN)/ruff format .

eval: $(VENV)/run.stamp ## score the labels on the shipped history (leave one out)
	@$(BIN)/triage eval run evals/suites/llm_incidents.yaml

bench: $(VENV)/dev.stamp ## baselines on labelled data: make bench DATA=folder
	@$(BIN)/python evals/bench/baselines.py --data $(DATA)

wheel: $(VENV)/dev.stamp ## build the wheel, and check that it works where nothing else of the project is
	@rm -rf build && mkdir build && $(BIN)/python -m build --wheel --outdir build . > build/log 2>&1 || { cat build/log; exit 1; }
	@$(BIN)/uv venv --quiet build/venv && $(BIN)/uv pip install --quiet --python build/venv/bin/python --require-hashes \
	  -r requirements/run.lock && $(BIN)/uv pip install --quiet --python build/venv/bin/python --no-deps build/*.whl
	@cd build && TRIAGE_MODEL=none TRIAGE_DATA_DIR=data venv/bin/triage doctor

lock: $(VENV)/uv.stamp ## bring the lock files up to date with pyproject.toml
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	  --no-emit-index-url --no-emit-find-links --upgrade --extra local pyproject.toml -o requirements/run.lock
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	  --no-emit-index-url --no-emit-find-links --upgrade --extra local --group dev pyproject.toml -o requirements/dev.lock

clean: ## remove the virtual environment and caches
	@rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache build dist

$(VENV)/uv.stamp:
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "triage needs Python 3.11 or newer, this is %s: run make PYTHON=/path/to/python3.11" % sys.version.split()[0])'
	@echo "Making a virtual environment in $(VENV) ..."
	@$(PYTHON) -m venv $(VENV) && $(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION) && touch $@

$(VENV)/run.stamp: $(VENV)/uv.stamp requirements/run.lock pyproject.toml
	@echo "Installing triage and the local model's weights (about 1.3 GB, once) ..."
	@$(INSTALL) --require-hashes -r requirements/run.lock
	@$(INSTALL) --no-deps --editable . && touch $@

$(VENV)/dev.stamp: $(VENV)/uv.stamp requirements/dev.lock pyproject.toml
	@echo "Installing triage, its tests and the local model's weights (about 1.5 GB, once) ..."
	@$(INSTALL) --require-hashes -r requirements/dev.lock
	@$(INSTALL) --no-deps --editable . && touch $@ $(VENV)/run.stamp
