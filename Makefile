# `make demo` and `make test` do all the set-up by themselves.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

.PHONY: demo test chaos check format clean gpu-session

$(READY): pyproject.toml constraints.txt requirements-bare.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if v >= (3, 11) else "adloom needs Python 3.11 or newer, this is %d.%d; set PYTHON=/path/to/python3.11" % v)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -r requirements-bare.txt
	@touch $@

demo: $(READY)          ## the shipped products, rendered, judged, exported; prints where to look
	$(BIN)/python -m demo

test: $(READY)          ## all tests; starts and stops the servers they need
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder --durations=25

chaos: $(READY)         ## a run whose servers and workers are killed KILLS times; ends with a table
	$(BIN)/python -m tests.chaos --kills=$(or $(KILLS),20)

check: $(READY)         ## format, lint, layers, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/basedpyright --level error

gpu-session: $(READY)   ## on a machine with a GPU: checks and times the model in under ten minutes
	$(BIN)/python -m benchmarks.gpu_session --out build/gpu

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# Goes no further where the demo's servers cannot be stopped: nothing is deleted under them.
clean:                  ## remove the venv and what demo and tests left (not ADLOOM_HOME)
	[ ! -x $(BIN)/adloom ] || $(BIN)/python -m demo --clean
	rm -rf $(VENV) build *.egg-info .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
