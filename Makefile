# Each target sets up what it needs from a bare checkout: Python 3.11 or newer, git and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: setup proto reference demo test test-deep bench lint clean

setup: $(STAMP)

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; name it with make PYTHON=..."; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[dev,uvloop]'
	@touch $@

proto: setup  ## regenerate crdtmesh/wire/gen from proto/
	$(BIN)/python scripts/generate_proto.py

reference: setup  ## regenerate docs/reference from the options and the .proto files
	$(BIN)/python scripts/generate_reference.py

demo: setup  ## three nodes on this machine, one killed and restarted
	$(BIN)/crdtmesh demo

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: setup
	PYTHON=$(BIN)/python scripts/test.sh

test-deep: setup  ## 100,000 examples for each data type, and all planted faults: hours; EXAMPLES=1000000 for more
	TESTS_HYPOTHESIS_PROFILE=deep TESTS_DEEP_EXAMPLES=$(or $(EXAMPLES),100000) $(BIN)/python -m pytest -q -n 2 tests/property/test_crdt_laws.py tests/property/test_crdt_specifications.py
	$(BIN)/python -m tests.mutations crdts --json

bench: setup  ## all benchmarks, JSON lines on standard output
	$(BIN)/python -m benchmarks all --json

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis dist
