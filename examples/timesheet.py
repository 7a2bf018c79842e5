"""Hours that were worked, in protobuf messages: the state, the arguments and the answers of one actor for each person.

    crdtmesh up --system office --actors examples.timesheet:system
    python -m examples.timesheet ann 90
    crdtmesh invoke office/ann worked

The messages here are protobuf's own; yours are what `protoc` makes of your `.proto` files. Nodes never read them.
"""

import os
import sys

from google.protobuf.duration_pb2 import Duration

from crdtmesh.sdk import Context, System, action
from crdtmesh.sdk.sync import Client

system = System("office")


@system.actor("timesheet", unnamed=True, state=Duration)
class Timesheet:
    """What one person has worked."""

    @action
    def work(self, ctx: Context[Duration], session: Duration) -> Duration:
        """Adds a session; gives the sum."""
        ctx.state.FromTimedelta(ctx.state.ToTimedelta() + session.ToTimedelta())
        return ctx.state

    @action
    def worked(self, ctx: Context[Duration]) -> Duration:
        """The sum."""
        return ctx.state


def main(name: str, minutes: int) -> None:
    """Notes a session of so many minutes."""
    with Client(os.environ.get("CRDTMESH_ENDPOINT", "127.0.0.1:9980")) as client:
        session = Duration(seconds=60 * minutes)
        total = client.invoke("office", name, "work", session, parent="timesheet", returns=Duration)
        print(f"{name} worked {total.ToTimedelta()}")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
