"""A call that is answered on another node, against the same call asked at the node that has the host.

Two nodes of `crdtmesh up` with production defaults; only the first has a host, so a call asked at the second one goes
over the link between them and back. The client, the host and its node are the same on both sides.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from benchmarks.harness import Options, Side, compare_sides
from benchmarks.local_call import COMMAND
from benchmarks.measures import Line
from benchmarks.nodes import start_node
from benchmarks.processes import Children

CASES: Final = ("echo", "counter_durable")

IN_FLIGHT: Final = (1, 64, 256)


def run(children: Children, options: Options) -> Iterator[Line]:
    """All cases, the local call being the base of the remote one."""
    near = start_node(children, "near", actors="benchmarks.actors:system")
    far = start_node(children, "far", join=(str(near.ready["gossip"]),))
    for case in CASES:
        if not options.wants(case):
            continue
        local = Side(command=COMMAND, servers=(near,), address=str(near.ready["grpc"]), case=case)
        remote = Side(command=COMMAND, servers=(near, far), address=str(far.ready["grpc"]), case=case)
        for concurrency in IN_FLIGHT:
            yield from compare_sides(
                children,
                options,
                bench="remote_call",
                case=case,
                bases={"local call": local},
                subject=("call over a link", remote),
                concurrency=concurrency,
            )
