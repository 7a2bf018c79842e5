import asyncio
import time

from crdtmesh.observability.stalls import PROBE_INTERVAL_S, STALL_LOGGED_S, StallWatch


async def test_a_blocked_loop_is_noticed() -> None:
    watch = StallWatch()
    watch.start()

    time.sleep(PROBE_INTERVAL_S + STALL_LOGGED_S)  # noqa: ASYNC251 - the very thing that must be noticed
    for _ in range(2):  # the overdue timer runs in the loop turn after next
        await asyncio.sleep(0)
    watch.stop()

    assert 1 == watch.count
    assert watch.worst_s >= STALL_LOGGED_S
