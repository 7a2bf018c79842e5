"""The store of a JSON document: one DotFun from dot to *fact*, and the tree that is read off it.

A document nests objects in lists in objects, all under one causal context. Joined recursively, each dot stands or falls
by itself, so the nesting need not be joined at all: a fact says where it is, and the join of documents is that of one
DotFun. The tree is an index over the facts. It is built when it is first needed and kept up by `absorb`, so that a
change costs what it changes; deltas never have one.

    fact       path, kind, and what the kind holds
    path       steps from the root: text leads to an object's key, `Uid` to a list's element
    REGISTER   (time, replica id, canonical scalar): a write of a scalar, as in an LWWRegister
    OBJECT     here is an object, perhaps an empty one
    LIST       here is a list, perhaps an empty one
    PLACE      (position): the element was moved there

A place where replicas wrote different shapes concurrently holds them all. An element whose content is gone is not in
its list, whatever places it was moved to meanwhile.
"""

from bisect import bisect_left, insort
from collections.abc import Iterator
from enum import IntEnum
from typing import Final, NamedTuple, TypeAlias

from crdtmesh.crdts import values
from crdtmesh.crdts.base import Delta
from crdtmesh.crdts.context import CausalContext, require_same_table
from crdtmesh.crdts.dots import Dot
from crdtmesh.crdts.stores import spoken_dots


class Kind(IntEnum):
    """What a fact says."""

    REGISTER = 0
    OBJECT = 1
    LIST = 2
    PLACE = 3


class Uid(NamedTuple):
    """The identity of a list element: where it was made, and the dot that made it.

    Ordered by position, then by replica id and number of the dot: the order of elements that were not moved, the same
    everywhere.
    """

    position: bytes
    replica_id: bytes
    dot: Dot


Step: TypeAlias = str | Uid
Path: TypeAlias = tuple[Step, ...]


class Fact(NamedTuple):
    """What one dot says; never changed.

    Facts are ordered so that of two under one dot, which only a replica id used twice brings about, all replicas keep
    the same.
    """

    path: Path
    kind: Kind
    time: int = 0
    replica_id: bytes = b""
    data: bytes = b""

    def __lt__(self, other: tuple[object, ...]) -> bool:
        assert isinstance(other, Fact)
        return self._rank() < other._rank()

    def __gt__(self, other: tuple[object, ...]) -> bool:
        assert isinstance(other, Fact)
        return self._rank() > other._rank()

    def _rank(self) -> tuple[object, ...]:
        """Comparable whatever the steps: text sorts before elements."""
        return [(step,) if isinstance(step, str) else ("", *step) for step in self.path], self[1:]


class Node:
    """One place of a document, with all that is nested in it.

    Attributes:
        facts: what is said of the place itself.
        keys: places under it, by key.
        elements: places under it, by identity of the element.
        weight: facts here and below that make something visible: all but places.
    """

    __slots__ = ("_order", "elements", "facts", "keys", "weight")

    def __init__(self) -> None:
        self.facts: dict[Dot, Fact] = _NO_FACTS
        self.keys: dict[str, Node] = _NO_KEYS
        self.elements: dict[Uid, Node] = _NO_ELEMENTS
        self.weight = 0
        self._order: list[tuple[bytes, Uid]] | None = None

    @property
    def is_object(self) -> bool:
        """Whether an object is to be seen here, perhaps among other shapes."""
        return any(fact.kind is Kind.OBJECT for fact in self.facts.values()) or any(
            child.weight for child in self.keys.values()
        )

    @property
    def is_list(self) -> bool:
        """Whether a list is to be seen here, perhaps among other shapes."""
        return any(fact.kind is Kind.LIST for fact in self.facts.values()) or any(
            child.weight for child in self.elements.values()
        )

    @property
    def writes(self) -> list[tuple[int, bytes, bytes]]:
        """The scalars written here, each as (time, replica id, canonical value), the one that holds last."""
        return sorted(fact[2:] for fact in self.facts.values() if fact.kind is Kind.REGISTER)

    def place_of(self, uid: Uid) -> bytes:
        """Where the element that this node is the content of stands: the greatest place it was moved to."""
        return max((fact.data for fact in self.facts.values() if fact.kind is Kind.PLACE), default=uid.position)

    @property
    def order(self) -> list[tuple[bytes, Uid]]:
        """The visible elements in the order of the list, each behind its place; only read it."""
        if self._order is None:
            self._order = sorted((child.place_of(uid), uid) for uid, child in self.elements.items() if child.weight)
        return self._order

    def all_facts(self) -> Iterator[tuple[Dot, Fact]]:
        """The facts here and below, visible or not."""
        yield from self.facts.items()
        for child in (*self.keys.values(), *self.elements.values()):
            yield from child.all_facts()

    def child(self, step: Step) -> "Node | None":
        """The place a step away."""
        return self.keys.get(step) if isinstance(step, str) else self.elements.get(step)

    # --- kept up by the tree

    def attach(self, step: Step, child: "Node") -> None:
        """Put a place under this one."""
        if isinstance(step, str):
            if self.keys is _NO_KEYS:
                self.keys = {}
            self.keys[step] = child
        else:
            if self.elements is _NO_ELEMENTS:
                self.elements = {}
            self.elements[step] = child

    def detach(self, step: Step) -> None:
        """Take a place away."""
        if isinstance(step, str):
            del self.keys[step]
        else:
            del self.elements[step]

    def show(self, uid: Uid, place: bytes) -> None:
        """Enter an element into the order."""
        if self._order is not None:
            insort(self._order, (place, uid))

    def hide(self, uid: Uid, place: bytes) -> None:
        """Take an element out of the order."""
        if self._order is not None:
            del self._order[bisect_left(self._order, (place, uid))]


