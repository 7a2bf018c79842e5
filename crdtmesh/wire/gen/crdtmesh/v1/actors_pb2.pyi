from ...crdtmesh.v1 import values_pb2 as _values_pb2
from google.protobuf import any_pb2 as _any_pb2
from ...spawn.actors import actor_pb2 as _actor_pb2
from ...spawn.actors import protocol_pb2 as _protocol_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Binding(_message.Message):
    __slots__ = ("handle", "actor", "action", "type_url")
    HANDLE_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    TYPE_URL_FIELD_NUMBER: _ClassVar[int]
    handle: int
    actor: _actor_pb2.ActorId
    action: str
    type_url: str
    def __init__(self, handle: _Optional[int] = ..., actor: _Optional[_Union[_actor_pb2.ActorId, _Mapping]] = ..., action: _Optional[str] = ..., type_url: _Optional[str] = ...) -> None: ...

class CallBatch(_message.Message):
    __slots__ = ("bindings", "id", "actor", "action", "type_url", "payload", "timeout_ms", "extras", "cancelled")
    BINDINGS_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    TYPE_URL_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_MS_FIELD_NUMBER: _ClassVar[int]
    EXTRAS_FIELD_NUMBER: _ClassVar[int]
    CANCELLED_FIELD_NUMBER: _ClassVar[int]
    bindings: _containers.RepeatedCompositeFieldContainer[Binding]
    id: _containers.RepeatedScalarFieldContainer[int]
    actor: _containers.RepeatedScalarFieldContainer[int]
    action: _containers.RepeatedScalarFieldContainer[int]
    type_url: _containers.RepeatedScalarFieldContainer[int]
    payload: _containers.RepeatedScalarFieldContainer[bytes]
    timeout_ms: _containers.RepeatedScalarFieldContainer[int]
    extras: _containers.RepeatedCompositeFieldContainer[CallExtra]
    cancelled: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, bindings: _Optional[_Iterable[_Union[Binding, _Mapping]]] = ..., id: _Optional[_Iterable[int]] = ..., actor: _Optional[_Iterable[int]] = ..., action: _Optional[_Iterable[int]] = ..., type_url: _Optional[_Iterable[int]] = ..., payload: _Optional[_Iterable[bytes]] = ..., timeout_ms: _Optional[_Iterable[int]] = ..., extras: _Optional[_Iterable[_Union[CallExtra, _Mapping]]] = ..., cancelled: _Optional[_Iterable[int]] = ...) -> None: ...

class CallExtra(_message.Message):
    __slots__ = ("id", "metadata", "caller")
    class MetadataEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    ID_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    CALLER_FIELD_NUMBER: _ClassVar[int]
    id: int
    metadata: _containers.ScalarMap[str, str]
    caller: _actor_pb2.ActorId
    def __init__(self, id: _Optional[int] = ..., metadata: _Optional[_Mapping[str, str]] = ..., caller: _Optional[_Union[_actor_pb2.ActorId, _Mapping]] = ...) -> None: ...

class ReplyBatch(_message.Message):
    __slots__ = ("bindings", "id", "type_url", "payload", "failures")
    BINDINGS_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    TYPE_URL_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    FAILURES_FIELD_NUMBER: _ClassVar[int]
    bindings: _containers.RepeatedCompositeFieldContainer[Binding]
    id: _containers.RepeatedScalarFieldContainer[int]
    type_url: _containers.RepeatedScalarFieldContainer[int]
    payload: _containers.RepeatedScalarFieldContainer[bytes]
    failures: _containers.RepeatedCompositeFieldContainer[CallFailure]
    def __init__(self, bindings: _Optional[_Iterable[_Union[Binding, _Mapping]]] = ..., id: _Optional[_Iterable[int]] = ..., type_url: _Optional[_Iterable[int]] = ..., payload: _Optional[_Iterable[bytes]] = ..., failures: _Optional[_Iterable[_Union[CallFailure, _Mapping]]] = ...) -> None: ...

class CallFailure(_message.Message):
    __slots__ = ("id", "code", "outcome", "message")
    ID_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    id: int
    code: _values_pb2.ErrorCode
    outcome: _values_pb2.Outcome
    message: str
    def __init__(self, id: _Optional[int] = ..., code: _Optional[_Union[_values_pb2.ErrorCode, str]] = ..., outcome: _Optional[_Union[_values_pb2.Outcome, str]] = ..., message: _Optional[str] = ...) -> None: ...

