from ...crdtmesh.v1 import state_pb2 as _state_pb2
from ...crdtmesh.v1 import values_pb2 as _values_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class MembersRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class MembersResponse(_message.Message):
    __slots__ = ("members",)
    MEMBERS_FIELD_NUMBER: _ClassVar[int]
    members: _containers.RepeatedCompositeFieldContainer[Member]
    def __init__(self, members: _Optional[_Iterable[_Union[Member, _Mapping]]] = ...) -> None: ...

class Member(_message.Message):
    __slots__ = ("name", "state", "address", "incarnation", "tags", "linked", "start_id")
    class TagsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    INCARNATION_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    LINKED_FIELD_NUMBER: _ClassVar[int]
    START_ID_FIELD_NUMBER: _ClassVar[int]
    name: str
    state: str
    address: str
    incarnation: int
    tags: _containers.ScalarMap[str, str]
    linked: bool
    start_id: str
    def __init__(self, name: _Optional[str] = ..., state: _Optional[str] = ..., address: _Optional[str] = ..., incarnation: _Optional[int] = ..., tags: _Optional[_Mapping[str, str]] = ..., linked: _Optional[bool] = ..., start_id: _Optional[str] = ...) -> None: ...

class StatusRequest(_message.Message):
    __slots__ = ("digests",)
    DIGESTS_FIELD_NUMBER: _ClassVar[int]
    digests: bool
    def __init__(self, digests: _Optional[bool] = ...) -> None: ...

class StatusResponse(_message.Message):
    __slots__ = ("name", "cluster", "version", "start_id", "uptime_s", "state", "listeners", "peers", "systems", "hosts", "calls", "calls_failed", "warnings", "counters", "security")
    class CountersEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    START_ID_FIELD_NUMBER: _ClassVar[int]
    UPTIME_S_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    LISTENERS_FIELD_NUMBER: _ClassVar[int]
    PEERS_FIELD_NUMBER: _ClassVar[int]
    SYSTEMS_FIELD_NUMBER: _ClassVar[int]
    HOSTS_FIELD_NUMBER: _ClassVar[int]
    CALLS_FIELD_NUMBER: _ClassVar[int]
    CALLS_FAILED_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    COUNTERS_FIELD_NUMBER: _ClassVar[int]
    SECURITY_FIELD_NUMBER: _ClassVar[int]
    name: str
    cluster: str
    version: str
    start_id: str
    uptime_s: float
    state: str
    listeners: _containers.RepeatedScalarFieldContainer[str]
    peers: _containers.RepeatedCompositeFieldContainer[PeerStatus]
    systems: _containers.RepeatedCompositeFieldContainer[SystemStatus]
    hosts: int
    calls: int
    calls_failed: int
    warnings: _containers.RepeatedScalarFieldContainer[str]
    counters: _containers.ScalarMap[str, int]
    security: SecurityStatus
    def __init__(self, name: _Optional[str] = ..., cluster: _Optional[str] = ..., version: _Optional[str] = ..., start_id: _Optional[str] = ..., uptime_s: _Optional[float] = ..., state: _Optional[str] = ..., listeners: _Optional[_Iterable[str]] = ..., peers: _Optional[_Iterable[_Union[PeerStatus, _Mapping]]] = ..., systems: _Optional[_Iterable[_Union[SystemStatus, _Mapping]]] = ..., hosts: _Optional[int] = ..., calls: _Optional[int] = ..., calls_failed: _Optional[int] = ..., warnings: _Optional[_Iterable[str]] = ..., counters: _Optional[_Mapping[str, int]] = ..., security: _Optional[_Union[SecurityStatus, _Mapping]] = ...) -> None: ...

class SecurityStatus(_message.Message):
    __slots__ = ("links_encrypted", "gossip_encrypted", "certificate", "certificate_ends_s")
    LINKS_ENCRYPTED_FIELD_NUMBER: _ClassVar[int]
    GOSSIP_ENCRYPTED_FIELD_NUMBER: _ClassVar[int]
    CERTIFICATE_FIELD_NUMBER: _ClassVar[int]
    CERTIFICATE_ENDS_S_FIELD_NUMBER: _ClassVar[int]
    links_encrypted: bool
    gossip_encrypted: bool
    certificate: str
    certificate_ends_s: int
    def __init__(self, links_encrypted: _Optional[bool] = ..., gossip_encrypted: _Optional[bool] = ..., certificate: _Optional[str] = ..., certificate_ends_s: _Optional[int] = ...) -> None: ...

