from ...crdtmesh.v1 import values_pb2 as _values_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SnapshotReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SNAPSHOT_NONE: _ClassVar[SnapshotReason]
    SNAPSHOT_FIRST: _ClassVar[SnapshotReason]
    SNAPSHOT_OTHER_NODE: _ClassVar[SnapshotReason]
    SNAPSHOT_EXPIRED: _ClassVar[SnapshotReason]
    SNAPSHOT_OTHER_SELECTION: _ClassVar[SnapshotReason]
SNAPSHOT_NONE: SnapshotReason
SNAPSHOT_FIRST: SnapshotReason
SNAPSHOT_OTHER_NODE: SnapshotReason
SNAPSHOT_EXPIRED: SnapshotReason
SNAPSHOT_OTHER_SELECTION: SnapshotReason

class StateKey(_message.Message):
    __slots__ = ("system", "key", "type")
    SYSTEM_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    system: str
    key: str
    type: str
    def __init__(self, system: _Optional[str] = ..., key: _Optional[str] = ..., type: _Optional[str] = ...) -> None: ...

class GetStateRequest(_message.Message):
    __slots__ = ("key", "level", "level_options", "after")
    KEY_FIELD_NUMBER: _ClassVar[int]
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    LEVEL_OPTIONS_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    key: StateKey
    level: _values_pb2.Level
    level_options: _values_pb2.LevelOptions
    after: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, key: _Optional[_Union[StateKey, _Mapping]] = ..., level: _Optional[_Union[_values_pb2.Level, str]] = ..., level_options: _Optional[_Union[_values_pb2.LevelOptions, _Mapping]] = ..., after: _Optional[_Iterable[str]] = ...) -> None: ...

class GetStateResponse(_message.Message):
    __slots__ = ("found", "key", "value", "token", "expires_at_ms")
    FOUND_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_MS_FIELD_NUMBER: _ClassVar[int]
    found: bool
    key: StateKey
    value: _values_pb2.Value
    token: str
    expires_at_ms: int
    def __init__(self, found: _Optional[bool] = ..., key: _Optional[_Union[StateKey, _Mapping]] = ..., value: _Optional[_Union[_values_pb2.Value, _Mapping]] = ..., token: _Optional[str] = ..., expires_at_ms: _Optional[int] = ...) -> None: ...

class ListStateRequest(_message.Message):
    __slots__ = ("system", "prefix", "page_size", "page_token", "level", "level_options")
    SYSTEM_FIELD_NUMBER: _ClassVar[int]
    PREFIX_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    LEVEL_OPTIONS_FIELD_NUMBER: _ClassVar[int]
    system: str
    prefix: str
    page_size: int
    page_token: str
    level: _values_pb2.Level
    level_options: _values_pb2.LevelOptions
    def __init__(self, system: _Optional[str] = ..., prefix: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., level: _Optional[_Union[_values_pb2.Level, str]] = ..., level_options: _Optional[_Union[_values_pb2.LevelOptions, _Mapping]] = ...) -> None: ...

