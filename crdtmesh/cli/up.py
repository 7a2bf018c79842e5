"""`crdtmesh up`: run a node until it is told to stop."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import click

from crdtmesh.cli.options import config_options, format_option, load_config
from crdtmesh.config import NodeConfig
from crdtmesh.errors import StartError

if TYPE_CHECKING:
    from crdtmesh.node import Node

# New objects between two looks at the youngest ones: some 20 MB of small objects.
GC_THRESHOLD: Final = 100_000


@click.command()
@config_options
@format_option
def command(output: str, **options: object) -> None:
    """Run a node, with an actor host beside it if asked.

    Ends with exit code 0 on Ctrl-C, SIGTERM or `crdtmesh leave`: calls in flight end first, and the others are told.
    SIGHUP reads certificates and keys again; they are also read when their files change.
    """
    from crdtmesh.observability import logs

    config = load_config(options)
    stop_logs = logs.configure(config.log_level, as_json=output == "json")
    try:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            runner.run(_run(config, as_json=output == "json"))
    finally:
        stop_logs()


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """The fast one, uvloop, when it is installed; None stands for asyncio's own."""
    try:
        import uvloop
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


def tune_gc() -> None:
    """Takes what is loaded out of the collector's sight, and lets it look at the rest less often.

    A call makes a few tuples and no cycles: with the default threshold a busy node spends a quarter of its time
    looking for them.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD, 20, 50)


async def _run(config: NodeConfig, *, as_json: bool) -> None:
    # The actor host is started by exec, never by a bare fork: gRPC need not prepare for one, nor warn that it can't.
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "false")
    from crdtmesh.node import Node

    node = Node(config)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, node.request_stop)
    await node.start()
    loop.add_signal_handler(signal.SIGHUP, node.reload)
    tune_gc()
    try:
        _announce(node, as_json=as_json)
        await node.stopped()
    finally:
        await node.stop()
    if node.failure is not None:
        raise StartError(node.failure)


def _announce(node: Node, *, as_json: bool) -> None:
    config = node.config
    if as_json:
        ready = {
            "event": "ready",
            "name": config.name,
            "cluster": config.cluster,
            "pid": os.getpid(),
            "gossip": node.gossip_address,
            "links": node.link_address,
            "grpc": node.grpc_address,
            "http": node.http_address,
            "uds": str(config.socket_path),
            "http_uds": str(config.http_socket_path),
            "data_dir": str(config.data_path),
        }
        click.echo(json.dumps(ready))
        return
    click.echo(f"node {config.name} of cluster {config.cluster} is ready")
    click.echo(f"  grpc    {node.grpc_address} and unix:{config.socket_path}")
    click.echo(f"  http    {node.http_address} and unix:{config.http_socket_path}")
    click.echo(f"  gossip  {node.gossip_address}   (others: crdtmesh up --join {node.gossip_address})")
    click.echo(f"  links   {node.link_address}")
    click.echo(f"  data    {config.data_path}")
