"""Following replicated state: `client.watch`."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import grpc.aio

from crdtmesh.crdts.values import PlainValue
from crdtmesh.sdk.connection import Backoff
from crdtmesh.sdk.errors import CallError, ConnectionLost, NodeDraining
from crdtmesh.sdk.unary import call_error
from crdtmesh.wire import values
from crdtmesh.wire.gen.crdtmesh.v1 import state_pb2, values_pb2

__all__ = ["MapChange", "SetChange", "WatchEvent", "watch_events", "watch_request"]

WatchKind = Literal["snapshot", "present", "absent", "complete", "changed", "deleted"]

SnapshotReason = Literal["", "first", "other_node", "expired", "other_selection"]

_KINDS: Final[Mapping[int, WatchKind]] = {1: "present", 2: "absent", 3: "changed", 4: "deleted"}

_REASONS: Final[Mapping[int, SnapshotReason]] = {1: "first", 2: "other_node", 3: "expired", 4: "other_selection"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SetChange:
    """How a set differs from what was shown before."""

    added: tuple[PlainValue, ...] = ()
    removed: tuple[PlainValue, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MapChange:
    """How a map differs from what was shown before.

    Attributes:
        added: keys that are new, with what they read as.
        removed: keys that are gone, with what they read as before.
        changed: other keys that read as something else: before and now.
    """

    added: Mapping[str, PlainValue] = field(default_factory=dict)
    removed: Mapping[str, PlainValue] = field(default_factory=dict)
    changed: Mapping[str, tuple[PlainValue, PlainValue]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchEvent:
    """One step of a watch.

    Attributes:
        kind: "snapshot": one begins, and what was shown before is to be forgotten; "present": an entry of it;
            "absent": there is nothing under the one key; "complete": it is whole; then "changed" and "deleted".
        system, key, type_name: the entry; empty for "snapshot" and "complete".
        value: what it reads as, "present" and "changed"; None where `change` says how it changed.
        old_value: what was shown before, "changed" and "deleted"; None for an entry that is new.
        change: of a set or a map that changed.
        is_lagged: we were slow, and several changes were joined into this one.
        is_expired: "deleted": nobody removed it, its time was over by the node's clock.
        reason: why a snapshot begins: "first"; "other_node": another node, or another run of it, than the token's;
            "expired": it was too long ago; "other_selection": the token is of other entries.
        token: for going on behind this event.
    """

    kind: WatchKind
    system: str = ""
    key: str = ""
    type_name: str = ""
    value: PlainValue = None
    old_value: PlainValue = None
    change: SetChange | MapChange | None = None
    is_lagged: bool = False
    is_expired: bool = False
    reason: SnapshotReason = ""
    token: str = ""


def watch_request(
    system: str, key: str | None, *, prefix: str, type_name: str, interval_ms: int | None, token: str
) -> state_pb2.WatchStateRequest:
    """The request of a watch; see `Client.watch`."""
    request = state_pb2.WatchStateRequest(system=system, type=type_name, resume_token=token)
    if key is not None:
        request.key = key
    else:
        request.prefix = prefix
    if interval_ms is not None:
        request.interval_ms = interval_ms
    return request


async def watch_events(
    open_call: Callable[[state_pb2.WatchStateRequest], Awaitable[Any]], request: state_pb2.WatchStateRequest
) -> AsyncGenerator[WatchEvent, None]:
    """The events of a watch, which goes on when its connection breaks.

    Args:
        open_call: starts the call at a node that is connected.
        request: the first one; its token follows what was received.

    Raises:
        CallError: the node refused or ended the watch, or there was none for too long.
    """
    backoff = Backoff()
    while True:
        call = await open_call(request)
        try:
            async for response in call:
                backoff.reset()
                for event in _events(response, request.resume_token):
                    yield event
                request.resume_token = response.resume_token
        except grpc.aio.AioRpcError as error:
            failure = call_error(error)
            if not _is_passing(failure):
                raise failure from None
        except asyncio.CancelledError:
            # A channel that is closed cancels its calls, which looks like a cancellation of ours.
            if (task := asyncio.current_task()) is not None and task.cancelling():
                raise
        finally:
            call.cancel()
        await asyncio.sleep(backoff.next_s())


def _is_passing(failure: CallError) -> bool:
    return isinstance(failure, ConnectionLost | NodeDraining)


def _events(response: state_pb2.WatchStateResponse, before: str) -> Iterator[WatchEvent]:
    """The events of a message; only with the last one the reader has all of it, so only that has its token."""
    events = [_event(change) for change in response.changes]
    if response.snapshot_begins:
        events.insert(0, {"kind": "snapshot", "reason": _REASONS.get(response.snapshot_begins, "expired")})
    if response.snapshot_complete:
        events.append({"kind": "complete"})
    for number, fields in enumerate(events, 1):
        yield WatchEvent(**fields, token=response.resume_token if number == len(events) else before)


def _event(change: state_pb2.StateChange) -> dict[str, Any]:
    key = change.key
    return {
        "kind": _KINDS[change.kind],
        "system": key.system,
        "key": key.key,
        "type_name": key.type,
        "value": values.plain_from_value(change.value)[1] if change.HasField("value") else None,
        "old_value": values.plain_from_value(change.old_value)[1] if change.HasField("old_value") else None,
        "change": _change(change),
        "is_lagged": change.lagged,
        "is_expired": change.expired,
    }


def _elements(found: Iterable[values_pb2.Data]) -> tuple[PlainValue, ...]:
    return tuple(map(values.plain_from_data, found))


def _change(change: state_pb2.StateChange) -> SetChange | MapChange | None:
    if change.HasField("set"):
        return SetChange(added=_elements(change.set.added), removed=_elements(change.set.removed))
    if not change.HasField("map"):
        return None
    plain = functools.partial(values.plain_from_data, is_read=True)
    added: dict[str, PlainValue] = {}
    removed: dict[str, PlainValue] = {}
    changed: dict[str, tuple[PlainValue, PlainValue]] = {}
    for item in change.map.keys:
        if not item.HasField("old_value"):
            added[item.key] = plain(item.new_value)
        elif not item.HasField("new_value"):
            removed[item.key] = plain(item.old_value)
        else:
            changed[item.key] = (plain(item.old_value), plain(item.new_value))
    return MapChange(added=added, removed=removed, changed=changed)
