"""The demo keeps its promises, and says so in one line."""

import json

from tests.e2e.cli import crdtmesh

SECONDS = 8
KEYS = {"nodes", "calls", "acknowledged", "unknown", "refused", "lost", "converged", "convergence_s", "restarted"}


async def test_the_demo_ends_with_nothing_lost_and_equal_nodes() -> None:
    ran = await crdtmesh("demo", "--seconds", str(SECONDS), "--format", "json", timeout_s=55)

    assert 0 == ran.code, ran.err
    verdict = json.loads(ran.out.splitlines()[-1])
    assert verdict.keys() == KEYS
    assert (3, 0, True, 1) == tuple(verdict[key] for key in ("nodes", "lost", "converged", "restarted"))
    assert 0 < verdict["acknowledged"] <= verdict["calls"]
    assert verdict["calls"] == verdict["acknowledged"] + verdict["unknown"] + verdict["refused"]
    assert 0 <= verdict["convergence_s"] < 60
