# `make demo` and `make test` do all of their own set-up in .venv; `make help` lists the rest.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
# Two stamps: the demo needs a third of the packages that the tests need.
DEMO := $(VENV)/.installed-demo
ALL := $(VENV)/.installed
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
# PyPI's torch brings 4 GB of CUDA, which nothing here uses. Where torch's own index cannot be
# reached, PyPI's it is; `make test CPU_WHEELS=` asks for PyPI's.
CPU_WHEELS ?= https://download.pytorch.org/whl/cpu
WITHOUT_CUDA = test -z "$(CPU_WHEELS)" || $(PIP) --no-deps --retries 0 --timeout 15 \
	--index-url $(CPU_WHEELS) $(1) 2>/dev/null || echo "$(1): from PyPI, with CUDA"
# One thread per test worker: two workers with two threads each would fight for two cores.
WORKERS ?= 2
PYTEST := OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 $(BIN)/python -m pytest -q -n $(WORKERS)

.PHONY: help install demo test check format lint types floors tests doctests bench zoo matrix dist extras docs gallery clean

help:
	@echo "make demo      train a small network twice, find its shift, repair it (half a minute)"
	@echo "make test      everything continuous integration runs (the same as make check)"
	@echo "make bench     time and accuracy side by side with other tools"
	@echo "make zoo       every batch-norm architecture of five libraries, read; hours, resumable"
	@echo "make matrix    a slice of the tests with every promised torch and Python; hours, resumable"
	@echo "make dist      build wheel and sdist, and check them as an index would"
	@echo "make extras    try every extra from that wheel in an empty environment; resumable"
	@echo "make docs      build the documentation into build/site, readable without a network"
	@echo "make gallery   write the gallery page and its pictures anew; two minutes"
	@echo "make format    rewrite the code in the project's format"

install: $(ALL)

# Versions come from constraints.txt; each stamp is older than neither file, so a second run
# installs nothing.
$(DEMO): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(call WITHOUT_CUDA,torch)
	$(PIP) -e '.[demo]'
	touch $@

$(ALL): $(DEMO)
	$(call WITHOUT_CUDA,torchvision)
	$(PIP) -e '.[dev]'
	touch $@

demo: $(DEMO)
	$(BIN)/varshift demo

test: check

# The tests are last: what they could not test stands in their last lines.
check: lint types floors doctests tests

format: install
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: install
	$(BIN)/mypy --strict src

floors: install
	$(BIN)/lint-imports --no-logo

tests: install
	$(PYTEST) tests

doctests: install
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q --doctest-modules src

bench: install
	$(PIP) -e '.[bench]'
	$(BIN)/python -m benchmarks

# ZOO="--only PARTS", "--table" and what else `python -m benchmarks.zoo --help` names.
zoo: install
	OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 $(BIN)/python -m benchmarks.zoo $(ZOO)

# Both need no environment: they make their own, and go on where they were stopped.
matrix:
	CPU_WHEELS=$(CPU_WHEELS) $(PYTHON) -m benchmarks.matrix
	$(PYTHON) -m benchmarks.matrix_table

dist: install
	rm -rf dist
	$(PIP) build twine
	$(BIN)/python -m build --quiet --outdir dist .
	$(BIN)/python -m twine check --strict dist/*

extras: dist
	CPU_WHEELS=$(CPU_WHEELS) $(PYTHON) -m benchmarks.extras

# The notice that mkdocs-material prints of its own end of life (May 2027) is not about this site.
docs: install
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

# Chromium, where it is there, takes the picture of a page.
gallery: install
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.gallery

clean:
	rm -rf $(VENV) build/site .pytest_cache .mypy_cache .ruff_cache .hypothesis
