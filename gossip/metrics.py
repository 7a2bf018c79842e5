"""What an agent measures, for a metrics library of the user's choice.

The hook is called in the event loop, for each value as it arises; it must be quick and must not raise. Names and
attributes are a closed set:

| name | kind | attributes |
|---|---|---|
| `gossip.member.changes` | counter | `change`: joined, updated, suspected, refuted, left, died |
| `gossip.packets.rejected` | counter | `reason`: a `RejectReason` |
| `gossip.probe.duration` | histogram, s | `outcome`: acked, stream_only, failed |
| `gossip.refutations` | counter | |
| `gossip.name_conflicts` | counter | |
| `gossip.local_health` | gauge | |
"""

from collections.abc import Callable, Mapping, Sequence

from gossip.outputs import Event, MemberEvent, NameConflict, PacketRejected, ProbeFinished, Refuted

MetricsHook = Callable[[str, float, Mapping[str, str]], None]
"""Takes a name, a value (1 for counters) and attributes."""

Sample = tuple[str, float, Mapping[str, str]]

_NANOSECONDS = 1e9
_NONE: Mapping[str, str] = {}


def samples(event: Event, *, local_health: int) -> Sequence[Sample]:
    """What one event adds to the metrics.

    Args:
        event: any.
        local_health: the score at this time; it can only have changed when a probe ended or a claim was refuted.
    """
    match event:
        case MemberEvent(change, _, _):
            return [("gossip.member.changes", 1, {"change": change.value})]
        case PacketRejected(reason, _, _):
            return [("gossip.packets.rejected", 1, {"reason": reason.value})]
        case ProbeFinished(_, outcome, duration_ns, _):
            seconds = duration_ns / _NANOSECONDS
            return [
                ("gossip.probe.duration", seconds, {"outcome": outcome.value}),
                ("gossip.local_health", local_health, _NONE),
            ]
        case Refuted():
            return [("gossip.refutations", 1, _NONE), ("gossip.local_health", local_health, _NONE)]
        case NameConflict():
            return [("gossip.name_conflicts", 1, _NONE)]
        case _:
            return []
