"""How a host's copy of a state is brought up to date: whole, or by the elements of a set that others touched."""

from collections.abc import Mapping
from itertools import islice
from typing import Final

from crdtmesh.crdts import values
from crdtmesh.crdts.set_aw import OR_SET, ORSet
from crdtmesh.crdts.values import PlainValue
from crdtmesh.replication.entry import Snapshot
from crdtmesh.runtime.activation import Activation
from crdtmesh.runtime.definition import ActorAddress
from crdtmesh.runtime.messages import StateUpdate

__all__ = ["bring_up_to_date"]

# Types whose value is a collection of the elements that `Touched` names. Of other types every change is sent whole.
SETS: Final[Mapping[str, ORSet]] = {OR_SET.name: OR_SET}


def bring_up_to_date(activation: Activation, view: Snapshot) -> StateUpdate | None:
    """What makes the host's copy equal to the view, and the activation's notes of it; None when it is equal already.

    Complexity: O(state) for a whole state, O(touched) for a change of a set.
    """
    definition = activation.definition
    touched = activation.touched
    assert definition.type_name is not None
    is_accounted = touched is not None and activation.seen_version == view.version
    activation.note_copy(view.version)
    if touched is not None and is_accounted:
        if not touched:
            return None
        data_type = SETS.get(definition.type_name)
        if data_type is not None and _is_larger(data_type, view, len(touched)):
            return _set_change(definition.address, data_type, view, touched)
    return StateUpdate(definition.address, definition.type_name, True, view.value())


def _is_larger(data_type: ORSet, view: Snapshot, count: int) -> bool:
    """Whether the set has more than `count` elements, about: an element added twice at once has two dots."""
    return sum(1 for _ in islice(data_type.dots(view.store), count + 1)) > count


def _set_change(address: ActorAddress, data_type: ORSet, view: Snapshot, touched: set[bytes]) -> StateUpdate:
    added: list[PlainValue] = []
    removed: list[PlainValue] = []
    # Sorted, since the order of a set of bytes differs between processes.
    for element in values.decode_all(sorted(touched)):
        (added if data_type.contains(view.store, element) else removed).append(element)
    return StateUpdate(address, data_type.name, False, None, added, removed)
