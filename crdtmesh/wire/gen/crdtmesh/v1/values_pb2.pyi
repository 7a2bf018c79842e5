from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Level(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    LEVEL_DEFAULT: _ClassVar[Level]
    LEVEL_LOCAL: _ClassVar[Level]
    LEVEL_MAJORITY: _ClassVar[Level]
    LEVEL_ALL: _ClassVar[Level]
    LEVEL_TO: _ClassVar[Level]

class ErrorCode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ERROR_CODE_UNSPECIFIED: _ClassVar[ErrorCode]
    UNKNOWN_ACTOR: _ClassVar[ErrorCode]
    UNKNOWN_ACTION: _ClassVar[ErrorCode]
    NO_HOST: _ClassVar[ErrorCode]
    HANDLER_ERROR: _ClassVar[ErrorCode]
    MAILBOX_FULL: _ClassVar[ErrorCode]
    TIMEOUT: _ClassVar[ErrorCode]
    HOST_LOST: _ClassVar[ErrorCode]
    PEER_LOST: _ClassVar[ErrorCode]
    STORAGE_FAILED: _ClassVar[ErrorCode]
    INVALID_OPERATION: _ClassVar[ErrorCode]
    DRAINING: _ClassVar[ErrorCode]
    INVALID_REQUEST: _ClassVar[ErrorCode]
    LIMIT_REACHED: _ClassVar[ErrorCode]
    FORBIDDEN: _ClassVar[ErrorCode]

class Outcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    OUTCOME_UNSPECIFIED: _ClassVar[Outcome]
    NOT_APPLIED: _ClassVar[Outcome]
    OUTCOME_UNKNOWN: _ClassVar[Outcome]
LEVEL_DEFAULT: Level
LEVEL_LOCAL: Level
LEVEL_MAJORITY: Level
LEVEL_ALL: Level
LEVEL_TO: Level
ERROR_CODE_UNSPECIFIED: ErrorCode
UNKNOWN_ACTOR: ErrorCode
UNKNOWN_ACTION: ErrorCode
NO_HOST: ErrorCode
HANDLER_ERROR: ErrorCode
MAILBOX_FULL: ErrorCode
TIMEOUT: ErrorCode
HOST_LOST: ErrorCode
PEER_LOST: ErrorCode
STORAGE_FAILED: ErrorCode
INVALID_OPERATION: ErrorCode
DRAINING: ErrorCode
INVALID_REQUEST: ErrorCode
LIMIT_REACHED: ErrorCode
FORBIDDEN: ErrorCode
OUTCOME_UNSPECIFIED: Outcome
NOT_APPLIED: Outcome
OUTCOME_UNKNOWN: Outcome

class Data(_message.Message):
    __slots__ = ("boolean", "integer", "number", "text", "binary", "list", "map", "big_integer")
    BOOLEAN_FIELD_NUMBER: _ClassVar[int]
    INTEGER_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    BINARY_FIELD_NUMBER: _ClassVar[int]
    LIST_FIELD_NUMBER: _ClassVar[int]
    MAP_FIELD_NUMBER: _ClassVar[int]
    BIG_INTEGER_FIELD_NUMBER: _ClassVar[int]
    boolean: bool
    integer: int
    number: float
    text: str
    binary: bytes
    list: DataList
    map: DataMap
    big_integer: str
    def __init__(self, boolean: _Optional[bool] = ..., integer: _Optional[int] = ..., number: _Optional[float] = ..., text: _Optional[str] = ..., binary: _Optional[bytes] = ..., list: _Optional[_Union[DataList, _Mapping]] = ..., map: _Optional[_Union[DataMap, _Mapping]] = ..., big_integer: _Optional[str] = ...) -> None: ...

class DataList(_message.Message):
    __slots__ = ("items",)
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedCompositeFieldContainer[Data]
    def __init__(self, items: _Optional[_Iterable[_Union[Data, _Mapping]]] = ...) -> None: ...

class DataMap(_message.Message):
    __slots__ = ("entries",)
    class EntriesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: Data
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[Data, _Mapping]] = ...) -> None: ...
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    entries: _containers.MessageMap[str, Data]
    def __init__(self, entries: _Optional[_Mapping[str, Data]] = ...) -> None: ...

class Value(_message.Message):
    __slots__ = ("type", "data")
    TYPE_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    type: str
    data: Data
    def __init__(self, type: _Optional[str] = ..., data: _Optional[_Union[Data, _Mapping]] = ...) -> None: ...

class Operation(_message.Message):
    __slots__ = ("name", "arguments")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ARGUMENTS_FIELD_NUMBER: _ClassVar[int]
    name: str
    arguments: _containers.RepeatedCompositeFieldContainer[Data]
    def __init__(self, name: _Optional[str] = ..., arguments: _Optional[_Iterable[_Union[Data, _Mapping]]] = ...) -> None: ...

class Mutations(_message.Message):
    __slots__ = ("operations",)
    OPERATIONS_FIELD_NUMBER: _ClassVar[int]
    operations: _containers.RepeatedCompositeFieldContainer[Operation]
    def __init__(self, operations: _Optional[_Iterable[_Union[Operation, _Mapping]]] = ...) -> None: ...

class LevelOptions(_message.Message):
    __slots__ = ("count", "min_cap", "extra")
    COUNT_FIELD_NUMBER: _ClassVar[int]
    MIN_CAP_FIELD_NUMBER: _ClassVar[int]
    EXTRA_FIELD_NUMBER: _ClassVar[int]
    count: int
    min_cap: int
    extra: int
    def __init__(self, count: _Optional[int] = ..., min_cap: _Optional[int] = ..., extra: _Optional[int] = ...) -> None: ...
