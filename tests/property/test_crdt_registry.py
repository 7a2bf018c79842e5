"""No data type without laws, specification and codec tests, and no import of what a pure type must not load."""

from __future__ import annotations

import subprocess
import sys

import pytest

from crdtmesh.crdts import registry
from crdtmesh.crdts.counter_pn import PN_COUNTER, PNCounter
from crdtmesh.crdts.errors import UnknownType
from tests.property import test_crdt_laws, test_crdt_specifications, test_crdts_codec
from tests.property.strategies import OPERATIONS


def test_every_registered_type_has_operations_to_draw_and_a_specification() -> None:
    assert set(registry.names()) == set(OPERATIONS)
    assert set(registry.names()) == set(test_crdt_specifications.SPECIFICATIONS)


@pytest.mark.parametrize("module", [test_crdt_laws, test_crdt_specifications, test_crdts_codec])
def test_laws_specifications_and_codec_tests_run_over_the_registry(module: object) -> None:
    assert registry.names() == tuple(module.EACH_TYPE.args[1])  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", registry.names())
def test_drawn_operations_cover_every_operation_of_the_type(name: str) -> None:
    missing = {
        operation for operation in registry.get(name).operations if f"'{operation}'" not in repr(OPERATIONS[name])
    }
    assert set() == missing


def test_unknown_type_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(UnknownType, match="did you mean 'PNCounter'"):
        registry.get("PnCounter")
    with pytest.raises(UnknownType, match="ORSet, PNCounter"):
        registry.get("?")


def test_second_type_of_a_name_is_refused() -> None:
    registry.register(PN_COUNTER)
    with pytest.raises(ValueError, match="already registered"):
        registry.register(PNCounter())
    assert PN_COUNTER is registry.get("PNCounter")


def test_import_in_a_fresh_interpreter_loads_no_network_and_no_generated_code() -> None:
    program = (
        "import sys, crdtmesh.crdts as crdts\n"
        "for name in crdts.__all__: getattr(crdts, name)\n"
        "crdts.registry if hasattr(crdts, 'registry') else None\n"
        "print([m for m in ('asyncio', 'socket', 'ssl', 'grpc', 'google.protobuf') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert "[]\n" == done.stdout