# Shared by all nodes that hold none, which saves a leaf 200 bytes; `attach` and `_enter` replace them.
_NO_FACTS: Final[dict[Dot, Fact]] = {}
_NO_KEYS: Final[dict[str, Node]] = {}
_NO_ELEMENTS: Final[dict[Uid, Node]] = {}


class Facts:
    """DotFun⟨Fact⟩: a document, or a delta of one.

    Attributes:
        facts: the function itself. Changing it from outside breaks the tree; `mutate` and queries only read it.
    """

    __slots__ = ("_root", "facts")
    __hash__ = None  # type: ignore[assignment]  # it is mutable

    def __init__(self, facts: dict[Dot, Fact] | None = None) -> None:
        self.facts: dict[Dot, Fact] = {} if facts is None else facts
        self._root: Node | None = None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Facts):
            return NotImplemented
        return self.facts == other.facts

    def __repr__(self) -> str:
        return f"Facts({self.facts!r})"

    @property
    def root(self) -> Node:
        """The tree. Built once, in time of the document; stays current from then on."""
        if self._root is None:
            self._root = Node()
            for dot, fact in self.facts.items():
                _enter(self._root, dot, fact)
        return self._root

    def absorb(self, context: CausalContext, delta: Delta["Facts"]) -> bool:
        """Join a delta into this document in place.

        Returns:
            Whether it became different.
        Complexity: O(facts of the document or dots of the delta's context, whichever are fewer), times the depth.
        """
        require_same_table(context, delta.context)
        facts, changed = self.facts, False
        for dot, fact in delta.store.facts.items():
            ours = facts.get(dot)
            if ours is None:
                if dot in context:
                    continue
            elif not ours < fact:
                continue
            else:
                self._discard(dot)
            self._add(dot, fact)
            changed = True
        for dot in spoken_dots(facts, delta.context):
            if dot not in delta.store.facts:
                self._discard(dot)
                changed = True
        return changed

    def _add(self, dot: Dot, fact: Fact) -> None:
        self.facts[dot] = fact
        if self._root is not None:
            _enter(self._root, dot, fact)

    def _discard(self, dot: Dot) -> None:
        fact = self.facts.pop(dot)
        if self._root is not None:
            _withdraw(self._root, dot, fact)


def plain(node: Node) -> values.PlainValue:
    """What a place reads as, fresh: the object there, else the list, else the scalar that was written last."""
    if node.is_object:
        visible = sorted((values.encode(key), key) for key, child in node.keys.items() if child.weight)
        return {key: plain(node.keys[key]) for _, key in visible}
    if node.is_list:
        return tuple([plain(node.elements[uid]) for _, uid in node.order])
    return values.decode(node.writes[-1][2])


def _enter(root: Node, dot: Dot, fact: Fact) -> None:
    """Add a fact to a tree."""
    trail = _trail(root, fact.path)
    node = trail[-1]
    with_place = fact.kind is Kind.PLACE
    if with_place and node.weight:
        _hide(trail, fact.path, len(fact.path) - 1)
    if node.facts is _NO_FACTS:
        node.facts = {}
    node.facts[dot] = fact
    if with_place:
        if node.weight:
            _show(trail, fact.path, len(fact.path) - 1)
        return
    for place in trail:
        place.weight += 1
    for depth in range(len(fact.path)):
        if trail[depth + 1].weight == 1:
            _show(trail, fact.path, depth)


def _withdraw(root: Node, dot: Dot, fact: Fact) -> None:
    """Take a fact out of a tree, and places that hold nothing any more."""
    trail = _trail(root, fact.path)
    node = trail[-1]
    with_place = fact.kind is Kind.PLACE
    for depth in range(len(fact.path)) if not with_place else [len(fact.path) - 1]:
        weight = trail[depth + 1].weight
        if weight == 1 or (with_place and weight):
            _hide(trail, fact.path, depth)
    del node.facts[dot]
    if with_place and node.weight:
        _show(trail, fact.path, len(fact.path) - 1)
    if not with_place:
        for place in trail:
            place.weight -= 1
    for depth in reversed(range(len(fact.path))):
        child = trail[depth + 1]
        if child.facts or child.keys or child.elements:
            break
        trail[depth].detach(fact.path[depth])


def _trail(root: Node, path: Path) -> list[Node]:
    """The places from the root along a path, made where they are missing."""
    trail = [root]
    for step in path:
        child = trail[-1].child(step)
        if child is None:
            child = Node()
            trail[-1].attach(step, child)
        trail.append(child)
    return trail


def _show(trail: list[Node], path: Path, depth: int) -> None:
    step = path[depth]
    if isinstance(step, Uid):
        trail[depth].show(step, trail[depth + 1].place_of(step))


def _hide(trail: list[Node], path: Path, depth: int) -> None:
    step = path[depth]
    if isinstance(step, Uid):
        trail[depth].hide(step, trail[depth + 1].place_of(step))
