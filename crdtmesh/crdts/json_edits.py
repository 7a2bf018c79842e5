"""How an operation on a JSON document becomes a delta: paths are found in the tree, and a draft collects the facts.

Everything is checked before the first dot is taken.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple, TypeAlias

from crdtmesh.crdts import values
from crdtmesh.crdts.base import Delta, Mutation
from crdtmesh.crdts.clock import Stamp
from crdtmesh.crdts.context import CausalContext
from crdtmesh.crdts.dots import Dot, replica_of
from crdtmesh.crdts.errors import InvalidOperation, shorten
from crdtmesh.crdts.json_codec import STEPS_MAX, require_key
from crdtmesh.crdts.json_tree import Fact, Facts, Kind, Node, Path, Uid
from crdtmesh.crdts.positions import TAG_BYTES, Bias, between
from crdtmesh.crdts.values import PlainValue

_IN_A_ROW: Final = 256
"""Two elements that a replica made within that many of its dots count as written in a row. Further apart they say
nothing about where the next one will go, and the middle of the gap is best."""

AskedPath: TypeAlias = Sequence[str | int]
_Elements: TypeAlias = Sequence[tuple[bytes, Uid]]


class Spot(NamedTuple):
    """A place that an operation names.

    Attributes:
        path: where it is.
        node: what is there; None for nothing.
        made: how many of the steps before the last lead through objects that have to be made.
    """

    path: Path
    node: Node | None
    made: int = 0


# --- finding


def steps_of(path: object) -> AskedPath:
    """A path as a user gave it.

    Raises:
        InvalidOperation: it is no list of keys and indices, or too long.
    """
    if not isinstance(path, list | tuple) or any(type(step) is not int and not isinstance(step, str) for step in path):
        raise InvalidOperation(f"JsonDocument: a path is a list of keys and indices, got {shorten(path)}")
    if len(path) > STEPS_MAX:
        raise InvalidOperation(f"JsonDocument: a path has at most {STEPS_MAX} steps, got {len(path)}")
    return path


def index_in(size: int, index: object) -> int:
    """An index from the start, of one that may count from the end.

    Raises:
        InvalidOperation: it is no integer, or out of range.
    """
    if type(index) is not int or not -size <= index < size:
        raise InvalidOperation(f"JsonDocument: expected an index in {-size} .. {size - 1}, got {shorten(index)}")
    return index % size


def find(root: Node, steps: AskedPath) -> Node | None:
    """What is visible at a path; None where a key on it is absent.

    Raises:
        InvalidOperation: an index on it has no list, or is out of range.
    """
    spot = _walk(root, steps, is_strict=False)
    return None if spot is None or spot.node is None or not spot.node.weight else spot.node


def find_list(root: Node, steps: AskedPath, *, may_be_absent: bool = False) -> tuple[Spot, Node]:
    """The list at a path; an empty one, if nothing is there and that is allowed.

    Raises:
        InvalidOperation: something else is read there, or nothing.
    """
    spot = reach(root, steps)
    if may_be_absent and spot.path and (spot.node is None or not spot.node.weight):
        return spot, Node()
    if not spot.path or spot.node is None or spot.node.is_object or not spot.node.is_list:
        raise InvalidOperation(f"JsonDocument: no list is at {shorten(steps)}; set it to [] first")
    return spot, spot.node


def reach(root: Node, steps: AskedPath) -> Spot:
    """The place that a path leads to, whether anything is there or not.

    Raises:
        InvalidOperation: a key on it leads into a list or a scalar, or an index has no list or is out of range.
    """
    spot = _walk(root, steps, is_strict=True)
    assert spot is not None
    return spot


def _walk(root: Node, steps: AskedPath, *, is_strict: bool) -> Spot | None:
    """Follow a path. Not strict: None where a key leads into what is no object."""
    node: Node | None = root
    path: Path = ()
    made = 0
    for step in steps:
        visible = node if node is not None and (node is root or node.weight) else None
        if isinstance(step, str):
            if visible is not None and visible is not root and not visible.is_object:
                if not is_strict:
                    return None
                raise InvalidOperation(
                    f"JsonDocument: no object is at {shorten(steps[: len(path)])}; set it to {{}} first"
                )
            made += visible is None
            node = None if node is None else node.keys.get(step)
            path = (*path, step)
        else:
            if visible is None or visible is root or visible.is_object or not visible.is_list:
                if visible is None and not is_strict:
                    return None
                raise InvalidOperation(f"JsonDocument: no list is at {shorten(steps[: len(path)])}")
            uid = visible.order[index_in(len(visible.order), step)][1]
            node = visible.elements[uid]
            path = (*path, uid)
    return Spot(path, node, made)


# --- writing


class Draft:
    """The delta of one operation, while it is put together."""

    __slots__ = ("_facts", "_mutation", "_stamp", "_superseded", "_threshold")

    def __init__(self, mutation: Mutation) -> None:
        self._mutation = mutation
        self._facts: dict[Dot, Fact] = {}
        self._superseded: list[Dot] = []
        self._threshold: Stamp | None = None
        self._stamp: Stamp | None = None

    def finish(self) -> Delta[Facts] | None:
        """The delta; None for no effect."""
        if not self._facts and not self._superseded:
            return None
        spoken = list(self._facts) or [self._mutation.next_dot()]  # a removal takes a dot of its own
        return Delta(Facts(self._facts), CausalContext(self._mutation.table, (*spoken, *self._superseded)))

    def supersede(self, facts: Iterable[tuple[Dot, Fact]], *, but: Kind | None = None) -> None:
        """Do away with facts that were seen.

        Args:
            facts: which.
            but: those of this kind stay.
        """
        for dot, fact in facts:
            if fact.kind is but:
                continue
            self._superseded.append(dot)
            if fact.kind is Kind.REGISTER:
                stamp = Stamp(fact.time, fact.replica_id)
                if self._threshold is None or stamp > self._threshold:
                    self._threshold = stamp

    def make_way(self, spot: Spot) -> None:
        """Make the objects that a path leads through and that are not there."""
        for length in range(len(spot.path) - spot.made, len(spot.path)):
            self._put(Fact(spot.path[:length], Kind.OBJECT))

    def replace(self, spot: Spot, value: PlainValue) -> None:
        """Put a value in place of what is there; an element of a list stays in its place."""
        if spot.node is not None:
            self.supersede(spot.node.facts.items(), but=Kind.PLACE)
            for child in (*spot.node.keys.values(), *spot.node.elements.values()):
                self.supersede(child.all_facts())
        self._write(spot.path, value)

    def write_fields(self, path: Path, fields: Mapping[str, PlainValue]) -> None:
        """Write the keys of an object."""
        for key in sorted(fields, key=values.encode):
            self._write((*path, key), fields[key])

    def insert(self, spot: Spot, node: Node, at: int, items: Sequence[PlainValue]) -> None:
        """Put items into a list, before the element at an index."""
        if not items:
            return
        before, after = _around(node, at)
        right = after[0][0] if after else None
        positions = [self._between(before, after)]
        while len(positions) < len(items):
            positions.append(between(positions[-1], right, tag=self._tag, bias=Bias.LEFT))
        self.make_way(spot)
        if not node.weight:
            self._put(Fact(spot.path, Kind.LIST))
        for position, item in zip(positions, items, strict=True):
            self._write_element(spot.path, position, item)

    def move(self, spot: Spot, node: Node, at: int, to: int) -> None:
        """Take an element to another index."""
        uid = node.order[at][1]
        before, after = _around(node, to + (to > at), without=at)
        position = self._between(before, after)
        element = node.elements[uid]
        self.supersede((dot, fact) for dot, fact in element.facts.items() if fact.kind is Kind.PLACE)
        self._put(Fact((*spot.path, uid), Kind.PLACE, data=position))

    @property
    def _replica_id(self) -> bytes:
        return self._mutation.table.id_of(self._mutation.replica)

    @property
    def _tag(self) -> bytes:
        return self._replica_id[:TAG_BYTES]

    def _put(self, fact: Fact) -> Dot:
        dot = self._mutation.next_dot()
        self._facts[dot] = fact
        return dot

    def _write(self, path: Path, value: PlainValue) -> None:
        dot = self._mutation.next_dot()
        self._write_under(dot, path, value)

    def _write_element(self, path: Path, position: bytes, value: PlainValue) -> None:
        dot = self._mutation.next_dot()
        self._write_under(dot, (*path, Uid(position, self._replica_id, dot)), value)

    def _write_under(self, dot: Dot, path: Path, value: PlainValue) -> None:
        """Write a value, the first fact of it under a dot that was taken already."""
        if isinstance(value, Mapping):
            self._facts[dot] = Fact(path, Kind.OBJECT)
            self.write_fields(path, value)
        elif isinstance(value, list | tuple):
            self._facts[dot] = Fact(path, Kind.LIST)
            position: bytes | None = None
            for item in value:
                position = between(position, None, tag=self._tag)
                self._write_element(path, position, item)
        else:
            if self._stamp is None:
                self._stamp = self._mutation.stamp(self._threshold)
            self._facts[dot] = Fact(path, Kind.REGISTER, *self._stamp, values.encode(value))

    def _between(self, before: _Elements, after: _Elements) -> bytes:
        """A position between two elements, given what is on either side of it, the nearest first."""
        ages = [self._age(before, 0), self._age(before, 1), self._age(after, 0), self._age(after, 1)]
        return between(
            before[0][0] if before else None, after[0][0] if after else None, tag=self._tag, bias=_bias(*ages)
        )

    def _age(self, side: _Elements, at: int) -> int:
        """When an element was made, as the writer's own count; 0 if by another replica."""
        dot = side[at][1].dot if at < len(side) else 0
        return dot if replica_of(dot) == self._mutation.replica else 0


