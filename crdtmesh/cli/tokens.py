"""`crdtmesh tokens`: what clients beyond this machine show to be let in."""

from __future__ import annotations

import datetime as dt
import secrets

import click

from crdtmesh.cli.identity import config_of, identity_options, show
from crdtmesh.cli.tables import echo_table
from crdtmesh.identity.errors import IdentityError
from crdtmesh.identity.names import ROLES
from crdtmesh.identity.tokens import TOKEN_SIZE_BYTES, TokenEntry, hash_of, read_tokens, token_text, write_tokens

DAYS_MAX = 3_650


@click.group(name="tokens")
def command() -> None:
    """Make and revoke the tokens of clients beyond this machine."""


@command.command()
@click.argument("name")
@click.option(
    "--role", type=click.Choice([role for role in ROLES if role != "node"]), required=True, help="What it may do."
)
@click.option("--days", type=click.IntRange(1, DAYS_MAX), default=90, show_default=True, help="How long it is good.")
@identity_options
def issue(name: str, role: str, days: int, output: str, **options: object) -> None:
    """Make a token for a client and print it: it is shown this once, and kept as a hash.

    Roles: reader sees state and members; client also calls actors and changes state; host also offers actors; operator
    does everything. A node that runs takes it by itself.
    """
    path = config_of(options).identity.tokens
    entries = read_tokens(path)
    if any(entry.name == name for entry in entries.values()):
        raise IdentityError(f"{name!r:.64} has a token; revoke it first: crdtmesh tokens revoke {name:.64}")
    text = token_text(secrets.token_bytes(TOKEN_SIZE_BYTES))
    ends = dt.datetime.now(dt.UTC) + dt.timedelta(days=days)
    entry = TokenEntry(name=name, role=role, hash=hash_of(text), expires_s=int(ends.timestamp()))
    write_tokens(path, {**entries, entry.hash: entry})
    show(output, [text], {"name": name, "role": role, "token": text, "expires_s": entry.expires_s})


@command.command()
@click.argument("name")
@identity_options
def revoke(name: str, output: str, **options: object) -> None:
    """Take a client's token out of force."""
    path = config_of(options).identity.tokens
    entries = read_tokens(path)
    kept = {mark: entry for mark, entry in entries.items() if entry.name != name}
    if len(kept) == len(entries):
        raise IdentityError(f"{name!r:.64} has no token; crdtmesh tokens list shows who has")
    write_tokens(path, kept)
    show(output, [f"the token of {name} is revoked"], {"revoked": name})


@command.command(name="list")
@identity_options
def list_tokens(output: str, **options: object) -> None:
    """Show who has a token, and until when."""
    entries = sorted(read_tokens(config_of(options).identity.tokens).values(), key=lambda entry: entry.name)
    if output == "json":
        found = [{"name": entry.name, "role": entry.role, "expires_s": entry.expires_s} for entry in entries]
        show(output, [], {"tokens": found})
        return
    ends = [dt.datetime.fromtimestamp(entry.expires_s, dt.UTC) for entry in entries]
    rows = [(entry.name, entry.role, f"{end:%Y-%m-%d}") for entry, end in zip(entries, ends, strict=True)]
    echo_table(("NAME", "ROLE", "UNTIL"), rows)