class PeerStatus(_message.Message):
    __slots__ = ("name", "linked", "awaits_repair", "queued_bytes")
    NAME_FIELD_NUMBER: _ClassVar[int]
    LINKED_FIELD_NUMBER: _ClassVar[int]
    AWAITS_REPAIR_FIELD_NUMBER: _ClassVar[int]
    QUEUED_BYTES_FIELD_NUMBER: _ClassVar[int]
    name: str
    linked: bool
    awaits_repair: bool
    queued_bytes: int
    def __init__(self, name: _Optional[str] = ..., linked: _Optional[bool] = ..., awaits_repair: _Optional[bool] = ..., queued_bytes: _Optional[int] = ...) -> None: ...

class SystemStatus(_message.Message):
    __slots__ = ("system", "entries", "events", "digest", "voters")
    SYSTEM_FIELD_NUMBER: _ClassVar[int]
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    VOTERS_FIELD_NUMBER: _ClassVar[int]
    system: str
    entries: int
    events: int
    digest: str
    voters: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, system: _Optional[str] = ..., entries: _Optional[int] = ..., events: _Optional[int] = ..., digest: _Optional[str] = ..., voters: _Optional[_Iterable[str]] = ...) -> None: ...

class RemoveMemberRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class RemoveMemberResponse(_message.Message):
    __slots__ = ("systems",)
    SYSTEMS_FIELD_NUMBER: _ClassVar[int]
    systems: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, systems: _Optional[_Iterable[str]] = ...) -> None: ...

class LeaveRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class LeaveResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ExplainRequest(_message.Message):
    __slots__ = ("key", "peer")
    KEY_FIELD_NUMBER: _ClassVar[int]
    PEER_FIELD_NUMBER: _ClassVar[int]
    key: _state_pb2.StateKey
    peer: str
    def __init__(self, key: _Optional[_Union[_state_pb2.StateKey, _Mapping]] = ..., peer: _Optional[str] = ...) -> None: ...

class ExplainResponse(_message.Message):
    __slots__ = ("key", "shard", "found", "version", "value", "size_bytes", "fingerprint", "writers", "node", "peer")
    KEY_FIELD_NUMBER: _ClassVar[int]
    SHARD_FIELD_NUMBER: _ClassVar[int]
    FOUND_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    WRITERS_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    PEER_FIELD_NUMBER: _ClassVar[int]
    key: _state_pb2.StateKey
    shard: int
    found: bool
    version: int
    value: _values_pb2.Value
    size_bytes: int
    fingerprint: str
    writers: _containers.RepeatedCompositeFieldContainer[EntryWriter]
    node: str
    peer: ExplainResponse
    def __init__(self, key: _Optional[_Union[_state_pb2.StateKey, _Mapping]] = ..., shard: _Optional[int] = ..., found: _Optional[bool] = ..., version: _Optional[int] = ..., value: _Optional[_Union[_values_pb2.Value, _Mapping]] = ..., size_bytes: _Optional[int] = ..., fingerprint: _Optional[str] = ..., writers: _Optional[_Iterable[_Union[EntryWriter, _Mapping]]] = ..., node: _Optional[str] = ..., peer: _Optional[_Union[ExplainResponse, _Mapping]] = ...) -> None: ...

class EntryWriter(_message.Message):
    __slots__ = ("replica_id", "node", "live", "live_count", "last", "applied", "known", "low")
    REPLICA_ID_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    LIVE_FIELD_NUMBER: _ClassVar[int]
    LIVE_COUNT_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    APPLIED_FIELD_NUMBER: _ClassVar[int]
    KNOWN_FIELD_NUMBER: _ClassVar[int]
    LOW_FIELD_NUMBER: _ClassVar[int]
    replica_id: str
    node: str
    live: _containers.RepeatedCompositeFieldContainer[DotInterval]
    live_count: int
    last: int
    applied: _containers.RepeatedCompositeFieldContainer[DotInterval]
    known: _containers.RepeatedCompositeFieldContainer[DotInterval]
    low: int
    def __init__(self, replica_id: _Optional[str] = ..., node: _Optional[str] = ..., live: _Optional[_Iterable[_Union[DotInterval, _Mapping]]] = ..., live_count: _Optional[int] = ..., last: _Optional[int] = ..., applied: _Optional[_Iterable[_Union[DotInterval, _Mapping]]] = ..., known: _Optional[_Iterable[_Union[DotInterval, _Mapping]]] = ..., low: _Optional[int] = ...) -> None: ...

class DotInterval(_message.Message):
    __slots__ = ("first", "last")
    FIRST_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    first: int
    last: int
    def __init__(self, first: _Optional[int] = ..., last: _Optional[int] = ...) -> None: ...
