"""The service `State`: replicated entries by key. What it shows is on this node's disk first."""

from __future__ import annotations

import base64
import binascii
import itertools
from collections.abc import Iterable
from typing import Final

from crdtmesh.crdts import registry
from crdtmesh.crdts.errors import CrdtError, UnknownType
from crdtmesh.crdts.operations import Operation
from crdtmesh.crdts.removals import removal_of
from crdtmesh.edge.context import Context
from crdtmesh.edge.errors import abort
from crdtmesh.edge.pending import PendingCalls
from crdtmesh.edge.server import Service
from crdtmesh.edge.watch import watch
from crdtmesh.engine import Engine
from crdtmesh.engine_ports import CommitLost, LevelUnreached
from crdtmesh.levels import LevelInvalid
from crdtmesh.replication.entry import EntryView
from crdtmesh.replication.errors import TokenInvalid
from crdtmesh.replication.expiring import NO_EXPIRY_MS
from crdtmesh.replication.levels import Level
from crdtmesh.replication.options import KEY_BYTES_MAX
from crdtmesh.replication.outputs import EntryKey
from crdtmesh.replication.repeats import SEPARATOR
from crdtmesh.runtime.errors import ErrorCode, Outcome
from crdtmesh.runtime.messages import STATE_CHANGED, CallFailure, UpdateTerms
from crdtmesh.wire import values
from crdtmesh.wire.gen.crdtmesh.v1 import state_pb2, state_pb2_grpc, values_pb2
from crdtmesh.wire.levels import level_from_proto

PAGE_SIZE_DEFAULT: Final = 100
PAGE_SIZE_MAX: Final = 1_000

# How long a read at a level may take when its caller names no deadline.
TIMEOUT_DEFAULT_MS: Final = 10_000

MS_NS: Final = 1_000_000

# Of the caller's time; the rest is for the way back.
_NODE_PART: Final = 0.9


