"""`crdtmesh certs`: the authority of a cluster, and certificates that it signs."""

from __future__ import annotations

import datetime as dt
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

import click

from crdtmesh.cli.identity import config_of, identity_options, show
from crdtmesh.config import NodeConfig
from crdtmesh.errors import ConfigError
from crdtmesh.identity.errors import IdentityError
from crdtmesh.identity.files import read_secret, write_secret
from crdtmesh.identity.keys import KEY_SIZE_BYTES, encode_keys
from crdtmesh.identity.names import ROLES, Name, Role, parse

if TYPE_CHECKING:
    from crdtmesh.identity.authority import Authority

DAYS_MAX = 3_650


@click.group(name="certs")
def command() -> None:
    """Make a cluster's authority, and the certificates of its nodes and clients."""


@command.command()
@identity_options
def init(output: str, **options: object) -> None:
    """Make the cluster's authority, and its gossip key and secret if there are none.

    Once for each cluster, on the machine that is to issue certificates and invitations. Nothing is overwritten.
    """
    from crdtmesh.identity.authority import Authority, expiry, fingerprint

    config = config_of(options)
    folder = config.identity
    for path in (folder.authority, folder.authority_key):
        if path.exists():
            raise IdentityError(f"{path} exists and is never overwritten; move it away, or name another folder")
    authority = Authority.new(config.cluster, now=_now())
    # The key first: an authority without its key would look finished.
    write_secret(folder.authority_key, authority.key)
    write_secret(folder.authority, authority.certificate)
    made = [folder.authority, folder.authority_key]
    for path, data in (
        (folder.gossip_keys, encode_keys([secrets.token_bytes(KEY_SIZE_BYTES)])),
        (folder.cluster_secret, f"{secrets.token_hex(KEY_SIZE_BYTES)}\n".encode()),
    ):
        if not path.exists():
            write_secret(path, data)
            made.append(path)
    ends = expiry(authority.certificate).isoformat()
    mark = fingerprint(authority.certificate)
    show(
        output,
        [
            f"authority of cluster {config.cluster}, good until {ends}, SHA-256 {mark}",
            *(f"  {path}" for path in made),
            f"keep {folder.authority_key} safe: who has it can make nodes of this cluster",
        ],
        {
            "cluster": config.cluster,
            "authority": str(folder.authority),
            "authority_key": str(folder.authority_key),
            "gossip_keys": str(folder.gossip_keys),
            "fingerprint": mark,
            "expires": ends,
        },
    )


@command.command()
@click.argument("name", required=False)
@click.option(
    "--role", type=click.Choice(ROLES), default="node", show_default=True, help="What the holder may do; node: be one."
)
@click.option("--days", type=click.IntRange(1, DAYS_MAX), default=365, show_default=True, help="How long it is good.")
@click.option("--renew", is_flag=True, help="Replace the one that is there; a node that runs takes it by itself.")
@click.option(
    "--request", type=click.Path(path_type=Path), help="Sign this request (PEM); print the certificate, write no key."
)
@identity_options
def issue(
    name: str | None, role: Role, days: int, renew: bool, request: Path | None, output: str, **options: object
) -> None:
    """Issue the certificate of a node, by default of the one that these settings describe, or of a client.

    Writes one file with private key and certificate: IDENTITY_DIR/nodes/NAME.pem for a node, where `up` looks for it.
    """
    from crdtmesh.identity.authority import expiry, new_request
    from crdtmesh.identity.joining import note_issued

    config = config_of(options)
    authority = load_authority(config)
    holder = name_of(authority, role, config.name if name is None else name)
    if request is not None:
        certificate = authority.sign(_read(request), holder, now=_now(), days=days)
        note_issued(config.identity, holder, certificate)
        ends = expiry(certificate).isoformat()
        show(
            output,
            [certificate.decode().rstrip()],
            {"name": holder.uri, "certificate": certificate.decode(), "expires": ends},
        )
        return
    made = new_request(holder.name)
    certificate = authority.sign(made.signing_request, holder, now=_now(), days=days)
    path = config.identity.certificate(holder.name, role)
    write_secret(path, made.bundle(certificate), replaces=renew)
    note_issued(config.identity, holder, certificate)
    ends = expiry(certificate).isoformat()
    show(
        output,
        [f"certificate of {holder.uri}, good until {ends}", f"  {path}"],
        {"name": holder.uri, "certificate": str(path), "expires": ends},
    )


def load_authority(config: NodeConfig) -> Authority:
    """The authority whose key is on this machine.

    Raises:
        IdentityError: there is none, or it is another cluster's.
    """
    from crdtmesh.identity.authority import Authority

    folder = config.identity
    if not folder.authority_key.exists():
        raise IdentityError(
            f"{folder.authority_key} does not exist; make an authority by crdtmesh certs init, or run this on the "
            "machine that has its key"
        )
    authority = Authority.load(_read(config.authority or folder.authority), read_secret(folder.authority_key))
    if authority.cluster != config.cluster:
        raise IdentityError(
            f"{folder.path} has the authority of cluster {authority.cluster!r}, not of {config.cluster!r}; "
            "name the one that is meant by --cluster or --identity-dir"
        )
    return authority


def name_of(authority: Authority, role: Role, name: str) -> Name:
    """The name to certify.

    Raises:
        ConfigError: no such name is possible.
    """
    holder = Name(authority.cluster, role, name)
    if parse(holder.uri) != holder:
        raise ConfigError(f"NAME: expected 1 to 128 letters, digits, dots or hyphens, got {name!r:.64}")
    return holder


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise IdentityError(f"{path} can't be read: {error.strerror}") from None


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
