"""`crdtmesh config show`: the settings in force, and where they would come from."""

from __future__ import annotations

import json

import click

from crdtmesh.cli.options import config_options, format_option, load_config


@click.group(name="config")
def command() -> None:
    """Show the settings in force."""


@command.command()
@config_options
@format_option
def show(output: str, **options: object) -> None:
    """Print the settings that `up` would use with the same file, variables and flags."""
    values = load_config(options).dump()
    if output == "json":
        click.echo(json.dumps(values))
        return
    for key, value in values.items():
        click.echo(f"{key} = {json.dumps(value)}")