class StateServicer(state_pb2_grpc.StateServicer):
    """Reads, scans, changes and watches entries on this node."""

    def __init__(self, engine: Engine, pending: PendingCalls, *, system: str) -> None:
        self._engine = engine
        self._pending = pending
        self._system = system

    async def Get(  # noqa: N802 - the name is the protocol's
        self, request: state_pb2.GetStateRequest, context: Context
    ) -> state_pb2.GetStateResponse:
        """One entry."""
        system, key = request.key.system or self._system, request.key.key
        level = await self._level(request.level, request.level_options, context)
        await self._await_tokens(request.after, context)
        if level is not None and not level.is_local:
            return await self._get_at(EntryKey(system, key, request.key.type), level, context)
        if request.key.type:
            await self._check_type(request.key.type, context)
            found = self._engine.replica.read(EntryKey(system, key, request.key.type))
            views = [found] if found is not None else []
        else:
            views = self._types_of(system, key)
        if len(views) > 1:
            names = ", ".join(view.key.type_name for view in views)
            await abort(context, ErrorCode.INVALID_REQUEST, f"several types under this key ({names}); name one")
        response = state_pb2.GetStateResponse(found=bool(views), key=request.key)
        if views:
            response.key.CopyFrom(_key_to_proto(views[0].key))
            response.value.CopyFrom(values.value_from_plain(views[0].key.type_name, views[0].value()))
            self._note_expiry(response, views[0].key)
        response.token = self._token(system, key)
        await self._committed(context)
        return response

    async def _get_at(self, key: EntryKey, level: Level, context: Context) -> state_pb2.GetStateResponse:
        """One entry, as so many voters have it."""
        if not key.type_name:
            await abort(context, ErrorCode.INVALID_REQUEST, f"type is empty; name it for a read at level {level}")
        await self._check_type(key.type_name, context)
        timeout_ms = _timeout_ms(context) or TIMEOUT_DEFAULT_MS
        try:
            read = await self._engine.read_at(key, level, timeout_ns=timeout_ms * MS_NS)
        except CommitLost as error:
            await abort(context, ErrorCode.STORAGE_FAILED, str(error))
        except LevelUnreached as error:
            await abort(context, ErrorCode.TIMEOUT, str(error))
        token = self._token(key.system, key.key)
        await self._committed(context)
        response = state_pb2.GetStateResponse(found=read.found, key=_key_to_proto(key), token=token)
        if read.found:
            response.value.CopyFrom(values.value_from_plain(key.type_name, read.value))
            self._note_expiry(response, key)
        return response

    async def _gather(self, system: str, prefix: str, level: Level, context: Context) -> None:
        """Has entries here as so many voters have them."""
        timeout_ms = _timeout_ms(context) or TIMEOUT_DEFAULT_MS
        if len(prefix.encode()) > KEY_BYTES_MAX:
            await abort(context, ErrorCode.INVALID_REQUEST, f"prefix: at most {KEY_BYTES_MAX} bytes expected")
        try:
            await self._engine.read_range_at(system, prefix, level, timeout_ns=timeout_ms * MS_NS)
        except CommitLost as error:
            await abort(context, ErrorCode.STORAGE_FAILED, str(error))
        except LevelUnreached as error:
            await abort(context, ErrorCode.TIMEOUT, str(error))

    def _note_expiry(self, response: state_pb2.GetStateResponse, key: EntryKey) -> None:
        expires_ms = self._engine.replica.expires_ms(key)
        if expires_ms is not None:
            response.expires_at_ms = expires_ms

    async def List(  # noqa: N802
        self, request: state_pb2.ListStateRequest, context: Context
    ) -> state_pb2.ListStateResponse:
        """Entries of a system in order of their keys, by pages."""
        size = min(request.page_size or PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX)
        after = await self._page(request.page_token, context)
        level = await self._level(request.level, request.level_options, context)
        if level is not None and not level.is_local:
            await self._gather(request.system or self._system, request.prefix, level, context)
        views = self._engine.replica.entries(request.system or self._system, request.prefix)
        rest = itertools.dropwhile(lambda view: (view.key.key, view.key.type_name) <= after, views) if after else views
        page = list(itertools.islice(rest, size + 1))
        response = state_pb2.ListStateResponse(
            entries=[
                state_pb2.StateEntry(
                    key=_key_to_proto(view.key), value=values.value_from_plain(view.key.type_name, view.value())
                )
                for view in page[:size]
            ]
        )
        if len(page) > size:
            last = page[size - 1].key
            response.next_page_token = base64.urlsafe_b64encode(f"{last.key}\0{last.type_name}".encode()).decode()
        await self._committed(context)
        return response

    async def Update(  # noqa: N802
        self, request: state_pb2.UpdateStateRequest, context: Context
    ) -> state_pb2.UpdateStateResponse:
        """Operations on one entry, or on several of a shard: all of them, or none."""
        level = await self._level(request.level, request.level_options, context)
        updates = [await self._entry_update(request.key, request.mutations, context)]
        updates += [await self._entry_update(other.key, other.mutations, context) for other in request.others]
        reply = await self._pending.update(
            updates,
            UpdateTerms(
                level=level,
                operation_id=request.operation_id,
                ttl_ms=request.ttl_ms if request.HasField("ttl_ms") else None,
                timeout_ms=_timeout_ms(context),
            ),
        )
        if isinstance(reply, CallFailure):
            await abort(context, reply.code, reply.message, reply.outcome)
        kind, payload = reply
        response = state_pb2.UpdateStateResponse(
            changed=kind == STATE_CHANGED, value=values_pb2.Value.FromString(payload)
        )
        for key, _ in updates[1:]:
            view = self._engine.replica.read(key)
            plain = registry.get(key.type_name).value(registry.get(key.type_name).bottom())
            value = plain if view is None else view.value()
            response.other_values.append(values.value_from_plain(key.type_name, value))
        response.token = self._token(updates[0][0].system, updates[0][0].key)
        await self._committed(context)
        return response

    async def Delete(  # noqa: N802
        self, request: state_pb2.DeleteStateRequest, context: Context
    ) -> state_pb2.DeleteStateResponse:
        """Removes an entry."""
        level = await self._level(request.level, request.level_options, context)
        if not request.key.type and not self._types_of(request.key.system or self._system, request.key.key):
            key, removal = EntryKey(request.key.system or self._system, request.key.key, ""), None
        else:
            key, _ = await self._entry_update(request.key, values_pb2.Mutations(), context)
            removal = removal_of(key.type_name)
            if removal is None:
                message = f"a {key.type_name} can't be removed; its rights are spent where they are"
                await abort(context, ErrorCode.INVALID_OPERATION, message)
        response = state_pb2.DeleteStateResponse()
        if removal is not None:
            terms = UpdateTerms(level=level, ttl_ms=NO_EXPIRY_MS, timeout_ms=_timeout_ms(context))
            reply = await self._pending.update([(key, (removal,))], terms)
            if isinstance(reply, CallFailure):
                await abort(context, reply.code, reply.message, reply.outcome)
            response.found = reply[0] == STATE_CHANGED
        response.token = self._token(key.system, key.key)
        await self._committed(context)
        return response

    async def _entry_update(
        self, name: state_pb2.StateKey, mutations: values_pb2.Mutations, context: Context
    ) -> tuple[EntryKey, tuple[Operation, ...]]:
        """One entry of an update, with its operations."""
        system, key, type_name = name.system or self._system, name.key, name.type
        if not key or SEPARATOR in key:
            await abort(context, ErrorCode.INVALID_REQUEST, "key is empty or holds NUL; name the entry to change")
        if not type_name:
            known = self._types_of(system, key)
            if len(known) != 1:
                await abort(
                    context,
                    ErrorCode.INVALID_REQUEST,
                    f"type is empty and {len(known)} types exist under this key; name one",
                )
            type_name = known[0].key.type_name
        await self._check_type(type_name, context)
        try:
            return EntryKey(system, key, type_name), values.operations_from_mutations(mutations)
        except CrdtError as error:
            await abort(context, ErrorCode.INVALID_OPERATION, str(error))

    def _token(self, system: str, key: str) -> str:
        """The session token of a key's shard as it is now, as text."""
        name = EntryKey(system, key, "")
        data = base64.urlsafe_b64encode(self._engine.replica.token(name)).decode()
        return f"{self._engine.replica.shard_of(name)}.{data}"

    async def _await_tokens(self, tokens: Iterable[str], context: Context) -> None:
        """Waits until this node has what session tokens hold."""
        for token in tokens:
            timeout_ms = _timeout_ms(context) or TIMEOUT_DEFAULT_MS
            try:
                data = base64.urlsafe_b64decode(token.partition(".")[2].encode())
                await self._engine.await_token(data, timeout_ns=timeout_ms * MS_NS)
            except (binascii.Error, ValueError, TokenInvalid):
                await abort(context, ErrorCode.INVALID_REQUEST, "after: no token of this cluster; read without it")
            except CommitLost as error:
                await abort(context, ErrorCode.STORAGE_FAILED, str(error))
            except LevelUnreached:
                message = "what the token holds has not reached this node in time; read later, or where it was made"
                await abort(context, ErrorCode.TIMEOUT, message)

    async def Watch(self, request: state_pb2.WatchStateRequest, context: Context) -> None:  # noqa: N802
        """A snapshot, then changes, until the client goes."""
        await watch(self._engine, request, context, system=self._system)

    def _types_of(self, system: str, key: str) -> list[EntryView]:
        read = self._engine.replica.read
        found = (read(EntryKey(system, key, name)) for name in registry.names())
        return [view for view in found if view is not None]

    async def _committed(self, context: Context) -> None:
        try:
            await self._engine.committed()
        except CommitLost as error:
            await abort(context, ErrorCode.STORAGE_FAILED, str(error), Outcome.UNKNOWN)

    async def _check_type(self, name: str, context: Context) -> None:
        try:
            registry.get(name)
        except UnknownType as error:
            await abort(context, ErrorCode.INVALID_REQUEST, str(error))

    async def _level(
        self, number: values_pb2.Level, options: values_pb2.LevelOptions, context: Context
    ) -> Level | None:
        try:
            return level_from_proto(number, options)
        except LevelInvalid as error:
            await abort(context, ErrorCode.INVALID_REQUEST, str(error))

    async def _page(self, token: str, context: Context) -> tuple[str, str] | None:
        if not token:
            return None
        try:
            key, _, type_name = base64.urlsafe_b64decode(token.encode()).decode().partition("\0")
        except (binascii.Error, ValueError):
            await abort(context, ErrorCode.INVALID_REQUEST, "page_token is not one of ours; start without it")
        return key, type_name


def service(engine: Engine, pending: PendingCalls, *, system: str) -> Service:
    """The service, for the server."""
    servicer = StateServicer(engine, pending, system=system)
    return Service("crdtmesh.v1.State", lambda server: state_pb2_grpc.add_StateServicer_to_server(servicer, server))


def _key_to_proto(key: EntryKey) -> state_pb2.StateKey:
    return state_pb2.StateKey(system=key.system, key=key.key, type=key.type_name)


def _timeout_ms(context: Context) -> int:
    """What the caller's deadline leaves for the node, so that its answer gets there in time; 0 without a deadline."""
    left_s = context.time_remaining()
    return 0 if left_s is None else max(1, int(left_s * 1000 * _NODE_PART))
