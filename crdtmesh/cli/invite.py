"""`crdtmesh invite`: a token for a machine that is to join."""

from __future__ import annotations

import datetime as dt
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

import click

from crdtmesh.cli.client import client_command
from crdtmesh.cli.identity import show
from crdtmesh.cli.options import load_config
from crdtmesh.identity.errors import IdentityError

if TYPE_CHECKING:
    from crdtmesh.sdk.client import Client

MINUTES_MAX = 7 * 24 * 60
USES_MAX = 100


@click.command()
@click.argument("name", required=False)
@click.option(
    "--minutes", type=click.IntRange(1, MINUTES_MAX), default=60, show_default=True, help="How long it is good."
)
@click.option(
    "--uses", type=click.IntRange(1, USES_MAX), default=1, show_default=True, help="How many machines may use it."
)
@click.option(
    "--identity-dir",
    type=click.Path(path_type=Path),
    help="Where certificates and keys are. Default: ~/.config/crdtmesh/CLUSTER.",
)
@click.option("--config", "file", type=click.Path(path_type=Path), envvar="CRDTMESH_CONFIG", help="A TOML file.")
@client_command
async def command(
    client: Client,
    *,
    name: str | None,
    minutes: int,
    uses: int,
    identity_dir: Path | None,
    file: Path | None,
    output: str,
) -> None:
    """Print a token by which a new machine joins the cluster.

    On the machine that has the authority's key, while its node runs: that is where the token is redeemed. With NAME the
    token is for the node of that name only, also if it had a certificate before.
    """
    from crdtmesh.cli.certs import load_authority
    from crdtmesh.identity.authority import fingerprint
    from crdtmesh.identity.invitations import ID_SIZE_BYTES, SECRET_SIZE_BYTES, InvitationBook, Token

    status = await client.status()
    config = load_config({"identity_dir": identity_dir, "file": file, "cluster": status.cluster})
    addresses = [listener.removeprefix("join ") for listener in status.listeners if listener.startswith("join ")]
    folder = config.identity
    if not addresses or not folder.authority_key.exists():
        raise IdentityError(
            f"node {status.name} can't let others in: it needs a certificate, and the authority's key in "
            f"{folder.path}; run this on the machine where crdtmesh certs init was run, and restart its node if that "
            "was since"
        )
    if name is not None and uses != 1:
        raise IdentityError("a token for one name has one use")
    now_s = dt.datetime.now(dt.UTC).timestamp()
    number, secret = secrets.token_bytes(ID_SIZE_BYTES), secrets.token_bytes(SECRET_SIZE_BYTES)
    token = Token(
        address=addresses[0],
        fingerprint=fingerprint(load_authority(config).certificate),
        cluster=status.cluster,
        id=number.hex(),
        secret=secret.hex(),
        expires_s=int(now_s) + 60 * minutes,
    )
    InvitationBook(folder.invitations).add(
        number=number, secret=secret, uses=uses, expires_s=token.expires_s, name=name or "", now_s=now_s
    )
    text = token.encode()
    show(
        output,
        [f"crdtmesh join {text}"],
        {"token": text, "address": token.address, "expires_s": token.expires_s, "uses": uses, "name": name or ""},
    )
    if output == "text":
        click.echo(f"good for {uses} use{'s' * (uses > 1)}, {minutes} minutes; who has it can join", err=True)
