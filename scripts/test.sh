#!/usr/bin/env bash
# The whole suite, in the order of what is cheapest to find. Called by `make test`, which has set up the environment.
# With TESTS_REQUIRE_TOOLS=1 (as in CI) a skipped test is a failure.
set -euo pipefail
cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-.venv/bin/python}
BIN=$(dirname "$PYTHON")
started=$(date +%s)

stage() {
    local name=$1 before
    shift
    before=$(date +%s)
    echo "== $name"
    "$@"
    echo "== $name: $(($(date +%s) - before)) s"
}

pytest() { "$PYTHON" -m pytest -q --durations=5 --durations-min=1 "$@"; }

seeds() { "$PYTHON" -m simulations run --seeds 1:200 --json --budget "${SIMULATED_SECONDS:-120}"; }

wheel() (
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    "$PYTHON" -m build --wheel --outdir "$work/dist" . >"$work/build.log" 2>&1 || { cat "$work/build.log"; exit 1; }
    "$PYTHON" -m venv "$work/venv"
    "$work/venv/bin/python" -m pip install --quiet "$work"/dist/*.whl
    cd "$work" && "$work/venv/bin/crdtmesh" demo --format json
)

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    stage "system packages" scripts/system_packages.sh
fi
stage "ruff" "$BIN/ruff" check .
stage "ruff format" "$BIN/ruff" format --check .
stage "mypy" "$BIN/mypy"
stage "import contracts" "$BIN/lint-imports"
stage "unit" pytest -n 2 tests/unit
stage "property" pytest -n 2 tests/property
stage "attacks" pytest -n 2 tests/attacks
stage "simulation" pytest -n 2 tests/simulation
# As many seeds as fit; how many that were is printed, and the report is one line of JSON.
stage "simulated seeds" seeds
# Half of it is waiting for real agents, a minute of which passes beside the rest.
stage "contract, conformance, interop" pytest -n 2 --dist loadscope tests/contract tests/conformance tests/interop
stage "e2e" pytest tests/e2e
# Real nodes on hosts of their own, a few cells of the matrix; it says itself where it had to do without namespaces.
stage "hosts" "$PYTHON" -m tests.hosts --brief
stage "wheel" wheel
echo "all stages passed in $(($(date +%s) - started)) s"
