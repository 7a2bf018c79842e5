"""Every node restarts while the mesh is split in halves.

No node is alone then, and none remembers a member on the other side: only discovery leads there, so it has to go on
when a node has found somebody. With a list of endpoints that was tried by lonely nodes only, the halves stayed apart
for ever.
"""

import contextlib

from simulations.partitions import PARTITIONS
from simulations.plan import RunPlan
from simulations.run import Run


def run() -> list[str]:
    """What went wrong; nothing if all is well."""
    with contextlib.closing(Run(RunPlan(seed=1, nodes=4, faulty_ns=0))) as mesh:
        return _restart_split(mesh)


def _restart_split(mesh: Run) -> list[str]:
    cluster = mesh.cluster
    mesh.start()
    mesh.advance(10)
    split = PARTITIONS["halves"](cluster.names)
    cluster.network.cut(split)
    for name in cluster.names:
        cluster.crash(name, wipe=False)
    mesh.advance(1)
    for name in cluster.names:
        cluster.restart(name)
    mesh.advance(20)
    cluster.network.mend(split)
    mesh.heal()
    return mesh.verdict(mesh.settle()).failures
