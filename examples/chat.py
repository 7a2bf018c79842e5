"""A room that shows who is in it: answers that follow the state, and messages for those who listen.

    crdtmesh up --system chat --actors examples.chat:system
    python -m examples.chat ann
    crdtmesh invoke chat/room people
    crdtmesh invoke chat/room say '"hello"'

The second command goes on until it is interrupted. While it runs its reader is in the room, on every node, since the
node calls `enter` before its first answer and `leave` when it has gone, also when its process was killed.
"""

import asyncio
import contextlib
import os
import sys

from crdtmesh.sdk import Client, Context, ORSet, System, action

system = System("chat")


@system.actor("room", state=ORSet)
class Room:
    """Knows who is in it."""

    @action
    def enter(self, ctx: Context[ORSet[str]], name: str = "somebody") -> None:
        """Comes in."""
        ctx.state.add(name)

    @action
    def leave(self, ctx: Context[ORSet[str]], name: str = "somebody") -> None:
        """Goes out."""
        ctx.state.discard(name)

    @action
    def people(self, ctx: Context[ORSet[str]], name: str = "somebody") -> list[str]:
        """Who is in the room."""
        return sorted(ctx.state)

    @action
    def say(self, ctx: Context[ORSet[str]], text: str) -> None:
        """Tells it to all that listen, actors and clients."""
        ctx.broadcast("lobby", text)


async def visit(client: Client, name: str) -> None:
    """Prints who is in the room whenever that changes, and what is said."""

    async def look() -> None:
        answers = client.answers("chat", "room", "people", name, on_open="enter", on_cancel="leave")
        async with contextlib.aclosing(answers) as seen:
            async for people in seen:
                print("here:", ", ".join(people), flush=True)

    async def listen() -> None:
        async with contextlib.aclosing(client.subscribe("chat", "lobby")) as messages:
            async for message in messages:
                print("said:", message.value, flush=True)

    async with asyncio.TaskGroup() as both:
        both.create_task(look())
        both.create_task(listen())


async def main() -> None:
    """Visits the room under the name on the command line."""
    async with Client(os.environ.get("CRDTMESH_ENDPOINT", "127.0.0.1:9980")) as client:
        await visit(client, sys.argv[1])


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main())
