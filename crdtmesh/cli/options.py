"""Options that several commands share."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar, get_args

import click

from crdtmesh.config import ApiAuth, Discovery, LogLevel, NodeConfig, load

F = TypeVar("F", bound=Callable[..., Any])

_CONFIG_OPTIONS: Final = (
    click.option("--config", "file", type=click.Path(path_type=Path), envvar="CRDTMESH_CONFIG", help="A TOML file."),
    click.option("--name", help="This node's name, unique in the cluster. Default: the host's name."),
    click.option("--cluster", help="The cluster to belong to; others are ignored. Default: crdtmesh."),
    click.option("--system", help="The actor system used when none is named. Default: default."),
    click.option(
        "--data-dir",
        type=click.Path(path_type=Path),
        help="Where state is kept. Default: ~/.local/share/crdtmesh/NAME.",
    ),
    click.option("--bind", metavar="IP", help="Address of gossip and peer links. Default: 127.0.0.1."),
    click.option(
        "--advertise", metavar="IP", help="Address for others, when --bind is 0.0.0.0 or ::. Default: guessed."
    ),
    click.option(
        "--api-bind",
        metavar="IP",
        help="Address of the gRPC and HTTP endpoints. Default: --bind if loopback, else 127.0.0.1.",
    ),
    click.option(
        "--api-auth",
        type=click.Choice(get_args(ApiAuth)),
        help="What clients show when --api-bind is beyond loopback. Default: token.",
    ),
    click.option(
        "--api-rate-max",
        type=int,
        metavar="N",
        help="Requests and calls a second of one client beyond this machine, 0 for any number. Default: 0.",
    ),
    click.option("--gossip-port", type=int, help="UDP and TCP; 0 takes a free one. Default: 7946."),
    click.option("--link-port", type=int, help="TCP; 0 takes a free one. Default: 7947."),
    click.option("--grpc-port", type=int, help="TCP; 0 takes a free one. Default: 9980."),
    click.option(
        "--socket",
        type=click.Path(path_type=Path),
        help="Unix socket of the gRPC endpoint. Default: DATA_DIR/run/node.sock.",
    ),
    click.option("--http-port", type=int, help="TCP of Spawn's HTTP protocol; 0 takes a free one. Default: 9001."),
    click.option(
        "--join-port",
        type=int,
        help="TCP of invitations, where the authority's key is; 0 takes a free one. Default: 7948.",
    ),
    click.option(
        "--http-socket",
        type=click.Path(path_type=Path),
        help="Unix socket of the HTTP endpoint. Default: DATA_DIR/run/http.sock.",
    ),
    click.option(
        "--user-function-host",
        metavar="HOST",
        help="Where actors that were registered by HTTP are called. Default: 127.0.0.1.",
    ),
    click.option("--user-function-port", type=int, help="The port there. Default: 8090."),
    click.option(
        "--callback-allow",
        multiple=True,
        metavar="NETWORK:PORT",
        help="Where they may be called beside loopback, such as 10.0.0.0/8:8090-8099; may be repeated.",
    ),
    click.option("--join", multiple=True, metavar="HOST:PORT", help="Gossip address of a member; may be repeated."),
    click.option("--discovery", type=click.Choice(get_args(Discovery)), help="How to find others. Default: mdns."),
    click.option("--actors", metavar="MODULE:SYSTEM", help="A Python actor system to host in a child process."),
    *(
        click.option(flag, type=click.Path(path_type=Path), help=text)
        for flag, text in (
            ("--identity-dir", "Where certificates and keys are. Default: ~/.config/crdtmesh/CLUSTER."),
            ("--authority", "Certificates of who signs for this cluster, PEM. Default: IDENTITY_DIR/authority.pem."),
            ("--certificate", "This node's certificate, PEM. Default: IDENTITY_DIR/nodes/NAME.pem."),
            ("--certificate-key", "Its private key, PEM. Default: in the certificate's file."),
            ("--gossip-keys", "Keys that seal gossip, base64, one a line. Default: IDENTITY_DIR/gossip.keys."),
        )
    ),
    click.option(
        "--gossip-label",
        metavar="TEXT",
        help="Bound into sealed gossip. Default: the cluster's name; empty among Serf's own agents.",
    ),
    click.option(
        "--gossip-allow",
        multiple=True,
        metavar="NETWORK",
        help="Where members may be, such as 10.0.0.0/8; others are not believed. May be repeated.",
    ),
    click.option(
        "--insecure", is_flag=True, default=None, help="Accept unencrypted, unauthenticated peers beyond loopback."
    ),
    click.option(
        "--expected-nodes",
        type=int,
        metavar="N",
        help="Size of the finished cluster: a majority needs more than half of it, however few are known. Default: 0.",
    ),
    click.option(
        "--activations-max",
        type=int,
        metavar="N",
        help="Actors in memory at once; beyond, idle ones give way, else calls are refused. Default: 250000.",
    ),
    click.option(
        "--memory-mb-max",
        type=int,
        metavar="MB",
        help="Memory of the node's process above which idle actors give up theirs. Default: 0, half of what there is.",
    ),
    click.option(
        "--ttl",
        multiple=True,
        metavar="PATTERN=TIME",
        help="Each update of such a key (* any text, ? a character) lives so long: 'session/*=30m'; may be repeated.",
    ),
    click.option(
        "--types",
        multiple=True,
        metavar="PATTERN=TYPE",
        help="Such an actor (* any text, ? a character) has this state: 'stock-*=PNCounter'; may be repeated.",
    ),
    click.option(
        "--durability",
        multiple=True,
        metavar="PATTERN=MODE",
        help="Updates of such a key wait for the disk (sync), may come interval(100) ms before it, or any time (none).",
    ),
    click.option(
        "--drain-timeout-s", type=float, help="How long a shutdown waits for calls in flight, in seconds. Default: 5."
    ),
    click.option("--log-level", type=click.Choice(get_args(LogLevel)), help="How much is logged. Default: info."),
)

format_option = click.option(
    "--format", "output", type=click.Choice(["text", "json"]), default="text", show_default=True, help="How to print."
)


def config_options(function: F) -> F:
    """Adds the options of a node's settings to a command."""
    for option in reversed(_CONFIG_OPTIONS):
        function = option(function)
    return function


def load_config(options: Mapping[str, Any]) -> NodeConfig:
    """Merges file, environment and the given flags.

    Raises:
        ConfigError: a setting can't be used.
    """
    flags = dict(options)
    file = flags.pop("file", None) or os.environ.get("CRDTMESH_CONFIG")
    if not file and Path("crdtmesh.toml").is_file():
        file = "crdtmesh.toml"
    return load(file=Path(file) if file else None, environment=os.environ, flags=flags)
