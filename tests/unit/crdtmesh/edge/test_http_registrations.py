from pathlib import Path

import pytest

from crdtmesh.edge.http_registrations import FILE_NAME, SYSTEMS_MAX, Registrations
from crdtmesh.wire.gen.spawn.actors.protocol_pb2 import RegistrationRequest

WHERE = "127.0.0.1:8090"


def request(system: str, **actions: str) -> RegistrationRequest:
    made = RegistrationRequest()
    made.actor_system.name = system
    for actor, action in actions.items():
        made.actor_system.registry.actors[actor].actions.add(name=action)
    return made


def read(folder: Path) -> dict[str, dict[str, dict[str, str]]]:
    """Systems, actors and their first actions, by where the user function is."""
    return {
        where: {
            each.actor_system.name: {
                name: actor.actions[0].name for name, actor in each.actor_system.registry.actors.items()
            }
            for each in requests
        }
        for where, requests in Registrations(folder).load().items()
    }


def test_nothing_was_registered_yet(tmp_path: Path) -> None:
    assert {} == read(tmp_path)


def test_what_was_registered_is_there_in_the_next_run(tmp_path: Path) -> None:
    kept = Registrations(tmp_path)
    kept.add(WHERE, request("shops", till="sell"))
    kept.add("app:8091", request("banks", safe="lock"))

    assert {WHERE: {"shops": {"till": "sell"}}, "app:8091": {"banks": {"safe": "lock"}}} == read(tmp_path)


def test_a_later_registration_replaces_its_actors_and_keeps_the_others(tmp_path: Path) -> None:
    Registrations(tmp_path).add(WHERE, request("shops", till="sell", door="open"))
    later = Registrations(tmp_path)
    later.load()
    later.add(WHERE, request("shops", till="close"))
    later.add(WHERE, request("banks", safe="lock"))

    assert {WHERE: {"shops": {"till": "close", "door": "open"}, "banks": {"safe": "lock"}}} == read(tmp_path)


def test_the_same_again_writes_nothing(tmp_path: Path) -> None:
    kept = Registrations(tmp_path)
    kept.add(WHERE, request("shops", till="sell"))
    (tmp_path / FILE_NAME).unlink()
    kept.add(WHERE, request("shops", till="sell"))

    assert not (tmp_path / FILE_NAME).exists()


def test_systems_of_one_user_function_are_bounded(tmp_path: Path) -> None:
    kept = Registrations(tmp_path)
    for number in range(SYSTEMS_MAX + 3):
        kept.add(WHERE, request(f"system-{number}", till="sell"))

    assert [f"system-{number}" for number in range(3, SYSTEMS_MAX + 3)] == list(read(tmp_path)[WHERE])


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"a": 1}', '{"a": {"b": 1}}', '{"a": {"b": "!"}}', '{"a": {"b": "/w=="}}']
)
def test_a_file_that_can_not_be_read_is_put_aside(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE_NAME).write_text(text)

    assert {} == read(tmp_path)
    assert text == (tmp_path / FILE_NAME).with_suffix(".unreadable").read_text()
    Registrations(tmp_path).add(WHERE, request("shops", till="sell"))
    assert {WHERE: {"shops": {"till": "sell"}}} == read(tmp_path)
