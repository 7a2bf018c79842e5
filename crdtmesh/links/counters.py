"""What the links count. Plain numbers that the node reads when metrics are collected."""

from dataclasses import dataclass, field, fields

from crdtmesh.links.errors import CloseReason

__all__ = ["LinkCounters"]


def _zero_by_reason() -> dict[CloseReason, int]:
    return dict.fromkeys(CloseReason, 0)


@dataclass(slots=True)
class LinkCounters:
    """Totals over all links of one node since its start; never reset, changed only by the links.

    Attributes:
        frames_in, frames_out, bytes_in, bytes_out: what passed the sockets.
        messages_in, messages_out: application messages; many share a frame.
        closed: sessions ended, by reason (a closed set, so its size is fixed).
        queue_refusals: sends refused because the channel's queue was full, by channel number.
        dials, dials_failed, connections_accepted, connections_dropped: connections, before any hello.
        callback_errors: exceptions that a callback of the node raised.
    """

    frames_in: int = 0
    frames_out: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    messages_in: int = 0
    messages_out: int = 0
    closed: dict[CloseReason, int] = field(default_factory=_zero_by_reason)
    queue_refusals: list[int] = field(default_factory=lambda: [0, 0, 0, 0])
    dials: int = 0
    dials_failed: int = 0
    connections_accepted: int = 0
    connections_dropped: int = 0
    callback_errors: int = 0

    def named(self) -> dict[str, int]:
        """The totals under the names that status shows."""
        plain = {
            f"link.{item.name}": value for item in fields(self) if isinstance(value := getattr(self, item.name), int)
        }
        closed = {f"link.closed.{reason.value}": count for reason, count in self.closed.items() if count}
        return {**plain, **closed, "link.queue_refusals": sum(self.queue_refusals)}
