import pytest

from crdtmesh.runtime.definition import DEACTIVATION_TIMEOUT_MS, SNAPSHOT_INTERVAL_MS, ActorAddress, Kind
from crdtmesh.runtime.errors import RegistrationRefused
from crdtmesh.runtime.opaque import OpaqueState
from crdtmesh.wire.gen.spawn.actors.actor_pb2 import NAMED, Actor, Channel
from crdtmesh.wire.gen.spawn.actors.protocol_pb2 import ERROR, OK, RegistrationRequest
from crdtmesh.wire.registration import ACCEPTED, DEFINITIONS_MAX, accepted, definitions_from, refused
from crdtmesh.wire.tags import REVISIONS_TAG, TYPE_TAG


def request(**actors: Actor) -> RegistrationRequest:
    made = RegistrationRequest()
    made.actor_system.name = "shops"
    for name, actor in actors.items():
        made.actor_system.registry.actors[name].CopyFrom(actor)
    return made


def test_an_actor_is_read_with_its_actions_and_state_type() -> None:
    actor = Actor()
    actor.settings.kind = NAMED
    actor.settings.stateful = True
    actor.settings.state_type = "crdtmesh.v1.PNCounter"
    actor.settings.deactivation_strategy.timeout.timeout = 500
    for name in ("add", "value"):
        actor.actions.add(name=name)

    (definition,) = definitions_from(request(milk=actor))

    assert ActorAddress("shops", "milk") == definition.address
    assert (Kind.NAMED, True, "PNCounter") == (definition.kind, definition.is_stateful, definition.type_name)
    assert {"add", "value"} == definition.actions
    assert 500 == definition.deactivation_timeout_ms


@pytest.mark.parametrize("where", ["metadata", "state"])
def test_a_released_sdk_names_the_type_by_a_tag(where: str) -> None:
    actor = Actor()
    actor.settings.stateful = True
    getattr(actor, where).tags[TYPE_TAG] = "crdtmesh.v1.ORSet"

    (definition,) = definitions_from(request(cart=actor))

    assert "ORSet" == definition.type_name


def test_revisions_are_asked_for_by_a_tag_and_spaced_by_the_snapshot_interval() -> None:
    actor = Actor()
    actor.metadata.tags[REVISIONS_TAG] = "32"
    actor.settings.snapshot_strategy.timeout.timeout = 500

    asked, plain = definitions_from(request(cart=actor, echo=Actor()))

    assert (32, 500) == (asked.revisions_max, asked.revision_interval_ms)
    assert (0, SNAPSHOT_INTERVAL_MS) == (plain.revisions_max, plain.revision_interval_ms)


@pytest.mark.parametrize("text", ["33", "-1", "", "many", "٣", "9" * 5_000])
def test_a_number_of_revisions_that_is_none_is_refused(text: str) -> None:
    actor = Actor()
    actor.metadata.tags[REVISIONS_TAG] = text

    with pytest.raises(RegistrationRefused, match=r"crdtmesh.revisions of 0 to 32 expected"):
        definitions_from(request(cart=actor))


def test_the_id_wins_over_the_key_and_the_system_of_the_registry() -> None:
    actor = Actor()
    actor.id.name, actor.id.system = "milk", "dairy"

    (definition,) = definitions_from(request(anything=actor))

    assert ActorAddress("dairy", "milk") == definition.address


def test_no_timeout_means_the_default() -> None:
    (definition,) = definitions_from(request(milk=Actor()))

    assert DEACTIVATION_TIMEOUT_MS == definition.deactivation_timeout_ms


def test_a_kind_that_does_not_exist_is_refused() -> None:
    actor = Actor()
    number = actor.settings.DESCRIPTOR.fields_by_name["kind"].number
    actor.settings.MergeFromString(bytes([number << 3, 99]))

    with pytest.raises(RegistrationRefused, match="kind 99 doesn't exist"):
        definitions_from(request(milk=actor))


def test_too_many_actors_are_refused() -> None:
    many = request(**{f"actor-{number}": Actor() for number in range(DEFINITIONS_MAX + 1)})

    with pytest.raises(RegistrationRefused, match=f"got {DEFINITIONS_MAX + 1}"):
        definitions_from(many)


def test_a_state_and_tags_are_what_an_activation_begins_with() -> None:
    actor = Actor()
    actor.state.state.type_url, actor.state.state.value = "type.example/shop.Till", b"\x00\xff"
    actor.state.tags["aisle"] = "3"

    (definition,) = definitions_from(request(till=actor))

    assert OpaqueState("type.example/shop.Till", b"\x00\xff", {"aisle": "3"}) == definition.initial


def test_what_a_timer_runs_can_be_called() -> None:
    actor = Actor()
    actor.timer_actions.add(seconds=250).action.name = "tick"

    (definition,) = definitions_from(request(till=actor))

    assert {"tick"} == definition.actions


def test_the_parent_of_a_registered_id_says_nothing() -> None:
    actor = Actor()
    actor.id.name = actor.id.parent = "till"

    (definition,) = definitions_from(request(till=actor))

    assert ActorAddress("shops", "till") == definition.address


@pytest.mark.parametrize(
    ("groups", "channels"),
    [
        ([Channel(topic="news", action="hear").SerializeToString()], [("news", "hear")]),
        ([Channel(topic="news").SerializeToString()], [("news", "")]),
        ([Channel(action="hear").SerializeToString()], [("", "hear")]),
        ([b"test"], [("test", "")]),
        ([b"", "kanäle".encode()], [("kanäle", "")]),
        ([b"a", Channel(topic="b").SerializeToString()], [("a", ""), ("b", "")]),
    ],
)
def test_channels_are_read_in_both_encodings(groups: list[bytes], channels: list[tuple[str, str]]) -> None:
    actor = Actor()
    actor.metadata.channel_group.extend(groups)

    (definition,) = definitions_from(request(till=actor))

    assert channels == list(definition.channels)


@pytest.mark.parametrize("group", [b"\x0a\xff", b"\xff\xfe"])
def test_a_channel_that_is_neither_is_refused(group: bytes) -> None:
    actor = Actor()
    actor.metadata.channel_group.append(group)

    with pytest.raises(RegistrationRefused, match="channel_group"):
        definitions_from(request(till=actor))


def test_answers_carry_what_sdks_look_for() -> None:
    assert (OK, ACCEPTED) == (accepted().status.status, accepted().status.message)
    assert (ERROR, "no") == (refused("no").status.status, refused("no").status.message)
