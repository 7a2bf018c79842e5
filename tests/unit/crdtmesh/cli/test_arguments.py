"""How the commands read their arguments and show their results, without a node."""

import json
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from crdtmesh.cli.client import JsonCommand, fail, parse_json, split_name
from crdtmesh.cli.explain import minus
from crdtmesh.cli.main import COMMANDS, cli
from crdtmesh.cli.tables import echo_table
from crdtmesh.errors import ConfigError


@click.command(cls=JsonCommand)
@click.argument("value")
@click.option("--timeout", type=float, default=1.0)
def _echo(value: str, timeout: float) -> None:
    click.echo(json.dumps([parse_json(value), timeout]))


@pytest.mark.parametrize("value", ["-5", "-0.5", "-1e3", "5", "true", "[-1]"])
def test_json_is_an_argument_also_when_it_is_negative(value: str) -> None:
    ran = CliRunner().invoke(_echo, [value, "--timeout", "2"])

    assert [json.loads(value), 2.0] == json.loads(ran.output)


def test_an_unknown_option_beside_json_names_the_nearest() -> None:
    ran = CliRunner().invoke(_echo, ["5", "--timeuot", "2"])

    assert 2 == ran.exit_code
    assert "--timeout" in ran.output


def test_text_without_quotes_is_told_how_to_write_it() -> None:
    with pytest.raises(ConfigError, match="""a text is written '"milk"'"""):
        parse_json("milk")


def test_a_name_without_a_system_belongs_to_the_configured_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRDTMESH_SYSTEM", "shops")

    assert ("shops", "milk") == split_name("milk")
    assert ("home", "milk") == split_name("home/milk")
    assert ("home", "a/b") == split_name("home/a/b")


@pytest.mark.parametrize("is_named", [True, False])
def test_clients_read_the_same_file_as_the_node(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_named: bool
) -> None:
    file = tmp_path / ("other.toml" if is_named else "crdtmesh.toml")
    file.write_text('system = "shops"\n')
    monkeypatch.chdir(tmp_path)
    if is_named:
        monkeypatch.setenv("CRDTMESH_CONFIG", str(file))

    assert ("shops", "milk") == split_name("milk")


@pytest.mark.parametrize("name", ["/milk", "home/", "/"])
def test_half_a_name_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="SYSTEM/NAME"):
        split_name(name)


def test_a_table_is_padded_and_has_no_trailing_space(capsys: pytest.CaptureFixture[str]) -> None:
    echo_table(("NAME", "STATE"), [("a", "alive"), ("long-name", "")])

    assert "NAME       STATE\na          alive\nlong-name\n" == capsys.readouterr().out


def test_a_failure_is_one_line_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        fail("no such actor", output="text", code="unknown_actor", outcome="not_applied")

    assert 1 == ended.value.code
    assert "error: no such actor (code: unknown_actor, outcome: not_applied)\n" == capsys.readouterr().err


def test_a_failure_in_json_keeps_its_fields_apart(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        fail("no such actor", output="json", code="unknown_actor", outcome="not_applied")

    assert {"error": "no such actor", "code": "unknown_actor", "outcome": "not_applied"} == json.loads(
        capsys.readouterr().err
    )


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name: str) -> None:
    ran = CliRunner().invoke(cli, [name, "--help"])

    assert 0 == ran.exit_code
    # The overview's line, which stands apart so that the overview is quick, is the command's own first line.
    assert COMMANDS[name][1] in " ".join(ran.output.split())


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["config", "shwo"], "show"),
        (["state", "lst"], "list"),
        (["up", "--actrs", "x:y"], "--actors"),
        (["up", "--discovery", "mdn"], "mdns"),
        (["invoke", "a/b", "c", "--asinc"], "--async"),
        (["demo", "--secnds", "5"], "--seconds"),
    ],
)
def test_a_mistyped_word_is_answered_with_the_nearest(arguments: list[str], hint: str) -> None:
    ran = CliRunner().invoke(cli, arguments)

    assert 2 == ran.exit_code
    assert hint in ran.output.splitlines()[-1]


def test_the_difference_of_intervals_is_what_only_the_first_has() -> None:
    assert ((1, 2), (5, 5), (9, 10)) == minus(((1, 5), (7, 10)), ((3, 4), (7, 8), (20, 30)))
    assert () == minus(((1, 5),), ((1, 9),))
    assert ((1, 5),) == minus(((1, 5),), ())