class HostBatch(_message.Message):
    __slots__ = ("register", "bindings", "turn", "type_url", "payload", "mutations", "failures", "effects")
    REGISTER_FIELD_NUMBER: _ClassVar[int]
    BINDINGS_FIELD_NUMBER: _ClassVar[int]
    TURN_FIELD_NUMBER: _ClassVar[int]
    TYPE_URL_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    MUTATIONS_FIELD_NUMBER: _ClassVar[int]
    FAILURES_FIELD_NUMBER: _ClassVar[int]
    EFFECTS_FIELD_NUMBER: _ClassVar[int]
    register: _protocol_pb2.RegistrationRequest
    bindings: _containers.RepeatedCompositeFieldContainer[Binding]
    turn: _containers.RepeatedScalarFieldContainer[int]
    type_url: _containers.RepeatedScalarFieldContainer[int]
    payload: _containers.RepeatedScalarFieldContainer[bytes]
    mutations: _containers.RepeatedScalarFieldContainer[bytes]
    failures: _containers.RepeatedCompositeFieldContainer[TurnFailure]
    effects: _containers.RepeatedCompositeFieldContainer[TurnEffects]
    def __init__(self, register: _Optional[_Union[_protocol_pb2.RegistrationRequest, _Mapping]] = ..., bindings: _Optional[_Iterable[_Union[Binding, _Mapping]]] = ..., turn: _Optional[_Iterable[int]] = ..., type_url: _Optional[_Iterable[int]] = ..., payload: _Optional[_Iterable[bytes]] = ..., mutations: _Optional[_Iterable[bytes]] = ..., failures: _Optional[_Iterable[_Union[TurnFailure, _Mapping]]] = ..., effects: _Optional[_Iterable[_Union[TurnEffects, _Mapping]]] = ...) -> None: ...

class TurnEffects(_message.Message):
    __slots__ = ("turn", "state", "workflow")
    TURN_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_FIELD_NUMBER: _ClassVar[int]
    turn: int
    state: _actor_pb2.ActorState
    workflow: _protocol_pb2.Workflow
    def __init__(self, turn: _Optional[int] = ..., state: _Optional[_Union[_actor_pb2.ActorState, _Mapping]] = ..., workflow: _Optional[_Union[_protocol_pb2.Workflow, _Mapping]] = ...) -> None: ...

class TurnFailure(_message.Message):
    __slots__ = ("turn", "message", "unknown_action")
    TURN_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    UNKNOWN_ACTION_FIELD_NUMBER: _ClassVar[int]
    turn: int
    message: str
    unknown_action: bool
    def __init__(self, turn: _Optional[int] = ..., message: _Optional[str] = ..., unknown_action: _Optional[bool] = ...) -> None: ...

class TurnBatch(_message.Message):
    __slots__ = ("registered", "bindings", "states", "turn", "actor", "action", "type_url", "payload", "timeout_ms", "extras", "cancelled", "released", "is_conflict", "notices")
    REGISTERED_FIELD_NUMBER: _ClassVar[int]
    BINDINGS_FIELD_NUMBER: _ClassVar[int]
    STATES_FIELD_NUMBER: _ClassVar[int]
    TURN_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    TYPE_URL_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_MS_FIELD_NUMBER: _ClassVar[int]
    EXTRAS_FIELD_NUMBER: _ClassVar[int]
    CANCELLED_FIELD_NUMBER: _ClassVar[int]
    RELEASED_FIELD_NUMBER: _ClassVar[int]
    IS_CONFLICT_FIELD_NUMBER: _ClassVar[int]
    NOTICES_FIELD_NUMBER: _ClassVar[int]
    registered: _protocol_pb2.RegistrationResponse
    bindings: _containers.RepeatedCompositeFieldContainer[Binding]
    states: _containers.RepeatedCompositeFieldContainer[StateUpdate]
    turn: _containers.RepeatedScalarFieldContainer[int]
    actor: _containers.RepeatedScalarFieldContainer[int]
    action: _containers.RepeatedScalarFieldContainer[int]
    type_url: _containers.RepeatedScalarFieldContainer[int]
    payload: _containers.RepeatedScalarFieldContainer[bytes]
    timeout_ms: _containers.RepeatedScalarFieldContainer[int]
    extras: _containers.RepeatedCompositeFieldContainer[TurnExtra]
    cancelled: _containers.RepeatedScalarFieldContainer[int]
    released: _containers.RepeatedScalarFieldContainer[int]
    is_conflict: bool
    notices: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, registered: _Optional[_Union[_protocol_pb2.RegistrationResponse, _Mapping]] = ..., bindings: _Optional[_Iterable[_Union[Binding, _Mapping]]] = ..., states: _Optional[_Iterable[_Union[StateUpdate, _Mapping]]] = ..., turn: _Optional[_Iterable[int]] = ..., actor: _Optional[_Iterable[int]] = ..., action: _Optional[_Iterable[int]] = ..., type_url: _Optional[_Iterable[int]] = ..., payload: _Optional[_Iterable[bytes]] = ..., timeout_ms: _Optional[_Iterable[int]] = ..., extras: _Optional[_Iterable[_Union[TurnExtra, _Mapping]]] = ..., cancelled: _Optional[_Iterable[int]] = ..., released: _Optional[_Iterable[int]] = ..., is_conflict: _Optional[bool] = ..., notices: _Optional[_Iterable[str]] = ...) -> None: ...

class TurnExtra(_message.Message):
    __slots__ = ("turn", "metadata", "caller")
    class MetadataEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    TURN_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    CALLER_FIELD_NUMBER: _ClassVar[int]
    turn: int
    metadata: _containers.ScalarMap[str, str]
    caller: _actor_pb2.ActorId
    def __init__(self, turn: _Optional[int] = ..., metadata: _Optional[_Mapping[str, str]] = ..., caller: _Optional[_Union[_actor_pb2.ActorId, _Mapping]] = ...) -> None: ...

