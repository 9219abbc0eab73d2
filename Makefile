# Two commands: `make demo` shows what the toolkit does, `make test` proves that it works.
# Everything is installed into .venv; PYTHON chooses the interpreter (3.11 or newer).

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

FUZZ_SECONDS ?= 14400

.PHONY: help demo test bench fuzz agreement lab fix samples clean

help:
	@echo "make demo     install, and go the whole way on a packaged capture"
	@echo "make test     install, and run every check"
	@echo "make lab      open the notebooks in JupyterLab"
	@echo "make bench    measure speed and memory against other tools (minutes, on a quiet machine)"
	@echo "make fuzz     look for captures that break the reader, FUZZ_SECONDS long (4 hours); fuzz-output keeps what is found"
	@echo "make agreement CAPTURES=folder   compare the reader with tshark on captures of your own"
	@echo "make fix      format, and repair what the linter can"
	@echo "make samples  cut the packaged captures again from the folder TOOLKIT_SHARED"
	@echo "make clean    remove .venv and all caches"

demo: $(VENV)/.installed
	$(BIN)/toolkit demo

test: $(VENV)/.installed-dev
	@sh tests/system-packages.sh
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/codespell
	$(BIN)/python -m pytest

bench: $(VENV)/.installed-dev
	$(BIN)/python -m benchmarks

fuzz: $(VENV)/.installed-dev
	$(BIN)/python tests/fuzz.py --seconds $(FUZZ_SECONDS) --seed 0 --keep fuzz-output

agreement: $(VENV)/.installed-dev
	$(BIN)/python tests/agreement.py $(CAPTURES)

lab: $(VENV)/.installed-notebooks
	$(BIN)/jupyter lab notebooks/01-explore.ipynb

fix: $(VENV)/.installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/jupytext --sync notebooks/*.py
	$(BIN)/nbstripout notebooks/*.ipynb

samples: $(VENV)/.installed-dev
	$(BIN)/python tests/cut_samples.py

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis demo-output fuzz-output
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.x")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable .
	@touch $@

$(VENV)/.installed-dev: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@ $(VENV)/.installed

$(VENV)/.installed-notebooks: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[notebooks]'
	@touch $@ $(VENV)/.installed
