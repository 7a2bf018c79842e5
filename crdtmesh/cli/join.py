"""`crdtmesh join`: an identity for this machine."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

import click

from crdtmesh.cli.identity import show
from crdtmesh.cli.options import format_option, load_config
from crdtmesh.config import NodeConfig
from crdtmesh.identity.errors import IdentityError
from crdtmesh.identity.files import IdentityFolder, read_secret, write_secret


@click.command()
@click.argument("token")
@click.option("--name", help="This node's name, unique in the cluster. Default: the host's name.")
@click.option("--renew", is_flag=True, help="Replace this machine's certificate and keys.")
@click.option(
    "--identity-dir",
    type=click.Path(path_type=Path),
    help="Where certificates and keys are. Default: ~/.config/crdtmesh/CLUSTER.",
)
@click.option("--config", "file", type=click.Path(path_type=Path), envvar="CRDTMESH_CONFIG", help="A TOML file.")
@format_option
def command(
    token: str, name: str | None, renew: bool, identity_dir: Path | None, file: Path | None, output: str
) -> None:
    """Get this machine's certificate and keys by a token of invite.

    TOKEN `-` reads it from standard input. The private key is made here and stays here. Then start the node by the
    command that is printed.
    """
    from crdtmesh.identity.authority import new_request
    from crdtmesh.identity.invitations import Token
    from crdtmesh.identity.joining import redeem

    found = Token.decode(sys.stdin.readline() if token == "-" else token)  # noqa: S105
    config = load_config({"name": name, "identity_dir": identity_dir, "file": file, "cluster": found.cluster})
    if time.time() >= found.expires_s:
        raise IdentityError("the token has ended; have another one made by crdtmesh invite")
    _check_room(config, found.fingerprint, renew=renew)
    request = new_request(config.name)
    granted = asyncio.run(redeem(found, config.name, request))
    if granted.cluster != found.cluster:
        raise IdentityError(f"the server is of cluster {granted.cluster!r:.64}, not {found.cluster!r:.64}")
    folder = config.identity
    _write(folder.authority, granted.authority, renew=renew)
    _write(folder.gossip_keys, granted.gossip_keys, renew=renew)
    _write(folder.cluster_secret, granted.cluster_secret, renew=renew)
    # Last: with it the identity is whole.
    write_secret(folder.certificate(config.name), request.bundle(granted.certificate), replaces=renew)
    up = _command_of(config, granted.local_host, granted.gossip, identity_dir)
    show(
        output,
        [f"this machine is node {config.name} of cluster {config.cluster}; start it by", f"  {up}"],
        {
            "name": config.name,
            "cluster": config.cluster,
            "identity_dir": str(folder.path),
            "certificate": str(folder.certificate(config.name)),
            "gossip": granted.gossip,
            "up": up,
        },
    )


def _check_room(config: NodeConfig, fingerprint: str, *, renew: bool) -> None:
    """Finds out before the token is used whether its fruits can be kept.

    Raises:
        IdentityError: files of another authority are there, or this node has a certificate already.
    """
    from crdtmesh.identity import authority

    folder = config.identity
    if folder.authority.exists() and authority.fingerprint(folder.authority.read_bytes()) != fingerprint and not renew:
        raise IdentityError(f"{folder.path} has another authority; move it away, name another folder, or add --renew")
    if folder.certificate(config.name).exists() and not renew:
        raise IdentityError(
            f"{folder.certificate(config.name)} exists: this machine has joined; to replace what it has add --renew"
        )


def _write(path: Path, data: bytes, *, renew: bool) -> None:
    """Writes a file of the cluster's, which another node on this machine may have brought already."""
    if path.exists() and read_secret(path) == data:
        return
    write_secret(path, data, replaces=renew)


def _command_of(config: NodeConfig, host: str, gossip: str, identity_dir: Path | None) -> str:
    default = NodeConfig()
    parts = ["crdtmesh up", f"--bind {host}", f"--join {gossip}"]
    if config.name != default.name:
        parts.append(f"--name {config.name}")
    if config.cluster != default.cluster:
        parts.append(f"--cluster {config.cluster}")
    if identity_dir is not None and IdentityFolder(identity_dir) != default.identity:
        parts.append(f"--identity-dir {identity_dir}")
    return " ".join(parts)
