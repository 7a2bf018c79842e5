"""A test kit for replicated state: the laws, and random histories with partitions, duplicates and reordering.

    from hypothesis import strategies as st
    from crdtmesh.testing import check_convergence, check_laws, operation

    OPERATIONS = st.one_of(operation("add", st.integers(0, 3)), operation("clear"))

    def test_basket() -> None:
        check_laws(BASKET, OPERATIONS)
        check_convergence(BASKET, OPERATIONS)

`BASKET` is any `crdtmesh.crdts.DataType`, such as one of your own, or a `Product` of several under one context. Needs
hypothesis, which the extra `testing` installs; importing this package does not load it. Our own tests use the same kit.
"""

import importlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from crdtmesh.testing.checks import check_convergence, check_laws
    from crdtmesh.testing.histories import Event, History, Recorder
    from crdtmesh.testing.product import Product
    from crdtmesh.testing.strategies import operation
    from crdtmesh.testing.worlds import Step, World

__all__ = [
    "Event",
    "History",
    "Product",
    "Recorder",
    "Step",
    "World",
    "check_convergence",
    "check_laws",
    "operation",
]

_MODULES: Final = {
    "Event": "histories",
    "History": "histories",
    "Product": "product",
    "Recorder": "histories",
    "Step": "worlds",
    "World": "worlds",
    "check_convergence": "checks",
    "check_laws": "checks",
    "operation": "strategies",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        module = importlib.import_module(f"{__name__}.{_MODULES[name]}")
    except ModuleNotFoundError as error:
        if error.name != "hypothesis":
            raise
        raise ModuleNotFoundError(
            f"crdtmesh.testing.{name} draws with hypothesis, which is not installed; pip install 'crdtmesh[testing]'",
            name=error.name,
        ) from error
    return getattr(module, name)
