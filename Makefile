# Needs python 3.11 or newer with pip, and make. Everything else goes into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

# What most changes break first: the house itself, and the rooms that others stand on.
QUICK := $(addprefix tests/test_,docstrings.py documents_are_true.py house.py layers.py \
	public_names.py registry.py relapses.py) $(addprefix tests/,core graph metrics report)

.PHONY: install demo test frameworks quick tutorials lint docs ledger clean
.DELETE_ON_ERROR:

install: $(VENV)/.installed

demo: $(VENV)/.installed
	$(BIN)/nascence design --budget 5m

test: $(VENV)/.installed-test
	$(BIN)/python -m pytest

# Other training loops, and the dashboard of studies: tested where they are installed.
frameworks: $(VENV)/.installed-frameworks $(VENV)/.installed-dashboard

quick: $(VENV)/.installed-test
	$(BIN)/python -m pytest -m "not slow" --ignore tests/core/test_processes.py $(QUICK)

lint: $(VENV)/.installed-lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

tutorials: $(VENV)/.installed-test
	$(BIN)/python -m benchmarks.docs.tutorials

docs: $(VENV)/.installed-docs
	$(BIN)/sphinx-build -W -q -b html docs docs/_build/html

ledger: $(VENV)/.installed
	$(BIN)/python -m benchmarks.pages

clean:
	rm -rf $(VENV) docs/_build .pytest_cache .mypy_cache .ruff_cache

$(VENV)/.installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) -e .
	touch $@

$(VENV)/.installed-%: $(VENV)/.installed
	$(PIP) -e '.[$*]'
	touch $@
