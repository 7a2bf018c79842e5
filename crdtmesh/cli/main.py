"""The top of the command line: names of commands, loaded only when used."""

from __future__ import annotations

import importlib
from typing import Final

import click

import crdtmesh
from crdtmesh.config import nearest
from crdtmesh.errors import ConfigError, MeshError

# Command -> (module, one line for the overview). The line stands here so that `--help` imports no command.
COMMANDS: Final = {
    "up": ("up", "Run a node, with an actor host beside it if asked."),
    "members": ("members", "List the members of the mesh, or remove one that will not come back."),
    "status": ("status", "Show this node's health, peers and lags."),
    "leave": ("leave", "Leave the mesh gracefully and stop the node."),
    "invoke": ("invoke", "Call an action of an actor, and print its answer as JSON."),
    "actors": ("actors", "List the actors that live nodes offer; spawn, stop and delete them; follow their channels."),
    "state": ("state", "Read and change replicated state directly."),
    "certs": ("certs", "Make a cluster's authority, and the certificates of its nodes and clients."),
    "keys": ("keys", "Make and rotate the keys that seal gossip."),
    "tokens": ("tokens", "Make and revoke the tokens of clients beyond this machine."),
    "invite": ("invite", "Print a token by which a new machine joins the cluster."),
    "join": ("join", "Get this machine's certificate and keys by a token of invite."),
    "backup": ("backup", "Write all that a node's disk holds into FILE, while the node runs or not."),
    "restore": ("restore", "Make the data directory of a node that does not run from a backup."),
    "config": ("config", "Show the settings in force."),
    "demo": ("demo", "Run three nodes on this machine, kill one, and prove that all agree."),
}


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"crdtmesh.cli.{COMMANDS[cmd_name][0]}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            ctx.fail(f"no such command {args[0]!r:.64}; {nearest(args[0], list(COMMANDS))}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except MeshError as error:
            click.echo(f"error: {error}", err=True)
            ctx.exit(2 if isinstance(error, ConfigError) else 1)


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(crdtmesh.__version__, prog_name="crdtmesh")
def cli() -> None:
    """Nodes that find each other and keep CRDT-typed actor state on every one of them."""
