# ruff: noqa: ASYNC109 - a timeout here is the deadline that travels to the node, not only our patience
"""Replicated state by key, without an actor: `client.state`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

from crdtmesh.crdts.operations import Operation
from crdtmesh.crdts.values import PlainValue
from crdtmesh.levels import LevelInvalid
from crdtmesh.sdk.unary import Unary
from crdtmesh.wire import values
from crdtmesh.wire.gen.crdtmesh.v1 import state_pb2, values_pb2
from crdtmesh.wire.levels import level_to_proto

__all__ = ["EntryUpdate", "Session", "StateClient", "StateEntry"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StateEntry:
    """One replicated state, as the node that was asked holds it.

    Attributes:
        system: the actor system it belongs to.
        key: its name; an actor's state is under the actor's name.
        type_name: "ORSet", "PNCounter", ...; the same key may exist with two types.
        value: what the state reads as.
        expires_at: when it expires, in seconds since 1970; None for never. Told by `get` alone.
    """

    system: str
    key: str
    type_name: str
    value: PlainValue
    expires_at: float | None = None


@dataclass(frozen=True, slots=True)
class EntryUpdate:
    """What is to be done to one of several entries.

    Attributes:
        key: of the entry.
        type_name: "ORSet", "PNCounter", ...
        operations: in order.
    """

    key: str
    type_name: str
    operations: Sequence[Operation]


class Session:
    """What a client has seen and done, to be continued at any node.

    Pass one to reads and updates: a read shows at least what the reads and updates before it did, on whichever node
    they were. It waits for that, at most its timeout.
    """

    __slots__ = ("_tokens",)

    def __init__(self) -> None:
        self._tokens: dict[tuple[str, str], str] = {}

    def tokens(self, system: str) -> list[str]:
        """What a read of this system has to wait for."""
        return [token for (name, _), token in self._tokens.items() if name == system]

    def saw(self, system: str, token: str) -> None:
        """Takes the token of an answer; it replaces the one of the same shard."""
        if token:
            self._tokens[system, token.partition(".")[0]] = token


class StateClient:
    """Reads and changes replicated state on the node that the client is connected to."""

    __slots__ = ("_unary",)

    def __init__(self, unary: Unary) -> None:
        self._unary = unary

    async def get(
        self,
        system: str,
        key: str,
        type_name: str = "",
        *,
        read: str | None = None,
        session: Session | None = None,
        timeout: float | None = None,
    ) -> StateEntry | None:
        """One entry, or None.

        Args:
            system: the actor system.
            key: the entry's key.
            type_name: may be left out when only one type exists under the key, and nothing above `local` is asked.
            read: "local", "to(n)", "majority", "majority(min_cap=n,extra=n)" or "all": from so many voters the answer
                is joined, and they have it when it comes. None: this node's copy.
            session: the answer shows at least what was seen and done in it before.
            timeout: in seconds; the client's default if None.

        Raises:
            CallError: one of its subclasses.
            ValueError: `read` names no level.
        """
        level, options = level_of(read)
        after = session.tokens(system) if session is not None else ()
        request = state_pb2.GetStateRequest(
            key=_key(system, key, type_name), level=level, level_options=options, after=after
        )
        response = await self._unary("State.Get", request, timeout)
        if session is not None:
            session.saw(system, response.token)
        if not response.found:
            return None
        expires_at = response.expires_at_ms / 1000 if response.HasField("expires_at_ms") else None
        return _entry(response.key, response.value, expires_at=expires_at)

    async def list(
        self,
        system: str,
        prefix: str = "",
        *,
        page_size: int = 100,
        read: str | None = None,
        timeout: float | None = None,
    ) -> AsyncIterator[StateEntry]:
        """All entries whose key starts with the prefix, in order of their keys.

        They are asked for page by page, so the answer is no snapshot.

        Args:
            system: the actor system.
            prefix: of the keys; empty for all.
            page_size: entries in one answer; at most 1,000.
            read: from how many voters each page is joined, as in `get`. None: this node's copy.
            timeout: of each page, in seconds; the client's default if None.

        Raises:
            CallError: one of its subclasses.
            ValueError: `read` names no level.
        """
        level, options = level_of(read)
        token = ""
        while True:
            request = state_pb2.ListStateRequest(
                system=system,
                prefix=prefix,
                page_size=page_size,
                page_token=token,
                level=level,
                level_options=options,
            )
            response = await self._unary("State.List", request, timeout)
            for entry in response.entries:
                yield _entry(entry.key, entry.value)
            token = response.next_page_token
            if not token:
                return

    async def update(  # noqa: PLR0913 - options by name
        self,
        system: str,
        key: str,
        type_name: str,
        operations: Operation | Sequence[Operation],
        *,
        write: str | None = None,
        session: Session | None = None,
        operation_id: str = "",
        ttl: float | None = None,
        timeout: float | None = None,
    ) -> tuple[bool, PlainValue]:
        """Changes one entry; all operations take effect, or none.

        Args:
            system: the actor system.
            key: the entry's key.
            type_name: "ORSet", "PNCounter", ...
            operations: such as `Operation("add", ("milk",))`; several become one event.
            write: "local", "to(n)", "majority", "majority(min_cap=n,extra=n)" or "all": how many voters have the
                update on disk when the answer comes. None: what the actor of this state says, else "local".
            session: later reads in it show this update, at whichever node.
            operation_id: what was done under this id is not done again: retry an update whose outcome is unknown with
                the same one, at the same node, within 10 minutes. At most 128 characters.
            ttl: seconds that the entry lives from now, or longer if it does already; then every node drops it. Without
                operations this alone is changed. 0: it does not expire any more. None: as the node's settings say for
                the key, else as it was.
            timeout: in seconds; the client's default if None.

        Returns:
            Whether anything changed, and what the state reads as afterwards.

        Raises:
            CallError: one of its subclasses; `outcome` says what became of the operations.
            InvalidValue: an argument is none that the mesh can hold; nothing was sent.
            ValueError: `write` names no level; nothing was sent.
        """
        several = [operations] if isinstance(operations, Operation) else operations
        level, options = level_of(write)
        request = state_pb2.UpdateStateRequest(
            key=_key(system, key, type_name),
            mutations=values.mutations_from_operations(several),
            level=level,
            level_options=options,
            operation_id=operation_id,
            ttl_ms=_ttl_ms(ttl),
        )
        response = await self._unary("State.Update", request, timeout)
        if session is not None:
            session.saw(system, response.token)
        return response.changed, values.plain_from_value(response.value)[1]

    async def delete(
        self,
        system: str,
        key: str,
        type_name: str = "",
        *,
        write: str | None = None,
        session: Session | None = None,
        timeout: float | None = None,
    ) -> bool:
        """Removes one entry: what the node has seen of it. What others do to it at the same time survives.

        Args:
            system: the actor system.
            key: the entry's key; free again at once.
            type_name: may be left out when only one type exists under the key.
            write: as in `update`.
            session: later reads in it show that it is gone, at whichever node.
            timeout: in seconds; the client's default if None.

        Returns:
            Whether there was something.

        Raises:
            CallError: one of its subclasses; `outcome` says what became of it.
            ValueError: `write` names no level; nothing was sent.
        """
        level, options = level_of(write)
        request = state_pb2.DeleteStateRequest(key=_key(system, key, type_name), level=level, level_options=options)
        response = await self._unary("State.Delete", request, timeout)
        if session is not None:
            session.saw(system, response.token)
        return bool(response.found)

    async def update_together(
        self,
        system: str,
        updates: Sequence[EntryUpdate],
        *,
        write: str | None = None,
        ttl: float | None = None,
        timeout: float | None = None,
    ) -> tuple[bool, tuple[PlainValue, ...]]:
        """Changes several entries as one event: everywhere all of them are changed, or none.

        Their keys have to lie in one shard: what is in braces decides about that alone, so `{order-7}/lines` and
        `{order-7}/total` may change together.

        Args:
            system: the actor system of all of them.
            updates: at most 64 entries, each once.
            write: as in `update`.
            ttl: of each of them, as in `update`.
            timeout: in seconds; the client's default if None.

        Returns:
            Whether anything changed, and what each of them reads as afterwards.

        Raises:
            CallError: one of its subclasses; `InvalidOperation` for keys of several shards.
            InvalidValue: an argument is none that the mesh can hold; nothing was sent.
            ValueError: there are no updates, or `write` names no level; nothing was sent.
        """
        if not updates:
            raise ValueError("expected at least one entry to update")
        level, options = level_of(write)
        first, *others = (
            state_pb2.EntryUpdate(
                key=_key(system, update.key, update.type_name),
                mutations=values.mutations_from_operations(update.operations),
            )
            for update in updates
        )
        request = state_pb2.UpdateStateRequest(
            key=first.key,
            mutations=first.mutations,
            level=level,
            level_options=options,
            others=others,
            ttl_ms=_ttl_ms(ttl),
        )
        response = await self._unary("State.Update", request, timeout)
        found = [response.value, *response.other_values]
        return response.changed, tuple(values.plain_from_value(value)[1] for value in found)


def level_of(text: str | None) -> tuple[values_pb2.Level, values_pb2.LevelOptions]:
    """The fields of a request for a level.

    Raises:
        ValueError: the text names none.
    """
    try:
        return level_to_proto(text)
    except LevelInvalid as error:
        raise ValueError(str(error)) from None


def _key(system: str, key: str, type_name: str) -> Any:
    return state_pb2.StateKey(system=system, key=key, type=type_name)


def _entry(key: state_pb2.StateKey, value: values_pb2.Value, *, expires_at: float | None = None) -> StateEntry:
    type_name, plain = values.plain_from_value(value)
    return StateEntry(system=key.system, key=key.key, type_name=type_name, value=plain, expires_at=expires_at)


def _ttl_ms(ttl: float | None) -> int | None:
    return None if ttl is None else 0 if ttl == 0 else max(1, round(ttl * 1000))
