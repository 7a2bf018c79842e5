"""What an agent counts, measures and logs of the events of its machine."""

import collections
import logging
import time
from dataclasses import dataclass, field

from gossip.errors import RejectReason
from gossip.identity import Endpoint
from gossip.metrics import MetricsHook, samples
from gossip.outputs import (
    Event,
    MemberChange,
    MemberEvent,
    NameConflict,
    PacketRejected,
    ProbeFinished,
    ProbeOutcome,
    Refuted,
)

_LOG = logging.getLogger("gossip.agent")

_REJECT_LOG_INTERVAL_S = 10.0


@dataclass(slots=True)
class Counters:
    """What happened since the start; only grows."""

    packets_received: int = 0
    packets_sent: int = 0
    bytes_received: int = 0
    bytes_sent: int = 0
    refutations: int = 0
    name_conflicts: int = 0
    events_dropped: int = 0
    rejected: collections.Counter[RejectReason] = field(default_factory=collections.Counter)
    probes: collections.Counter[ProbeOutcome] = field(default_factory=collections.Counter)
    changes: collections.Counter[MemberChange] = field(default_factory=collections.Counter)


class Recorder:
    """Keeps the counters, calls the metrics hook, and writes the log.

    Args:
        metrics: called with each measured value; None measures nothing.
    """

    def __init__(self, metrics: MetricsHook | None) -> None:
        self._metrics = metrics
        self._log_after: dict[RejectReason, float] = {}
        self.counters = Counters()

    def record(self, event: Event, *, local_health: int) -> None:
        """Takes one event, and the health score at its time."""
        self._count(event)
        if self._metrics is not None:
            for sample in samples(event, local_health=local_health):
                self._metrics(*sample)

    def _count(self, event: Event) -> None:
        counters = self.counters
        match event:
            case MemberEvent(change, member, _):
                counters.changes[change] += 1
                _LOG.info("member.%s name=%.64r endpoint=%s", change.value, member.name, member.endpoint)
            case PacketRejected(reason, source, detail):
                counters.rejected[reason] += 1
                self._log_rejected(reason, source, detail)
            case ProbeFinished(_, outcome, _, _):
                counters.probes[outcome] += 1
            case Refuted():
                counters.refutations += 1
            case NameConflict(name, holder, claimant):
                counters.name_conflicts += 1
                self._log_rejected(
                    RejectReason.NAME_CONFLICT, claimant, f"{name[:64]!r} is held by {holder}; rename one of them"
                )
            case _:
                pass

    def _log_rejected(self, reason: RejectReason, source: Endpoint | None, detail: str) -> None:
        """Anyone can cause these, so there is one line per reason and interval."""
        now = time.monotonic()
        if now >= self._log_after.get(reason, 0.0):
            self._log_after[reason] = now + _REJECT_LOG_INTERVAL_S
            _LOG.warning("packet.rejected reason=%s source=%s detail=%.256r", reason.value, source, detail)
