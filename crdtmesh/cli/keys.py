"""`crdtmesh keys`: the keys that seal gossip."""

from __future__ import annotations

import secrets
from pathlib import Path

import click

from crdtmesh.cli.identity import config_of, identity_options, show
from crdtmesh.identity.errors import IdentityError
from crdtmesh.identity.files import read_secret, write_secret
from crdtmesh.identity.keys import KEY_SIZE_BYTES, encode_keys, key_id, parse_keys, rotated

_STEPS = ("add", "use", "remove")


@click.group(name="keys")
def command() -> None:
    """Make and rotate the keys that seal gossip."""


@command.command()
@identity_options
def generate(output: str, **options: object) -> None:
    """Make the cluster's gossip key. Copy the file to the other nodes, or let them join by an invitation."""
    path = config_of(options).identity.gossip_keys
    key = secrets.token_bytes(KEY_SIZE_BYTES)
    write_secret(path, encode_keys([key]))
    _show(output, path, [key])


@command.command()
@click.argument("step", type=click.Choice(_STEPS))
@click.option(
    "--from", "source", type=click.Path(path_type=Path), help="With add: take the last key of another node's file."
)
@identity_options
def rotate(step: str, source: Path | None, output: str, **options: object) -> None:
    """Do one step of a rotation: add a key, use it for sealing, remove the old ones.

    Each step on every node before the next one; nodes that run read the file again by themselves. `add` makes a key on
    the first node; on the others it takes that key from a copy of the first one's file: `--from FILE`.
    """
    path = config_of(options).identity.gossip_keys
    if source is not None and step != "add":
        raise IdentityError("--from goes with add only")
    new_key = secrets.token_bytes(KEY_SIZE_BYTES) if source is None else parse_keys(read_secret(source))[-1]
    before = parse_keys(read_secret(path))
    if new_key in before:
        raise IdentityError(f"key {key_id(new_key)} is in {path} already")
    keys = rotated(before, step, new_key=new_key)
    write_secret(path, encode_keys(keys), replaces=True)
    _show(output, path, keys)


@command.command(name="list")
@identity_options
def list_keys(output: str, **options: object) -> None:
    """Show which keys this machine has, by digits that give nothing away; the first one seals."""
    path = config_of(options).identity.gossip_keys
    _show(output, path, parse_keys(read_secret(path)))


def _show(output: str, path: Path, keys: list[bytes]) -> None:
    ids = [key_id(key) for key in keys]
    lines = [f"{path}", *(f"  {mark}  {'seals and opens' if not at else 'opens'}" for at, mark in enumerate(ids))]
    show(output, lines, {"gossip_keys": str(path), "keys": ids})
