"""A newsroom: one actor sends to a channel, and all that listen to it are called, on whichever node they are.

    crdtmesh up --system news --actors examples.news:system
    crdtmesh invoke news/desk publish '{"topic": "sports", "text": "2:1"}'
    crdtmesh invoke news/archive read
    crdtmesh invoke news/sports-page read

A listener needs no call to begin with: it listens as long as a node offers it.
"""

from crdtmesh.sdk import Context, ORSet, System, action, listens

system = System("news")


@system.actor("desk")
class Desk:
    """Where news come in."""

    @action
    def publish(self, ctx: Context, topic: str, text: str) -> None:
        """Sends the text to all that listen to the topic."""
        ctx.broadcast(topic, text)


class Reader:
    """What both kinds of listeners can do."""

    @action
    def read(self, ctx: Context[ORSet[str]]) -> list[str]:
        """All that came, in order of the alphabet."""
        return sorted(ctx.state)


@system.actor("sports-page", state=ORSet, channels=["sports"])
class Page(Reader):
    """Listens to one topic, with the default action."""

    @action
    def receive(self, ctx: Context[ORSet[str]], text: str) -> None:
        """Prints the news."""
        ctx.state.add(text)


@system.actor("archive", state=ORSet)
class Archive(Reader):
    """Listens to several topics, with an action of its own."""

    @listens("sports", "weather")
    def keep(self, ctx: Context[ORSet[str]], text: str) -> None:
        """Files the news."""
        ctx.state.add(text)
