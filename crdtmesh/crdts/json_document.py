"""JsonDocument: nested objects, lists and scalars that merge at every depth.

State: DotFun from dot to a fact about one place (`json_tree`), all under one context. `set` supersedes all that it has
seen at its place and below and writes the new content, each scalar, object and list under a dot of its own; `delete`
supersedes and writes nothing. An operation takes one run of dots, so a change of several fields is one event.
Join: that of DotFun. Value: a dict; the empty document reads as `{}` and is no entry.

Who wins: changes of different places are all kept. What was deleted or replaced is gone as far as that was seen; what
was written below it concurrently survives, and its objects and lists with it. Of concurrent writes of one scalar the
later one is read, by the hybrid clock and then the greater replica id, as in an LWWRegister; the others stay in the
state until somebody writes there again (`shapes`). Where concurrent writes have different shapes, all are kept and the
object is read before the list before the scalar.

Lists: an element is its own, not its index. What one replica inserts in a row stays together (`positions`). A move
keeps the element; of concurrent moves the one to the greatest place holds. An element moved and deleted concurrently is
deleted; changed and deleted concurrently it stays, with what was changed. Elements that come back so stand where they
were made, or where a move took them that the deletion had not seen.

Scalars are what plain values are, lists and dicts apart: None, bool, int, float, text, bytes.

After a removal nothing is kept but the dots in the context. A change costs O(what it changes), times the depth, and
O(list) for the place in a list; reading out costs O(document).
Source: Rinberg et al., "DSON: JSON CRDT using delta-mutations for document stores", VLDB 2022.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, TypeAlias, cast

from crdtmesh.crdts import values
from crdtmesh.crdts.base import WHOLE, Delta, Mutation, Touched
from crdtmesh.crdts.clock import Stamp
from crdtmesh.crdts.codec import Reader, Writer
from crdtmesh.crdts.context import CausalContext, require_same_table
from crdtmesh.crdts.dots import Dot
from crdtmesh.crdts.errors import InvalidOperation, shorten
from crdtmesh.crdts.json_codec import read_facts, write_facts
from crdtmesh.crdts.json_edits import Draft, find, find_list, index_in, reach, require_room, steps_of
from crdtmesh.crdts.json_tree import Facts, Kind, plain
from crdtmesh.crdts.operations import Operation, require_operation
from crdtmesh.crdts.stores import join_dot_funs
from crdtmesh.crdts.values import PlainValue

_Edit: TypeAlias = Callable[["JsonDocument", Facts, Draft, Operation], None]


class JsonDocument:
    """The data type; see the module for its meaning.

    A path is a list of keys (text) and indices (integers, from the end if negative), from the root.

    Operations:
        `set(path, value)`: put a value there, in place of all that is there. Objects on the way are made where nothing
            is. The path of the root takes a dict.
        `update(path, fields)`: set several keys of an object, and leave its others.
        `insert(path, index, value)`: put an element into the list at the path, before the one at the index. -1 is
            the end. The list is made where nothing is.
        `extend(path, items)`: put elements at the end of a list, which is made where nothing is.
        `move(path, index, to)`: take an element of a list elsewhere; `to` is its index afterwards.
        `delete(path)`: take a key or an element away. An absent key has no effect.
        `clear()`: empty the document.
    """

    name: Final = "JsonDocument"
    operations: Final[Mapping[str, tuple[int, int]]] = {
        "set": (2, 2),
        "update": (2, 2),
        "insert": (3, 3),
        "extend": (2, 2),
        "move": (3, 3),
        "delete": (1, 1),
        "clear": (0, 0),
    }

    def bottom(self) -> Facts:
        """The empty document."""
        return Facts()

    def is_bottom(self, store: Facts) -> bool:
        """Whether nothing is said about the document."""
        return not store.facts

    def dots(self, store: Facts) -> Iterator[Dot]:
        """The live dots."""
        return iter(store.facts)

    def copy(self, store: Facts) -> Facts:
        """A store that can be changed independently; facts are immutable and shared."""
        return Facts(store.facts.copy())

    def restrict(self, store: Facts, keep: Callable[[Dot], bool]) -> Facts:
        """The facts whose dot is to be kept."""
        return Facts({dot: fact for dot, fact in store.facts.items() if keep(dot)})

    def join(self, a: Facts, a_context: CausalContext, b: Facts, b_context: CausalContext) -> Facts:
        """The join, as a new store."""
        require_same_table(a_context, b_context)
        return Facts(join_dot_funs(a.facts, a_context, b.facts, b_context))

    def absorb(self, store: Facts, context: CausalContext, delta: Delta[Facts]) -> tuple[Facts, Touched]:
        """The join in place; O(delta) times the depth."""
        return store, WHOLE if store.absorb(context, delta) else ()

    def mutate(self, store: Facts, operation: Operation, mutation: Mutation) -> Delta[Facts] | None:
        """The delta of an operation.

        Setting and moving have an effect even if the document reads the same afterwards; deleting an absent key,
        extending by nothing and moving to the same index have none.
        """
        require_operation(self.name, operation, self.operations)
        values.encode(tuple(operation.arguments))  # refuses what is no plain value, before any dot is taken
        draft = Draft(mutation)
        _EDITS[operation.name](self, store, draft, operation)
        return draft.finish()

    def stamp(self, store: Facts) -> Stamp | None:
        """The greatest stamp of all scalars."""
        stamps = [Stamp(fact.time, fact.replica_id) for fact in store.facts.values() if fact.kind is Kind.REGISTER]
        return max(stamps, default=None)

    def value(self, store: Facts) -> dict[str, PlainValue]:
        """The document, as a fresh dict; keys in the order of their bytes."""
        if not store.root.weight:
            return {}
        return cast("dict[str, PlainValue]", plain(store.root))

    def shapes(self, store: Facts, path: Sequence[str | int]) -> dict[str, PlainValue]:
        """Everything that is kept at a place, whichever is read: `object`, `list`, and `scalars`, the oldest first.

        Raises:
            InvalidOperation: the path leads nowhere.
        """
        node = find(store.root, steps_of(path))
        if node is None:
            raise InvalidOperation(f"JsonDocument: nothing is at {shorten(path)}")
        found: dict[str, PlainValue] = {}
        if node.is_object:
            found["object"] = plain(node)
        if node.is_list:
            found["list"] = tuple(plain(node.elements[uid]) for _, uid in node.order)
        if node.writes:
            found["scalars"] = values.decode_all(write[2] for write in node.writes)
        return found

    def encode(self, store: Facts, writer: Writer) -> None:
        """Write the tree of facts; see `json_codec`."""
        write_facts(store, writer)

    def decode(self, reader: Reader) -> Facts:
        """Read a tree of facts."""
        return read_facts(reader)

    def _set(self, store: Facts, draft: Draft, operation: Operation) -> None:
        path, value = operation.arguments
        steps = steps_of(path)
        if not steps:
            self._replace_all(store, draft, value)
            return
        spot = reach(store.root, steps)
        require_room(spot.path, value)
        draft.make_way(spot)
        draft.replace(spot, value)

    def _replace_all(self, store: Facts, draft: Draft, value: PlainValue) -> None:
        if not isinstance(value, Mapping):
            raise InvalidOperation(f"JsonDocument.set of the root takes a dict, got {shorten(value)}")
        require_room((), value)
        draft.supersede(store.facts.items())
        draft.write_fields((), value)

    def _update(self, store: Facts, draft: Draft, operation: Operation) -> None:
        path, fields = operation.arguments
        steps = steps_of(path)
        if not isinstance(fields, Mapping):
            raise InvalidOperation(f"JsonDocument.update takes a dict of fields, got {shorten(fields)}")
        if not fields:
            return
        spots = [reach(store.root, [*steps, key]) for key in sorted(fields, key=values.encode)]
        for spot in spots:
            require_room(spot.path, fields[cast("str", spot.path[-1])])
        draft.make_way(spots[0])
        for spot in spots:
            draft.replace(spot, fields[cast("str", spot.path[-1])])

    def _insert(self, store: Facts, draft: Draft, operation: Operation) -> None:
        path, index, value = operation.arguments
        spot, node = find_list(store.root, steps_of(path), may_be_absent=True)
        at = index_in(len(node.order) + 1, index)
        require_room(spot.path, (value,))
        draft.insert(spot, node, at, (value,))

    def _extend(self, store: Facts, draft: Draft, operation: Operation) -> None:
        path, items = operation.arguments
        if not isinstance(items, list | tuple):
            raise InvalidOperation(f"JsonDocument.extend takes a list of items, got {shorten(items)}")
        spot, node = find_list(store.root, steps_of(path), may_be_absent=True)
        require_room(spot.path, items)
        draft.insert(spot, node, len(node.order), items)

    def _move(self, store: Facts, draft: Draft, operation: Operation) -> None:
        path, index, to = operation.arguments
        spot, node = find_list(store.root, steps_of(path))
        at, target = index_in(len(node.order), index), index_in(len(node.order), to)
        if at != target:
            draft.move(spot, node, at, target)

    def _delete(self, store: Facts, draft: Draft, operation: Operation) -> None:
        steps = steps_of(operation.arguments[0])
        if not steps:
            raise InvalidOperation(
                "JsonDocument.delete takes the path of a key or an element; clear empties the document"
            )
        node = find(store.root, steps)
        if node is not None:
            draft.supersede(node.all_facts())

    def _clear(self, store: Facts, draft: Draft, operation: Operation) -> None:
        draft.supersede(store.facts.items())


_EDITS: Final[Mapping[str, _Edit]] = {
    "set": JsonDocument._set,
    "update": JsonDocument._update,
    "insert": JsonDocument._insert,
    "extend": JsonDocument._extend,
    "move": JsonDocument._move,
    "delete": JsonDocument._delete,
    "clear": JsonDocument._clear,
}

JSON_DOCUMENT: Final = JsonDocument()
"""The data type's only instance."""
