# Each target sets up what it needs from a bare checkout: Python 3.11 or newer, git and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: setup proto reference demo test test-deep test-nightly fuzz e2e bench lint clean

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

test-deep: setup  ## 100,000 examples for each data type: half an hour a type and more; TYPES=ORSet,Vote EXAMPLES=10000 BUDGET=600 for less, PART=2/3 on each of three machines; goes on where it stopped
	$(BIN)/python -m tests.deep $(if $(TYPES),--types $(TYPES)) $(if $(EXAMPLES),--examples $(EXAMPLES)) $(if $(BUDGET),--seconds $(BUDGET)) $(if $(PART),--part $(PART))
	$(if $(TYPES)$(BUDGET)$(PART),,$(BIN)/python -m tests.mutations crdts --json --resume .mutations.jsonl)

e2e: setup  ## real nodes on 3, 5 and 9 hosts of this machine, 105 cells of faults: 40 min; CELLS='3-*' BUDGET=300 for less; goes on where it stopped
	$(BIN)/python -m tests.hosts --json --results .e2e.jsonl $(if $(CELLS),--only '$(CELLS)') $(if $(BUDGET),--budget $(BUDGET))

test-nightly: setup  ## 2,000 simulated seeds, of which each marker and kind of fault needs one: hours; BUDGET=600 for a part; goes on where it stopped
	$(BIN)/python -m simulations run --seeds $(or $(SEEDS),1:2000) --require-all --resume .nightly.jsonl --json $(if $(BUDGET),--budget $(BUDGET))

fuzz: setup  ## a minute for each parser, TARGET=replication BUDGET=3600 for one; new inputs are kept in tests/fuzz/corpus
	$(BIN)/python -m tests.fuzz --keep $(if $(TARGET),--target $(TARGET)) $(if $(BUDGET),--seconds $(BUDGET)) $(if $(SEED),--seed $(SEED))

bench: setup  ## all benchmarks, JSON lines on standard output
	$(BIN)/python -m pip install --quiet --editable '.[bench]'
	$(BIN)/python -m benchmarks all --json

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis dist
