"""Spawn's messages as each SDK declares them, built from the tables of the protocol's fact sheet.

Nothing here comes from this project's own `.proto` files: the suite would not notice a number that is wrong in them.
A dialect has its own package, and where SDKs differ its own fields.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from google.protobuf import any_pb2, descriptor_pb2, descriptor_pool, message_factory

# One message a line: `NAME: number name type; ...`; a oneof is `name { number name type; ... }`.
SHEET: Final = """
Registry: 1 actors map<string,Actor>
ActorSystem: 1 name string; 2 registry Registry
ActorSnapshotStrategy: strategy { 1 timeout TimeoutStrategy }
ActorDeactivationStrategy: strategy { 1 timeout TimeoutStrategy }
TimeoutStrategy: 1 timeout int64
Action: 1 name string
FixedTimerAction: 1 seconds int32; 2 action Action
ActorState: 1 tags map<string,string>; 2 state Any
Metadata: 1 channel_group repeated Channel; 2 tags map<string,string>
Channel: 1 topic string; 2 action string
ActorSettings: 1 kind Kind; 2 stateful bool; 3 snapshot_strategy ActorSnapshotStrategy; \
4 deactivation_strategy ActorDeactivationStrategy; 5 min_pool_size int32; 6 max_pool_size int32
ActorId: 1 name string; 2 system string; 3 parent string
Actor: 1 id ActorId; 2 state ActorState; 3 settings ActorSettings; 4 actions repeated Action; \
5 timer_actions repeated FixedTimerAction; 6 metadata Metadata
Context: 1 state Any; 2 caller ActorId; 3 self ActorId; 4 metadata map<string,string>; 5 tags map<string,string>
Noop:
JSONType: 1 content string
RegistrationRequest: 1 service_info ServiceInfo; 2 actor_system ActorSystem
RegistrationResponse: 1 status RequestStatus; 2 proxy_info ProxyInfo
ServiceInfo: 1 service_name string; 2 service_version string; 3 service_runtime string; \
4 support_library_name string; 5 support_library_version string; \
6 protocol_major_version int32; 7 protocol_minor_version int32
SpawnRequest: 1 actors repeated ActorId
SpawnResponse: 1 status RequestStatus
ProxyInfo: 1 protocol_major_version int32; 2 protocol_minor_version int32; 3 proxy_name string; 4 proxy_version string
SideEffect: 1 request InvocationRequest
Broadcast: 1 channel_group string; payload { 3 value Any; 4 noop Noop }
Pipe: 1 actor string; 2 action_name string
Forward: 1 actor string; 2 action_name string
Workflow: 1 effects repeated SideEffect; 2 broadcast Broadcast; routing { 3 pipe Pipe; 4 forward Forward }
InvocationRequest: 1 system ActorSystem; 2 actor Actor; 3 action_name string; payload { 4 value Any; 7 noop Noop }; \
5 async bool; 6 caller ActorId; 8 metadata map<string,string>; 9 scheduled_to int64; 10 pooled bool; \
11 register_ref string
ActorInvocation: 1 actor ActorId; 2 action_name string; 3 current_context Context; \
payload { 4 value Any; 5 noop Noop }; 6 caller ActorId
ActorInvocationResponse: 1 actor_name string; 2 actor_system string; 3 updated_context Context; \
payload { 4 value Any; 6 noop Noop }; 5 workflow Workflow; 7 checkpoint bool
InvocationResponse: 1 status RequestStatus; 2 system ActorSystem; 3 actor Actor; payload { 4 value Any; 5 noop Noop }
RequestStatus: 1 status Status; 2 message string
"""

ENUMS: Final[Mapping[str, tuple[str, ...]]] = {
    "Kind": ("UNKNOW_KIND", "NAMED", "UNNAMED", "POOLED", "PROXY", "TASK", "PROJECTION"),
    "Status": ("UNKNOWN", "OK", "ACTOR_NOT_FOUND", "ERROR"),
}

OLD_CHANNELS: Final = {
    "Metadata": "1 channel_group string; 2 tags map<string,string>",
    "Broadcast": "1 channel_group string; 2 action_name string; payload { 3 value Any; 4 noop Noop }",
    "InvocationRequest": "1 system ActorSystem; 2 actor Actor; 3 action_name string; "
    "payload { 4 value Any; 7 noop Noop }; 5 async bool; 6 caller ActorId; 8 metadata map<string,string>; "
    "9 scheduled_to int64; 10 pooled bool",
}
"""What the three older SDKs declare otherwise."""

_WELL_KNOWN: Final = {"Any": ".google.protobuf.Any"}
_FIELD: Final = re.compile(r"(\d+) (\w+) (repeated )?(map<string,(\w+)>|\w+)")
_ONEOF: Final = re.compile(r"(\w+) \{ ([^}]*) \}")
_Type = descriptor_pb2.FieldDescriptorProto


@dataclass(frozen=True, slots=True)
class Schema:
    """The message classes of one dialect, as attributes."""

    package: str
    classes: Mapping[str, Any]

    def __getattr__(self, name: str) -> Any:
        try:
            return self.classes[name]
        except KeyError:
            raise AttributeError(name) from None


def build(package: str, changes: Mapping[str, str] | None = None) -> Schema:
    """The classes under a package, with some messages declared otherwise."""
    file = descriptor_pb2.FileDescriptorProto(name=f"{package}.proto", package=package, syntax="proto3")
    file.dependency.append("google/protobuf/any.proto")
    messages = dict(line.split(":", 1) for line in SHEET.strip().splitlines())
    messages.update(changes or {})
    for name, values in ENUMS.items():
        enum = file.enum_type.add(name=name)
        for number, value in enumerate(values):
            enum.value.add(name=value, number=number)
    for name, fields in messages.items():
        _message(file.message_type.add(name=name), fields, package)
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(any_pb2.DESCRIPTOR.serialized_pb)
    pool.Add(file)
    return Schema(
        package,
        {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.{name}")) for name in messages},
    )


def _message(message: descriptor_pb2.DescriptorProto, fields: str, package: str) -> None:
    for number, name, is_repeated, kind, value in _parts(_ONEOF.sub("", fields)):
        _field(message, int(number), name, kind, value, package, is_repeated=is_repeated)
    for index, (name, members) in enumerate(_ONEOF.findall(fields)):
        message.oneof_decl.add(name=name)
        for number, member, _, kind, value in _parts(members):
            _field(message, int(number), member, kind, value, package).oneof_index = index


def _parts(fields: str) -> Iterator[tuple[str, str, bool, str, str]]:
    for number, name, repeated, kind, value in _FIELD.findall(fields):
        yield number, name, bool(repeated), kind, value


def _field(
    message: descriptor_pb2.DescriptorProto,
    number: int,
    name: str,
    kind: str,
    value: str,
    package: str,
    *,
    is_repeated: bool = False,
) -> descriptor_pb2.FieldDescriptorProto:
    field = message.field.add(name=name, number=number, label=_Type.LABEL_OPTIONAL)
    if value:  # a map is a repeated message with key and value
        entry = message.nested_type.add(name="".join(part.title() for part in name.split("_")) + "Entry")
        entry.options.map_entry = True
        _field(entry, 1, "key", "string", "", package)
        _field(entry, 2, "value", value, "", package)
        field.type, field.label = _Type.TYPE_MESSAGE, _Type.LABEL_REPEATED
        field.type_name = f".{package}.{message.name}.{entry.name}"
        return field
    if is_repeated:
        field.label = _Type.LABEL_REPEATED
    scalar = getattr(_Type, f"TYPE_{kind.upper()}", None)
    if scalar is not None:
        field.type = scalar
    else:
        field.type = _Type.TYPE_ENUM if kind in ENUMS else _Type.TYPE_MESSAGE
        field.type_name = _WELL_KNOWN.get(kind, f".{package}.{kind}")
    return field
