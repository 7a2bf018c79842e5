"""Real nodes for benchmarks: `crdtmesh up` in a process of its own, production defaults, data on disk.

Only what must be is set: names, free ports, and no discovery on the network. Links are plain TCP on loopback, which is
what a node does there without certificates.
"""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.processes import Children, Server


def start_node(
    children: Children,
    name: str,
    *,
    actors: str | None = None,
    join: Sequence[str] = (),
    arguments: Sequence[str] = (),
) -> Server:
    """Starts a node, and a host beside it if asked.

    Args:
        children: what ends it.
        name: of the node.
        actors: `MODULE:SYSTEM` to host.
        join: gossip addresses of members.
        arguments: further ones of `up`.

    Returns:
        The server; `ready` has its addresses under `grpc`, `http`, `gossip` and `links`.
    """
    folder = children.folder(name)
    command = ["crdtmesh.cli", "up", "--format", "json", "--name", name, "--cluster", "benchmarks"]
    command += ["--data-dir", str(folder / "data"), "--bind", "127.0.0.1", "--discovery", "static" if join else "none"]
    for port in ("gossip", "link", "grpc", "http"):
        command += [f"--{port}-port", "0"]
    for address in join:
        command += ["--join", address]
    if actors is not None:
        command += ["--actors", actors]
    return children.server(name, [*command, *arguments])
