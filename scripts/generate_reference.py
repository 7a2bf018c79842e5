"""Writes `docs/reference/` from the code: settings, commands, gRPC services. A test compares.

    make reference

The words are those of `--help` and of the `.proto` files; nothing is written down twice.
"""

from __future__ import annotations

import dataclasses
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import click

from crdtmesh.cli.main import cli
from crdtmesh.cli.options import config_options
from crdtmesh.config import ENVIRONMENT_PREFIX, SPAWN_VARIABLES, NodeConfig

ROOT: Final = Path(__file__).resolve().parent.parent
TARGET: Final = ROOT / "docs" / "reference"
PROTO: Final = ROOT / "proto" / "crdtmesh" / "v1"

_DEFAULT: Final = re.compile(r"\s*Default: (?P<default>.+?)\.$")
_COMMENT: Final = re.compile(r"^\s*// ?(?P<text>.*)$")
_RPC: Final = re.compile(r"^\s*rpc (?P<name>\w+)\((?P<request>[^)]+)\) returns \((?P<response>[^)]+)\);")
_VALUE: Final = re.compile(r"^\s*(?P<name>[A-Z_]+) = [1-9]\d*;")


def pages() -> dict[str, str]:
    """Each page of the reference: file name to text."""
    note = "Generated from the code by `scripts/generate_reference.py`.\n"
    return {
        "settings.md": f"# Settings\n\n{note}\n{_settings()}",
        "commands.md": f"# Commands\n\n{note}\n{_commands()}",
        "grpc.md": f"# gRPC services\n\n{note}\n{_services()}",
    }


def _settings() -> str:
    @click.command()
    @config_options
    def up() -> None:
        pass

    options = {option.name: option for option in up.params if isinstance(option, click.Option)}
    spawn = {key: variable for variable, key in SPAWN_VARIABLES.items()}
    rows = []
    for field in dataclasses.fields(NodeConfig):
        option = options[field.name]
        meaning, default = _split_default(option.help or "")
        variables = [ENVIRONMENT_PREFIX + field.name.upper(), *([spawn[field.name]] if field.name in spawn else [])]
        rows.append((f"`{field.name}`", f"`{option.opts[0]}`", _code(variables), meaning, default))
    return _table(("key in `crdtmesh.toml`", "flag", "variable", "meaning", "default"), rows)


def _commands() -> str:
    parts = []
    for path, command in _walk(cli, "crdtmesh"):
        usage = " ".join([path, *(_metavar(param) for param in _arguments(command))])
        parts.append(f"## `{usage}`\n\n{_help(command)}\n")
        rows = [
            (f"`{_spelled(option)}`", *_split_default(option.help or "", option))
            for option in command.params
            if isinstance(option, click.Option)
        ]
        if path in {"crdtmesh up", "crdtmesh config show"}:
            rows = [row for row in rows if row[0].startswith(("`--config", "`--format"))]
            parts.append("All of [settings.md](settings.md), and:\n")
        parts.append(_table(("option", "meaning", "default"), rows))
    return "\n".join(parts)


def _walk(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    if not isinstance(command, click.Group):
        yield path, command
        return
    context = _context(command)
    for name in command.list_commands(context):
        found = command.get_command(context, name)
        assert found is not None
        yield from _walk(found, f"{path} {name}")


def _context(command: click.Command) -> click.Context:
    return click.Context(command, info_name=command.name)


def _arguments(command: click.Command) -> list[click.Argument]:
    return [param for param in command.params if isinstance(param, click.Argument)]


def _help(command: click.Command) -> str:
    paragraphs = (command.help or "").split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


def _spelled(option: click.Option) -> str:
    name = max(option.opts, key=len)
    return name if option.is_flag else f"{name} {_metavar(option)}"


def _metavar(param: click.Parameter) -> str:
    """What stands for the value. Click's own way to say it changes between its versions."""
    if param.metavar is not None:
        return param.metavar.replace("|", " or ")
    if isinstance(param, click.Argument):
        assert param.name is not None
        return param.name.upper() if param.required else f"[{param.name.upper()}]"
    if isinstance(param.type, click.Choice):
        return " or ".join(param.type.choices)
    return param.type.name.upper().removesuffix(" RANGE")


def _split_default(text: str, option: click.Option | None = None) -> tuple[str, str]:
    found = _DEFAULT.search(text)
    if found is not None:
        return text[: found.start()], found["default"]
    if option is not None and option.show_default and option.default is not None:
        return text, str(option.default)
    return text, ""


def _services() -> str:
    parts = []
    for path in sorted(PROTO.glob("*.proto")):
        text = path.read_text()
        for service in re.finditer(r"^service (?P<name>\w+) \{\n(?P<body>.*?)^\}", text, re.MULTILINE | re.DOTALL):
            rows = [
                (f"`{rpc['name']}`", f"`{rpc['request']}`", f"`{rpc['response']}`", comment)
                for comment, rpc in _commented(service["body"], _RPC)
            ]
            parts.append(f"## `crdtmesh.v1.{service['name']}` ({path.relative_to(ROOT).as_posix()})\n")
            parts.append(_table(("call", "takes", "gives", "does"), rows))
    errors = re.search(
        r"^enum ErrorCode \{\n(?P<body>.*?)^\}", (PROTO / "values.proto").read_text(), re.MULTILINE | re.DOTALL
    )
    assert errors is not None
    parts.append("## Error codes\n")
    codes = [(f"`{value['name'].lower()}`", comment) for comment, value in _commented(errors["body"], _VALUE)]
    parts.append(_table(("code", "means"), codes))
    return "\n".join(parts)


def _commented(body: str, pattern: re.Pattern[str]) -> Iterator[tuple[str, re.Match[str]]]:
    """Lines that match, each with the comment above it."""
    comment: list[str] = []
    for line in body.splitlines():
        if found := _COMMENT.match(line):
            comment.append(found["text"])
            continue
        if found := pattern.match(line):
            yield " ".join(comment), found
        comment = []


def _code(words: list[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = ["| " + " | ".join(row) + " |" for row in (head, ("---",) * len(head), *rows)]
    return "\n".join(re.sub(r" {2,}", " ", line) for line in lines) + "\n"


if __name__ == "__main__":
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else TARGET
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (folder / name).write_text(text)