class ListStateResponse(_message.Message):
    __slots__ = ("entries", "next_page_token")
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    entries: _containers.RepeatedCompositeFieldContainer[StateEntry]
    next_page_token: str
    def __init__(self, entries: _Optional[_Iterable[_Union[StateEntry, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class StateEntry(_message.Message):
    __slots__ = ("key", "value")
    KEY_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    key: StateKey
    value: _values_pb2.Value
    def __init__(self, key: _Optional[_Union[StateKey, _Mapping]] = ..., value: _Optional[_Union[_values_pb2.Value, _Mapping]] = ...) -> None: ...

class EntryUpdate(_message.Message):
    __slots__ = ("key", "mutations")
    KEY_FIELD_NUMBER: _ClassVar[int]
    MUTATIONS_FIELD_NUMBER: _ClassVar[int]
    key: StateKey
    mutations: _values_pb2.Mutations
    def __init__(self, key: _Optional[_Union[StateKey, _Mapping]] = ..., mutations: _Optional[_Union[_values_pb2.Mutations, _Mapping]] = ...) -> None: ...

class UpdateStateRequest(_message.Message):
    __slots__ = ("key", "mutations", "level", "level_options", "others", "operation_id", "ttl_ms")
    KEY_FIELD_NUMBER: _ClassVar[int]
    MUTATIONS_FIELD_NUMBER: _ClassVar[int]
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    LEVEL_OPTIONS_FIELD_NUMBER: _ClassVar[int]
    OTHERS_FIELD_NUMBER: _ClassVar[int]
    OPERATION_ID_FIELD_NUMBER: _ClassVar[int]
    TTL_MS_FIELD_NUMBER: _ClassVar[int]
    key: StateKey
    mutations: _values_pb2.Mutations
    level: _values_pb2.Level
    level_options: _values_pb2.LevelOptions
    others: _containers.RepeatedCompositeFieldContainer[EntryUpdate]
    operation_id: str
    ttl_ms: int
    def __init__(self, key: _Optional[_Union[StateKey, _Mapping]] = ..., mutations: _Optional[_Union[_values_pb2.Mutations, _Mapping]] = ..., level: _Optional[_Union[_values_pb2.Level, str]] = ..., level_options: _Optional[_Union[_values_pb2.LevelOptions, _Mapping]] = ..., others: _Optional[_Iterable[_Union[EntryUpdate, _Mapping]]] = ..., operation_id: _Optional[str] = ..., ttl_ms: _Optional[int] = ...) -> None: ...

class UpdateStateResponse(_message.Message):
    __slots__ = ("changed", "value", "other_values", "token")
    CHANGED_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    OTHER_VALUES_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    changed: bool
    value: _values_pb2.Value
    other_values: _containers.RepeatedCompositeFieldContainer[_values_pb2.Value]
    token: str
    def __init__(self, changed: _Optional[bool] = ..., value: _Optional[_Union[_values_pb2.Value, _Mapping]] = ..., other_values: _Optional[_Iterable[_Union[_values_pb2.Value, _Mapping]]] = ..., token: _Optional[str] = ...) -> None: ...

class DeleteStateRequest(_message.Message):
    __slots__ = ("key", "level", "level_options")
    KEY_FIELD_NUMBER: _ClassVar[int]
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    LEVEL_OPTIONS_FIELD_NUMBER: _ClassVar[int]
    key: StateKey
    level: _values_pb2.Level
    level_options: _values_pb2.LevelOptions
    def __init__(self, key: _Optional[_Union[StateKey, _Mapping]] = ..., level: _Optional[_Union[_values_pb2.Level, str]] = ..., level_options: _Optional[_Union[_values_pb2.LevelOptions, _Mapping]] = ...) -> None: ...

class DeleteStateResponse(_message.Message):
    __slots__ = ("found", "token")
    FOUND_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    found: bool
    token: str
    def __init__(self, found: _Optional[bool] = ..., token: _Optional[str] = ...) -> None: ...

class WatchStateRequest(_message.Message):
    __slots__ = ("system", "key", "prefix", "type", "interval_ms", "resume_token")
    SYSTEM_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    PREFIX_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    INTERVAL_MS_FIELD_NUMBER: _ClassVar[int]
    RESUME_TOKEN_FIELD_NUMBER: _ClassVar[int]
    system: str
    key: str
    prefix: str
    type: str
    interval_ms: int
    resume_token: str
    def __init__(self, system: _Optional[str] = ..., key: _Optional[str] = ..., prefix: _Optional[str] = ..., type: _Optional[str] = ..., interval_ms: _Optional[int] = ..., resume_token: _Optional[str] = ...) -> None: ...

class WatchStateResponse(_message.Message):
    __slots__ = ("snapshot_begins", "changes", "snapshot_complete", "resume_token")
    SNAPSHOT_BEGINS_FIELD_NUMBER: _ClassVar[int]
    CHANGES_FIELD_NUMBER: _ClassVar[int]
    SNAPSHOT_COMPLETE_FIELD_NUMBER: _ClassVar[int]
    RESUME_TOKEN_FIELD_NUMBER: _ClassVar[int]
    snapshot_begins: SnapshotReason
    changes: _containers.RepeatedCompositeFieldContainer[StateChange]
    snapshot_complete: bool
    resume_token: str
    def __init__(self, snapshot_begins: _Optional[_Union[SnapshotReason, str]] = ..., changes: _Optional[_Iterable[_Union[StateChange, _Mapping]]] = ..., snapshot_complete: _Optional[bool] = ..., resume_token: _Optional[str] = ...) -> None: ...

class StateChange(_message.Message):
    __slots__ = ("kind", "key", "value", "old_value", "set", "map", "lagged", "expired")
    class Kind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        KIND_UNSPECIFIED: _ClassVar[StateChange.Kind]
        PRESENT: _ClassVar[StateChange.Kind]
        ABSENT: _ClassVar[StateChange.Kind]
        CHANGED: _ClassVar[StateChange.Kind]
        DELETED: _ClassVar[StateChange.Kind]
    KIND_UNSPECIFIED: StateChange.Kind
    PRESENT: StateChange.Kind
    ABSENT: StateChange.Kind
    CHANGED: StateChange.Kind
    DELETED: StateChange.Kind
    KIND_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    OLD_VALUE_FIELD_NUMBER: _ClassVar[int]
    SET_FIELD_NUMBER: _ClassVar[int]
    MAP_FIELD_NUMBER: _ClassVar[int]
    LAGGED_FIELD_NUMBER: _ClassVar[int]
    EXPIRED_FIELD_NUMBER: _ClassVar[int]
    kind: StateChange.Kind
    key: StateKey
    value: _values_pb2.Value
    old_value: _values_pb2.Value
    set: SetDifference
    map: MapDifference
    lagged: bool
    expired: bool
    def __init__(self, kind: _Optional[_Union[StateChange.Kind, str]] = ..., key: _Optional[_Union[StateKey, _Mapping]] = ..., value: _Optional[_Union[_values_pb2.Value, _Mapping]] = ..., old_value: _Optional[_Union[_values_pb2.Value, _Mapping]] = ..., set: _Optional[_Union[SetDifference, _Mapping]] = ..., map: _Optional[_Union[MapDifference, _Mapping]] = ..., lagged: _Optional[bool] = ..., expired: _Optional[bool] = ...) -> None: ...

class SetDifference(_message.Message):
    __slots__ = ("added", "removed")
    ADDED_FIELD_NUMBER: _ClassVar[int]
    REMOVED_FIELD_NUMBER: _ClassVar[int]
    added: _containers.RepeatedCompositeFieldContainer[_values_pb2.Data]
    removed: _containers.RepeatedCompositeFieldContainer[_values_pb2.Data]
    def __init__(self, added: _Optional[_Iterable[_Union[_values_pb2.Data, _Mapping]]] = ..., removed: _Optional[_Iterable[_Union[_values_pb2.Data, _Mapping]]] = ...) -> None: ...

class MapDifference(_message.Message):
    __slots__ = ("keys",)
    KEYS_FIELD_NUMBER: _ClassVar[int]
    keys: _containers.RepeatedCompositeFieldContainer[KeyDifference]
    def __init__(self, keys: _Optional[_Iterable[_Union[KeyDifference, _Mapping]]] = ...) -> None: ...

class KeyDifference(_message.Message):
    __slots__ = ("key", "old_value", "new_value")
    KEY_FIELD_NUMBER: _ClassVar[int]
    OLD_VALUE_FIELD_NUMBER: _ClassVar[int]
    NEW_VALUE_FIELD_NUMBER: _ClassVar[int]
    key: str
    old_value: _values_pb2.Data
    new_value: _values_pb2.Data
    def __init__(self, key: _Optional[str] = ..., old_value: _Optional[_Union[_values_pb2.Data, _Mapping]] = ..., new_value: _Optional[_Union[_values_pb2.Data, _Mapping]] = ...) -> None: ...