class StateUpdate(_message.Message):
    __slots__ = ("actor", "value", "set", "opaque")
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    SET_FIELD_NUMBER: _ClassVar[int]
    OPAQUE_FIELD_NUMBER: _ClassVar[int]
    actor: int
    value: _values_pb2.Value
    set: SetChange
    opaque: _actor_pb2.ActorState
    def __init__(self, actor: _Optional[int] = ..., value: _Optional[_Union[_values_pb2.Value, _Mapping]] = ..., set: _Optional[_Union[SetChange, _Mapping]] = ..., opaque: _Optional[_Union[_actor_pb2.ActorState, _Mapping]] = ...) -> None: ...

class SetChange(_message.Message):
    __slots__ = ("added", "removed")
    ADDED_FIELD_NUMBER: _ClassVar[int]
    REMOVED_FIELD_NUMBER: _ClassVar[int]
    added: _containers.RepeatedCompositeFieldContainer[_values_pb2.Data]
    removed: _containers.RepeatedCompositeFieldContainer[_values_pb2.Data]
    def __init__(self, added: _Optional[_Iterable[_Union[_values_pb2.Data, _Mapping]]] = ..., removed: _Optional[_Iterable[_Union[_values_pb2.Data, _Mapping]]] = ...) -> None: ...

class DeleteActorsRequest(_message.Message):
    __slots__ = ("actors",)
    ACTORS_FIELD_NUMBER: _ClassVar[int]
    actors: _containers.RepeatedCompositeFieldContainer[_actor_pb2.ActorId]
    def __init__(self, actors: _Optional[_Iterable[_Union[_actor_pb2.ActorId, _Mapping]]] = ...) -> None: ...

class DeleteActorsResponse(_message.Message):
    __slots__ = ("found",)
    FOUND_FIELD_NUMBER: _ClassVar[int]
    found: _containers.RepeatedScalarFieldContainer[bool]
    def __init__(self, found: _Optional[_Iterable[bool]] = ...) -> None: ...

class StopActorsRequest(_message.Message):
    __slots__ = ("actors",)
    ACTORS_FIELD_NUMBER: _ClassVar[int]
    actors: _containers.RepeatedCompositeFieldContainer[_actor_pb2.ActorId]
    def __init__(self, actors: _Optional[_Iterable[_Union[_actor_pb2.ActorId, _Mapping]]] = ...) -> None: ...

class StopActorsResponse(_message.Message):
    __slots__ = ("stopped",)
    STOPPED_FIELD_NUMBER: _ClassVar[int]
    stopped: _containers.RepeatedScalarFieldContainer[bool]
    def __init__(self, stopped: _Optional[_Iterable[bool]] = ...) -> None: ...

class SubscribeRequest(_message.Message):
    __slots__ = ("system", "topic")
    SYSTEM_FIELD_NUMBER: _ClassVar[int]
    TOPIC_FIELD_NUMBER: _ClassVar[int]
    system: str
    topic: str
    def __init__(self, system: _Optional[str] = ..., topic: _Optional[str] = ...) -> None: ...

class ChannelMessage(_message.Message):
    __slots__ = ("lagged", "value", "publisher")
    LAGGED_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    PUBLISHER_FIELD_NUMBER: _ClassVar[int]
    lagged: int
    value: _any_pb2.Any
    publisher: _actor_pb2.ActorId
    def __init__(self, lagged: _Optional[int] = ..., value: _Optional[_Union[_any_pb2.Any, _Mapping]] = ..., publisher: _Optional[_Union[_actor_pb2.ActorId, _Mapping]] = ...) -> None: ...

class ListActorsRequest(_message.Message):
    __slots__ = ("system",)
    SYSTEM_FIELD_NUMBER: _ClassVar[int]
    system: str
    def __init__(self, system: _Optional[str] = ...) -> None: ...

class ListActorsResponse(_message.Message):
    __slots__ = ("actors",)
    ACTORS_FIELD_NUMBER: _ClassVar[int]
    actors: _containers.RepeatedCompositeFieldContainer[ActorInfo]
    def __init__(self, actors: _Optional[_Iterable[_Union[ActorInfo, _Mapping]]] = ...) -> None: ...

class ActorInfo(_message.Message):
    __slots__ = ("id", "state_type", "actions", "nodes")
    ID_FIELD_NUMBER: _ClassVar[int]
    STATE_TYPE_FIELD_NUMBER: _ClassVar[int]
    ACTIONS_FIELD_NUMBER: _ClassVar[int]
    NODES_FIELD_NUMBER: _ClassVar[int]
    id: _actor_pb2.ActorId
    state_type: str
    actions: _containers.RepeatedScalarFieldContainer[str]
    nodes: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, id: _Optional[_Union[_actor_pb2.ActorId, _Mapping]] = ..., state_type: _Optional[str] = ..., actions: _Optional[_Iterable[str]] = ..., nodes: _Optional[_Iterable[str]] = ...) -> None: ...