def require_room(path: Sequence[object], value: PlainValue) -> None:
    """Refuse a value that would lie too deep, or keys that are too long.

    Args:
        path: where the value is to go; its text steps are keys.
        value: what is to go there.

    Raises:
        InvalidOperation: so it is.
    """
    for step in path:
        if isinstance(step, str):
            require_key(step)
    _require_depth(value, STEPS_MAX - len(path))


def _require_depth(value: PlainValue, room: int) -> None:
    if room < 0:
        raise InvalidOperation(f"JsonDocument: a value would be nested deeper than {STEPS_MAX} steps from the root")
    if isinstance(value, Mapping):
        for key, inner in value.items():
            require_key(key)
            _require_depth(inner, room - 1)
    elif isinstance(value, list | tuple):
        for inner in value:
            _require_depth(inner, room - 1)


def _around(node: Node, at: int, *, without: int | None = None) -> tuple[_Elements, _Elements]:
    """The two elements before an index of a list and the two from it on, the nearest first; one may be left out."""
    order = node.order
    before = [order[i] for i in range(at - 1, max(at - 4, -1), -1) if i != without]
    after = [order[i] for i in range(at, min(at + 3, len(order))) if i != without]
    return before[:2], after[:2]


def _bias(left: int, left_of_left: int, right: int, right_of_right: int) -> Bias:
    """Where in a gap to put an element, by the ages of its neighbours; greater is newer, 0 is another replica's.

    Who types forwards makes each element to the right of the newest, whose left neighbour is the second newest: the
    room to the right is what the next one needs. Backwards is the same, mirrored. Who inserts in the middle of a
    growing list does so between the newest and the second newest, and goes on beside the new element on the side of the
    newest: the room between these two must be left.
    """
    if left > right and left - max(left_of_left, right) <= _IN_A_ROW:
        if left > left_of_left > right:
            return Bias.LEFT
        if right > left_of_left:
            return Bias.RIGHT
    if right > left and right - max(right_of_right, left) <= _IN_A_ROW:
        if right > right_of_right > left:
            return Bias.RIGHT
        if left > right_of_right:
            return Bias.LEFT
    return Bias.MIDDLE
