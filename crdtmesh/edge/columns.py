"""Columns and bindings: how a batch on a stream is read and written.

Decides: the bound on handles, when a batch is cut, and what counts as malformed. The other end keeps the same tables.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, TypeVar

from crdtmesh.runtime.definition import ActorAddress
from crdtmesh.wire.gen.crdtmesh.v1 import actors_pb2
from crdtmesh.wire.gen.spawn.actors import actor_pb2

T = TypeVar("T")

# A third byte of varint per item would cost more than binding again; 65,535 addresses of 300 bytes are 20 MB a stream.
HANDLES_MAX: Final = 65_535

# Clients in other languages refuse messages above 4 MiB by default: a batch is cut well below, and only a single item
# may exceed it.
BATCH_SIZE_BYTES_MAX: Final = 1024 * 1024
BATCH_ITEMS_MAX: Final = 4096


class MalformedBatch(Exception):
    """The other end broke the rules of the stream; nothing of the batch was used."""


class BoundNames:
    """What the other end has bound on this stream. Handle 0 of a type URL is the empty one."""

    __slots__ = ("actions", "actors", "type_urls")

    def __init__(self) -> None:
        self.actors: dict[int, ActorAddress] = {}
        self.actions: dict[int, str] = {}
        self.type_urls: dict[int, str] = {0: ""}

    def bind(self, bindings: Iterable[actors_pb2.Binding]) -> None:
        """Takes new bindings.

        Raises:
            MalformedBatch: a handle is out of range or names nothing.
        """
        for binding in bindings:
            handle = binding.handle
            if not 0 < handle <= HANDLES_MAX:
                raise MalformedBatch(f"handle 1 to {HANDLES_MAX} expected, got {handle}")
            target = binding.WhichOneof("target")
            if target == "actor":
                self.actors[handle] = ActorAddress(binding.actor.system, binding.actor.name, binding.actor.parent)
            elif target == "action":
                self.actions[handle] = binding.action
            elif target == "type_url":
                self.type_urls[handle] = binding.type_url
            else:
                raise MalformedBatch(f"binding of handle {handle} names nothing")


class NameBinder:
    """Handles that this end gives out; new ones are collected for the batch that uses them.

    Use it for one batch after another: the names of a batch, of at most `BATCH_ITEMS_MAX` items, then `take_new`.
    """

    __slots__ = ("_actions", "_actors", "_new", "_type_urls")

    def __init__(self) -> None:
        self._actors: dict[ActorAddress, int] = {}
        self._actions: dict[str, int] = {}
        self._type_urls: dict[str, int] = {}
        self._new: list[actors_pb2.Binding] = []

    def actor(self, address: ActorAddress) -> int:
        """The handle of an actor."""
        handle = self._actors.get(address)
        if handle is None:
            handle = self._actors[address] = len(self._actors) + 1
            system, name, parent = address
            actor = actor_pb2.ActorId(system=system, name=name, parent=parent)
            self._new.append(actors_pb2.Binding(handle=handle, actor=actor))
        return handle

    def action(self, name: str) -> int:
        """The handle of an action."""
        handle = self._actions.get(name)
        if handle is None:
            handle = self._actions[name] = len(self._actions) + 1
            self._new.append(actors_pb2.Binding(handle=handle, action=name))
        return handle

    def type_url(self, type_url: str) -> int:
        """The handle of a type URL; 0 for the empty one."""
        if not type_url:
            return 0
        handle = self._type_urls.get(type_url)
        if handle is None:
            handle = self._type_urls[type_url] = len(self._type_urls) + 1
            self._new.append(actors_pb2.Binding(handle=handle, type_url=type_url))
        return handle

    def take_new(self) -> list[actors_pb2.Binding]:
        """The bindings of this batch. A table that the next batch could overfill starts anew."""
        new, self._new = self._new, []
        for table in (self._actors, self._actions, self._type_urls):
            if len(table) > HANDLES_MAX - BATCH_ITEMS_MAX:
                table.clear()
        return new


def bound(table: dict[int, T], handles: Sequence[int], label: str) -> list[T]:
    """The names behind a column of handles.

    Raises:
        MalformedBatch: one is not bound.
    """
    try:
        return [table[handle] for handle in handles]
    except KeyError as error:
        raise MalformedBatch(f"{label} handle {error.args[0]} is not bound on this stream") from None


def column(values: Sequence[T], count: int, default: T, label: str) -> Iterable[T]:
    """A column of the given length; one that was left out holds defaults.

    Raises:
        MalformedBatch: it has another length.
    """
    if len(values) == count:
        return values
    if not values:
        return itertools.repeat(default, count)
    raise MalformedBatch(f"column {label} of {count} items expected, got {len(values)}")


def cuts(payloads: Sequence[bytes]) -> Iterator[slice]:
    """Slices that keep each batch under the bounds. Complexity: O(items), and O(1) for a single small batch."""
    if len(payloads) <= BATCH_ITEMS_MAX and sum(map(len, payloads)) <= BATCH_SIZE_BYTES_MAX:
        yield slice(0, len(payloads))
        return
    start = size = 0
    for index, payload in enumerate(payloads):
        if index > start and (size + len(payload) > BATCH_SIZE_BYTES_MAX or index - start >= BATCH_ITEMS_MAX):
            yield slice(start, index)
            start, size = index, 0
        size += len(payload)
    yield slice(start, len(payloads))
