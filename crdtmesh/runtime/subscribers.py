"""Listeners to channels that are no actors: clients of this node, and those of other nodes.

A node tells in its entry of the directory which topics its clients listen to, so a publisher's node sends one message
to each node that has any, and that one passes it to all of its own. At most once, as everything in a channel: what a
node can't be told now it is not told later.
"""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from crdtmesh.runtime.definition import check_name
from crdtmesh.runtime.errors import SubscriptionRefused
from crdtmesh.runtime.messages import CallerId, ChannelMessage

__all__ = ["Subscribers", "Topic"]

# Each is a few hundred bytes here. The topics stand in the directory, which every node holds: 256 KiB at worst.
SUBSCRIBERS_MAX: Final = 1_024


class Topic(NamedTuple):
    """A channel of an actor system."""

    system: str
    name: str


class Subscribers:
    """Who listens, here and elsewhere."""

    __slots__ = ("_here", "_messages", "_nodes", "_topic_of")

    def __init__(self) -> None:
        # Dicts for their order.
        self._here: dict[Topic, dict[CallerId, None]] = {}
        self._topic_of: dict[CallerId, Topic] = {}
        self._nodes: dict[Topic, tuple[str, ...]] = {}
        self._messages: list[tuple[CallerId, ChannelMessage]] = []

    def add(self, subscriber: CallerId, topic: Topic) -> bool:
        """A client of this node listens from now on; whether it is the first one of its topic.

        Raises:
            RegistrationRefused: the topic's name can't be one.
            SubscriptionRefused: there are too many.
        """
        check_name("actor system", topic.system)
        check_name("topic", topic.name)
        if len(self._topic_of) >= SUBSCRIBERS_MAX:
            raise SubscriptionRefused(f"{SUBSCRIBERS_MAX} clients of this node listen to channels; ask another node")
        listeners = self._here.setdefault(topic, {})
        listeners[subscriber] = None
        self._topic_of[subscriber] = topic
        return len(listeners) == 1

    def remove(self, subscriber: CallerId) -> bool:
        """A client listens no more; whether it was the last one of its topic."""
        topic = self._topic_of.pop(subscriber, None)
        if topic is None:
            return False
        listeners = self._here[topic]
        del listeners[subscriber]
        if not listeners:
            del self._here[topic]
        return not listeners

    def topics(self) -> Sequence[Topic]:
        """What clients of this node listen to, sorted."""
        return sorted(self._here)

    def directory_changed(self, topics: Mapping[str, Sequence[Topic]]) -> None:
        """What clients of the other live nodes listen to, by node."""
        nodes: dict[Topic, list[str]] = {}
        for node in sorted(topics):
            for topic in topics[node]:
                nodes.setdefault(topic, []).append(node)
        self._nodes = {topic: tuple(names) for topic, names in nodes.items()}

    def nodes(self, topic: Topic) -> tuple[str, ...]:
        """The other nodes that have a listener."""
        return self._nodes.get(topic, ())

    def deliver(self, topic: Topic, message: ChannelMessage) -> None:
        """Passes a message to the clients of this node. Complexity: O(listeners)."""
        for subscriber in self._here.get(topic, ()):
            self._messages.append((subscriber, message))

    def take(self) -> list[tuple[CallerId, ChannelMessage]]:
        """What is to be passed on, emptied."""
        messages, self._messages = self._messages, []
        return messages
