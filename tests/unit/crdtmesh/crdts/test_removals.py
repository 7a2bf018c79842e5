"""Every data type but one has an operation that leaves nothing of what it has seen."""

from __future__ import annotations

import pytest

from crdtmesh.crdts import registry
from crdtmesh.crdts.removals import removal_of


@pytest.mark.parametrize("name", sorted(set(registry.names()) - {"BoundedCounter"}))
def test_each_type_has_a_removal_without_arguments(name: str) -> None:
    removal = removal_of(name)
    assert removal is not None
    assert (0, 0) == registry.get(name).operations[removal.name]
    assert () == removal.arguments


def test_rights_of_a_bounded_counter_are_not_removed() -> None:
    assert removal_of("BoundedCounter") is None
