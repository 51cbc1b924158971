# Needs git, make and a Python of at least 3.11; everything else goes into virtual environments here.

PYTHON ?= python3
BIN := .venv/bin
SIZE ?= 100m
# One more than there are cores, because tests wait for servers most of the time. Each worker has servers of its own,
# which a machine of many cores need not have as often.
CORES := $(shell getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1)
PARALLEL := --numprocesses=$(shell expr $(CORES) + 1) --maxprocesses=4 --dist=worksteal

.DELETE_ON_ERROR:
.PHONY: help quickstart test test-programs lint docs bench clean

help:
	@echo "make quickstart   try backup and restore on an example project"
	@echo "make test         lint, then run the tests on every Python that is installed"
	@echo "make lint         ruff, mypy and import-linter"
	@echo "make docs         build the manual into docs/_build/html"
	@echo "make bench        measure against other ways to back up (SIZE=100m or 1g; ARGS=\"--engine postgresql\")"
	@echo "make clean        remove everything that these targets made"

quickstart: .venv-example/.installed
	@scripts/quickstart .venv-example/bin/python

# The tests on other Pythons come last and end with pytest's own last line.
test: lint test-programs
	$(BIN)/python -X dev -m pytest $(PARALLEL) --cov --cov-report=term-missing
	@scripts/test-other-pythons $(BIN)/python $(PARALLEL)

test-programs:
	@scripts/install-test-programs
	@scripts/install-newer-mariadb $(PYTHON)
	@scripts/install-mongodb-server $(PYTHON)

lint: .venv/.installed
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: .venv-docs/.installed
	.venv-docs/bin/sphinx-build -W --keep-going -E -b html docs docs/_build/html

bench: .venv/.installed test-programs
	$(BIN)/python -m benchmarks --size $(SIZE) $(ARGS)

clean:
	rm -rf .venv .venv-* .programs docs/_build benchmarks/results .mypy_cache .ruff_cache .pytest_cache \
		.import_linter_cache .hypothesis .coverage .coverage.* htmlcov \
		example/backups example/media example/atlas.sqlite3*

# One environment per purpose, installed again only when pyproject.toml changes.
.venv/.installed: extras = dev
.venv-example/.installed: extras = example
.venv-docs/.installed: extras = docs

.venv/.installed .venv-example/.installed .venv-docs/.installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "DBBackup needs Python 3.11 or newer, $(PYTHON) is $$($(PYTHON) -V 2>&1). Try: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	$(PYTHON) -m venv --clear $(@D)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[$(extras)]'
	@[ "$(extras)" != dev ] || scripts/install-newer-postgresql $(@D)/bin/python
	@touch $@
