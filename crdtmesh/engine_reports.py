"""What the cores of a node report and nobody waits for: counted, logged at a bounded rate, passed on to the node."""

from __future__ import annotations

import logging
from typing import Final

from crdtmesh.engine_ports import Counters, Hooks
from crdtmesh.observability import logs
from crdtmesh.replication.outputs import Alarm, CaughtUp, IdentityNeeded, ReadOnly, Reconciled, Rejected, ShardTaken
from crdtmesh.runtime.events import Conflicted, Event, OffersChanged, StateConflict

__all__ = ["Reports"]

_LOG: Final = logging.getLogger("crdtmesh.engine")


class Reports:
    """The reports of one engine."""

    def __init__(self, hooks: Hooks, counters: Counters) -> None:
        self._hooks = hooks
        self._counters = counters
        self._limit = logs.RateLimit(5.0)

    def client_rejected(self, reason: str, detail: str) -> None:
        """Somebody local broke the rules; the arguments are as of `Engine.client_rejected`."""
        self._counters.clients_rejected[reason] = self._counters.clients_rejected.get(reason, 0) + 1
        if self._limit():
            logs.event(_LOG, logging.WARNING, "client.rejected", reason=reason, detail=detail)

    def replica_event(
        self, event: Alarm | Rejected | ReadOnly | IdentityNeeded | CaughtUp | ShardTaken | Reconciled
    ) -> None:
        """Something happened in the replica that no call waits for."""
        if isinstance(event, ReadOnly):
            logs.event(_LOG, logging.ERROR, "storage.failed", reason=event.reason)
            self._hooks.read_only(event.reason)
        elif isinstance(event, IdentityNeeded):
            self._hooks.identity_needed()
        elif isinstance(event, CaughtUp):
            self._hooks.caught_up(event.system)
        elif isinstance(event, ShardTaken):
            _log_shard(event)
        elif isinstance(event, Reconciled):
            self._hooks.reconciled()
        elif isinstance(event, Rejected):
            self._counters.rejected[event.reason] = self._counters.rejected.get(event.reason, 0) + 1
            if self._limit():
                logs.event(
                    _LOG,
                    logging.WARNING,
                    "replication.rejected",
                    peer=event.peer,
                    reason=event.reason,
                    detail=event.detail,
                )
        else:
            self._counters.alarms[event.kind] = self._counters.alarms.get(event.kind, 0) + 1
            if self._limit():
                logs.event(_LOG, logging.WARNING, f"replication.{event.kind}", detail=event.detail)

    def runtime_event(self, event: Event) -> None:
        """Something happened in the runtime that no call waits for."""
        if isinstance(event, OffersChanged):
            self._hooks.offers_changed()
        elif isinstance(event, Conflicted):
            self._counters.definition_conflicts += 1
            if self._limit():
                logs.event(_LOG, logging.WARNING, "actor.definition_conflict", detail=event.message)
        elif isinstance(event, StateConflict):
            self._counters.conflicts += event.losers
            if self._limit():
                logs.event(_LOG, logging.WARNING, "actor.state_conflict", actor=str(event.actor), losers=event.losers)
        else:
            self._counters.rejected[event.reason] = self._counters.rejected.get(event.reason, 0) + 1
            if self._limit():
                logs.event(_LOG, logging.WARNING, "invocation.rejected", peer=event.peer, reason=event.reason)


def _log_shard(event: ShardTaken) -> None:
    logs.event(
        _LOG,
        logging.INFO,
        "replication.shard_taken",
        peer=event.peer,
        system=event.system,
        shard=event.shard + 1,
        shards=event.shards,
        keys=event.entries,
        keys_per_s=round(event.entries * 1e9 / max(event.took_ns, 1)),
    )
