"""No data type without all that a type must have, and no import of what a pure type must not load."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from crdtmesh.crdts import registry
from crdtmesh.crdts.counter_pn import PN_COUNTER, PNCounter
from crdtmesh.crdts.errors import UnknownType
from crdtmesh.sdk.live.registry import LIVE_TYPES
from crdtmesh.testing import Product
from tests.mutations import plant
from tests.mutations.faults import CRDTS
from tests.property import test_crdt_forms, test_crdt_laws, test_crdt_nested, test_crdt_specifications, test_crdts_codec
from tests.property.strategies import OPERATIONS

_PAGES = (Path(__file__).parents[2] / "docs" / "reference" / "types").glob("*.md")
PAGES = {text.partition("\n")[0]: text for text in (path.read_text() for path in _PAGES)}
OVERVIEW = PAGES["# Replicated data types"]


def _is_in(module: Any) -> Callable[[str], bool]:
    return lambda name: name in module.EACH_TYPE.args[1]


def _has_page(name: str) -> bool:
    """A page that names every operation and what it reads as, with concurrent operations drawn."""
    page = PAGES.get(f"# {name}", "")
    is_whole = "─ meet" in page and "reads as" in page.lower()
    return is_whole and all(f"`{operation}(" in page for operation in registry.get(name).operations)


def _has_faults(name: str) -> bool:
    """Faults in the module of the type, or in one that serves it alone."""
    module = type(registry.get(name)).__module__
    its_own = {module, *(f"crdtmesh.crdts.{part}" for part, types in plant.TYPES.items() if types == (name,))}
    return any(fault.module in its_own for fault in CRDTS)


REQUIREMENTS: dict[str, Callable[[str], bool]] = {
    "operations to draw": OPERATIONS.__contains__,
    "laws": _is_in(test_crdt_laws),
    "histories": _is_in(test_crdt_specifications),
    "specification": test_crdt_specifications.SPECIFICATIONS.__contains__,
    "histories two maps deep, or refusal": lambda name: (
        name in (*test_crdt_nested.NESTED, *test_crdt_nested.NOT_NESTED)
    ),
    "codec tests": _is_in(test_crdts_codec),
    "JSON and protobuf form": _is_in(test_crdt_forms),
    "live object": LIVE_TYPES.__contains__,
    "page of the reference": _has_page,
    "row of the overview": lambda name: f"[{name}](" in OVERVIEW,
    "planted faults": _has_faults,
}


@pytest.mark.parametrize("name", registry.names())
def test_type_lacks_nothing(name: str) -> None:
    assert [] == [requirement for requirement, holds in REQUIREMENTS.items() if not holds(name)]


def test_type_that_is_merely_registered_lacks_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry._LOADED, "Bare", Product("Bare", count=PN_COUNTER))
    assert list(REQUIREMENTS) == [requirement for requirement, holds in REQUIREMENTS.items() if not holds("Bare")]


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
