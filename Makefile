# demo · test · check · docs · package · bench: each sets up what it needs, in a fresh clone on a bare machine.
PYTHON ?= python3
VENV := .venv
READY := $(VENV)/ready
RUN := $(VENV)/bin
# Those that need nothing but the package; the others want videos, votes or hours, and say so in their first lines.
BENCHMARKS := start prepare input store jpeg decoding midas step memory doctor growth scale level

.PHONY: demo test check docs package bench fuzz kill audit clean help
.DEFAULT_GOAL := help

help:
	@echo "make demo    the whole method in some minutes: writes runs/demo/report.html"
	@echo "make test    the test suite"
	@echo "make check   ruff, mypy, import-linter, codespell"
	@echo "make docs    the documentation as a site, in site/"
	@echo "make package the wheel and the source distribution, in dist/, and whether they are whole"
	@echo "make bench   the benchmarks; writes benchmarks/results/ and docs/performance.md"
	@echo "make fuzz    damaged files of every format: make fuzz INPUTS=50000 MINUTES=60 SEED=0"
	@echo "make kill    verbs that are killed and run again: make kill KILLS=8 SEED=0"
	@echo "make audit   known faults and licences of the packages that dfer needs"

demo: $(READY)
	@$(RUN)/dfer demo

# The tests of a file run in one process: what they share is made once. They start many processes: compiled once, dfer
# and the tests are not compiled anew in each, also where Python is told to keep nothing that it compiled.
test: $(READY)
	@OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE= $(RUN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder

check: $(READY)
	@$(RUN)/ruff check src tests benchmarks examples tools
	@$(RUN)/ruff format --check src tests benchmarks examples tools
	@$(RUN)/mypy
	@$(RUN)/lint-imports --no-cache
	@$(RUN)/codespell src tests docs configs benchmarks examples tools *.md mkdocs.yml

docs: $(READY)
	@NO_MKDOCS_2_WARNING=1 $(RUN)/mkdocs build --strict
	@echo "site/index.html"

package: $(READY)
	@rm -rf dist
	@$(RUN)/python -m build --outdir dist . >/dev/null
	@$(RUN)/python -m twine check --strict dist/*
	@$(RUN)/python tools/check_package.py dist

bench: $(READY)
	@for script in $(BENCHMARKS:%=benchmarks/%.py); do echo "== $$script"; $(RUN)/python $$script || exit 1; done
	@$(RUN)/python tools/performance.py

INPUTS ?= 50000
MINUTES ?= 60
SEED ?= 0
KILLS ?= 8

fuzz: $(READY)
	@$(RUN)/python -m tests.fuzz.harness --inputs $(INPUTS) --minutes $(MINUTES) --seed $(SEED)

kill: $(READY)
	@$(RUN)/python -m tests.kill.harness --kills $(KILLS) --seed $(SEED)

audit: $(READY)
	@$(RUN)/python tools/licences.py
	@$(RUN)/python tools/audit.py $(VENV)-audit

$(READY): pyproject.toml constraints.txt
	@echo "Setting up $(VENV): creating the environment and installing dfer with its dependencies."
	@echo "This happens once and takes a few minutes (about 2 GB with the CPU build of torch)."
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
		{ echo "dfer needs Python 3.10 or newer; say which one: make PYTHON=python3.11 ..."; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "Python's venv module is missing (on Debian: apt install python3-venv)"; exit 1; }
	@$(RUN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $(READY)
	@echo "Environment ready."

clean:
	rm -rf $(VENV) $(VENV)-audit build dist site .pytest_cache .mypy_cache .ruff_cache
