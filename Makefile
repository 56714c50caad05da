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
PYTEST := OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 $(BIN)/python -m pytest -q -n $(WORKERS) --dist worksteal

.PHONY: help install demo test check format lint types floors audit lock vulnerabilities \
	tests doctests faults soak bench mutants zoo matrix dist extras docs gallery clean

help:
	@echo "make demo      train a small network twice, find its shift, repair it (half a minute)"
	@echo "make test      everything continuous integration runs (the same as make check)"
	@echo "make bench     docs/benchmarks.md: speed and accuracy beside other tools; resumable"
	@echo "make faults    10,000 ways in which a verb can go wrong, files under full disks; for a night"
	@echo "make soak      everything in one process for an hour: nothing may grow"
	@echo "make lock      requirements.lock from constraints.txt; make vulnerabilities asks of them"
	@echo "make mutants   small changes to the source, each to be noticed by a test; hours, resumable"
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

# What needs one core runs in pairs. The tests are last: what they could not test stands in their
# last lines.
check: install
	$(MAKE) --no-print-directory --jobs=$(WORKERS) --output-sync=target \
		lint types floors audit doctests
	$(MAKE) --no-print-directory tests

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

audit: install
	$(BIN)/python -m benchmarks.audit

# Both need a network, and have an environment of their own.
LOCKING := build/lock/bin/python
$(LOCKING):
	$(PYTHON) -m venv build/lock
	$(LOCKING) -m pip install --quiet --disable-pip-version-check uv pip-audit

lock: $(LOCKING)
	build/lock/bin/uv pip compile --quiet --system-certs pyproject.toml constraints.txt --extra dev \
		--extra bench -c constraints.txt --universal --python-version 3.11.2 --generate-hashes \
		--no-annotate --no-emit-index-url --custom-compile-command "make lock" \
		-o requirements.lock

vulnerabilities: install $(LOCKING)
	$(BIN)/python -m benchmarks.audit --vulnerabilities $(LOCKING)

tests: install
	$(PYTEST) tests

# Every night: what the tests run a slice of. An hour or two each; `faults` says how to go on.
faults: install
	$(BIN)/python -m tests.faults --cases 10000
	$(BIN)/python -m tests.faults.written --count 200

soak: install
	$(BIN)/python -m tests.faults.soak --minutes 60 --out docs/results/soak.md

doctests: install
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q --doctest-modules src

# Sections of this very code are not run again.
bench: install
	$(PIP) -e '.[bench]'
	OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 $(BIN)/python -m benchmarks

mutants: install
	$(PIP) mutmut coverage
	OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 $(BIN)/python -m benchmarks.mutants

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
