"""Whom an engine delivers to: callers, hosts and subscribers, each under a number of its own."""

from __future__ import annotations

from collections.abc import Iterable

from crdtmesh.engine_ports import CallerSink, Counters, HostSink, SubscriberSink
from crdtmesh.runtime.messages import CallerId, HostId, Outgoing, ReplyColumns


class Sinks:
    """What takes the runtime's outputs.

    Args:
        counters: where calls and their failures are counted.

    Attributes:
        callers: what takes replies.
        hosts: what takes turns.
        subscribers: what takes the messages of channels.
    """

    def __init__(self, counters: Counters) -> None:
        self.callers: dict[CallerId, CallerSink] = {}
        self.hosts: dict[HostId, HostSink] = {}
        self.subscribers: dict[CallerId, SubscriberSink] = {}
        self._counters = counters
        self._ids = 0

    def new_id(self) -> int:
        """A number that none of them had before."""
        self._ids += 1
        return self._ids

    def deliver(self, outgoing: Outgoing) -> None:
        """Hands out all but what goes to peers; what nobody waits for any more is dropped."""
        for host, turns in outgoing.hosts:
            if (sink := self.hosts.get(host)) is not None:
                sink.deliver_turns(turns)
        for caller, replies in outgoing.callers:
            self._count(replies)
            if (receiver := self.callers.get(caller)) is not None:
                receiver.deliver_replies(replies)
        for subscriber, published in outgoing.messages:
            if (listener := self.subscribers.get(subscriber)) is not None:
                listener.deliver_message(published)

    def notice(self, hosts: Iterable[HostId], message: str) -> None:
        """Tells the people behind these hosts."""
        for host in hosts:
            if (sink := self.hosts.get(host)) is not None:
                sink.deliver_notice(message)

    def _count(self, replies: ReplyColumns) -> None:
        self._counters.calls += len(replies.ids) + len(replies.failures)
        for failure in replies.failures:
            name = failure.code.name.lower()
            self._counters.failures[name] = self._counters.failures.get(name, 0) + 1
