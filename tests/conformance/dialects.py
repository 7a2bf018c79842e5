"""The released SDKs, as far as a node can tell them apart: their headers, their messages, how they answer and fail."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tests.conformance.schema import OLD_CHANNELS, Schema, build

AnyParts = tuple[str, bytes]
"""Type URL and bytes."""

OCTETS: Final = "application/octet-stream"
EMPTY: Final[AnyParts] = ("type.googleapis.com/google.protobuf.Empty", b"")


@dataclass(frozen=True, slots=True, kw_only=True)
class ActorSpec:
    """An actor as a user of an SDK describes it.

    Attributes:
        deactivate_ms, snapshot_ms: 0 for the SDK's default.
        state: the initial one, where the SDK can say it.
        channels: topics and actions.
    """

    name: str
    actions: Sequence[str] = ()
    timer_actions: Sequence[str] = ()
    timer_ms: int = 3_600_000
    kind: str = "NAMED"
    is_stateful: bool = False
    state: AnyParts | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    channels: Sequence[tuple[str, str]] = ()
    deactivate_ms: int = 0
    snapshot_ms: int = 0


@dataclass(frozen=True, slots=True)
class Dialect:
    """One SDK.

    Attributes:
        name: of the SDK.
        schema: its message classes.
        headers: of each POST.
        snapshot_ms, deactivate_ms: its defaults; 0 when it leaves them out.
        sends_state: it registers an initial state.
        puts_tags_in: the message that has an actor's tags.
        ok: the head of a good answer, without its end.
        is_chunked: answers come in chunks.
        failure: what a handler that raised looks like; None for a closed connection, no bytes for an answer that only
            lacks `updated_context`.
    """

    name: str
    schema: Schema
    headers: Mapping[str, str]
    snapshot_ms: int
    deactivate_ms: int
    sends_state: bool
    puts_tags_in: str
    ok: bytes
    is_chunked: bool
    failure: bytes | None

    # --- towards the node

    def registration(self, system: str, *actors: ActorSpec) -> bytes:
        """A `RegistrationRequest`."""
        request = self.schema.RegistrationRequest()
        info = request.service_info
        info.service_name = info.support_library_name = f"{self.name}_sdk"
        info.service_version = info.support_library_version = "1.0.0"
        info.protocol_major_version = info.protocol_minor_version = 1
        self._fill_system(request.actor_system, system, actors)
        return bytes(request.SerializeToString())

    def invocation(
        self,
        system: str,
        actor: str,
        action: str,
        payload: AnyParts | str | None = None,
        *,
        is_async: bool = False,
        metadata: Mapping[str, str] | None = None,
        caller: str = "",
    ) -> bytes:
        """An `InvocationRequest`; the payload `noop` stands for the other half of the oneof."""
        request = self.schema.InvocationRequest(action_name=action)
        request.system.name = system
        request.actor.id.name = actor
        if self.name == "springboot":
            self._fill_system(request.system, system, [ActorSpec(name=actor, actions=[action])])
        else:
            request.actor.id.system = system
        if payload is None and self.name in {"java", "springboot"}:
            payload = EMPTY
        _set_payload(request, payload)
        setattr(request, "async", is_async)
        request.metadata.update(metadata or {})
        if caller:
            request.caller.name, request.caller.system = caller, system
        return bytes(request.SerializeToString())

    def spawn(self, system: str, actor: str, parent: str) -> bytes:
        """A `SpawnRequest`."""
        request = self.schema.SpawnRequest()
        request.actors.add(name=actor, system=system, parent=parent)
        return bytes(request.SerializeToString())

    # --- towards the node, as its user function

    def answer(
        self,
        invocation: Any,
        payload: AnyParts | str | None = None,
        *,
        state: AnyParts | None = None,
        tags: Mapping[str, str] | None = None,
        is_checkpoint: bool = False,
        workflow: Callable[[Any], object] = lambda workflow: None,
    ) -> bytes:
        """A good answer, as HTTP; `workflow` fills its workflow. What the SDK adds by itself stands in it too."""
        response = self.schema.ActorInvocationResponse(
            actor_name=invocation.actor.name, actor_system=invocation.actor.system, checkpoint=is_checkpoint
        )
        context = response.updated_context
        context.SetInParent()
        if self.name == "node":
            context.self.CopyFrom(invocation.actor)
            context.metadata.update(invocation.current_context.metadata)
            context.tags.update(invocation.current_context.tags)
            context.state.CopyFrom(invocation.current_context.state)
        if self.name in {"node", "java", "rust"}:
            response.workflow.SetInParent()
        if payload is None and self.name == "java":
            payload = (f"type.googleapis.com/{self.schema.Noop.DESCRIPTOR.full_name}", b"")
        if tags is not None:
            context.tags.clear()
            context.tags.update(tags)
        if state is not None:
            context.state.type_url, context.state.value = state
        _set_payload(response, payload)
        workflow(response.workflow)
        return self.response(response.SerializeToString())

    def fail(self, invocation: Any) -> bytes | None:
        """What comes back when the handler raises."""
        if self.failure != b"":
            return self.failure
        named = self.schema.ActorInvocationResponse(
            actor_name=invocation.actor.name, actor_system=invocation.actor.system
        )
        return self.response(named.SerializeToString())

    def response(self, body: bytes) -> bytes:
        """A good answer with this body."""
        if not self.is_chunked:
            return self.ok + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
        chunk = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
        return self.ok + b"Transfer-Encoding: chunked\r\n\r\n" + chunk + b"0\r\n\r\n"

    def _fill_system(self, message: Any, system: str, actors: Sequence[ActorSpec]) -> None:
        message.name = system
        for actor in actors:
            self._fill_actor(message.registry.actors[actor.name], system, actor)

    def _fill_actor(self, message: Any, system: str, actor: ActorSpec) -> None:
        message.id.name, message.id.system = actor.name, system
        if self.name == "node" and actor.kind == "UNNAMED":
            message.id.parent = actor.name
        message.state.SetInParent()
        message.metadata.SetInParent()
        getattr(message, self.puts_tags_in).tags.update(actor.tags)
        if self.sends_state:
            json = f"type.googleapis.com/{self.schema.JSONType.DESCRIPTOR.full_name}"
            message.state.state.type_url, message.state.state.value = actor.state or (json, b"\x0a\x02{}")
        settings = message.settings
        settings.kind = settings.DESCRIPTOR.file.enum_types_by_name["Kind"].values_by_name[actor.kind].number
        settings.stateful = actor.is_stateful
        if self.name == "node":
            settings.min_pool_size = 1
        if self.snapshot_ms and (actor.is_stateful or self.name != "java"):
            settings.snapshot_strategy.timeout.timeout = actor.snapshot_ms or self.snapshot_ms
        elif self.name == "java":
            settings.snapshot_strategy.SetInParent()  # a message without its oneof
        if deactivate_ms := actor.deactivate_ms or self.deactivate_ms:
            settings.deactivation_strategy.timeout.timeout = deactivate_ms
        for name in actor.actions:
            message.actions.add(name=name)
        for name in actor.timer_actions:
            message.timer_actions.add(seconds=actor.timer_ms).action.name = name
        self._fill_channels(message.metadata, actor.channels)

    def _fill_channels(self, metadata: Any, channels: Sequence[tuple[str, str]]) -> None:
        if channels and isinstance(metadata.channel_group, str):
            metadata.channel_group = channels[0][0]
            return
        for topic, action in channels:
            metadata.channel_group.add(topic=topic, action="" if self.name == "java" else action)


def _set_payload(message: Any, payload: AnyParts | str | None) -> None:
    if payload == "noop":
        message.noop.SetInParent()
    elif isinstance(payload, tuple):
        message.value.type_url, message.value.value = payload


def _head(status: str, *headers: str) -> bytes:
    return "".join(f"{line}\r\n" for line in (f"HTTP/1.{status}", *headers)).encode()


def _page(head: bytes, body: bytes) -> bytes:
    return head + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)


_NEW: Final = build("eigr.functions.protocol")
_OLD: Final = build("eigr.functions.protocol", OLD_CHANNELS)
_HTML: Final = b"<!doctype html><title>500 Internal Server Error</title>"
_ACCEPTING: Final = {"Accept": OCTETS, "Content-Type": OCTETS}

NODE: Final = Dialect(
    "node",
    _NEW,
    {"Host": "127.0.0.1:9001", "Connection": "keep-alive", **_ACCEPTING, "User-Agent": "node"},
    snapshot_ms=3_000,
    deactivate_ms=10_000,
    sends_state=True,
    puts_tags_in="state",
    ok=_head(
        "1 200 OK",
        f"Content-Type: {OCTETS}",
        "Content-disposition: attachment; filename=data.json",
        "Connection: keep-alive",
        "Keep-Alive: timeout=5",
    ),
    is_chunked=True,
    failure=_head("1 400 Bad Request", "Connection: keep-alive", "Transfer-Encoding: chunked") + b"\r\n0\r\n\r\n",
)
PYTHON: Final = Dialect(
    "python",
    _OLD,
    {"Host": "0.0.0.0:9001", "User-Agent": "python-requests/2.31.0", "Accept-Encoding": "gzip, deflate", **_ACCEPTING},
    snapshot_ms=2_000,
    deactivate_ms=30_000,
    sends_state=False,
    puts_tags_in="metadata",
    ok=_head("1 200 OK", "Server: Werkzeug/2.3.7 Python/3.11.4", f"Content-Type: {OCTETS}", "Connection: close"),
    is_chunked=False,
    failure=_page(_head("1 500 INTERNAL SERVER ERROR", "Content-Type: text/html", "Connection: close"), _HTML),
)
GO: Final = Dialect(
    "go",
    _NEW,
    {
        "Host": "localhost:9001",
        "User-Agent": "user-function-client/0.1.0",
        **_ACCEPTING,
        "Accept-Encoding": "gzip",
    },
    snapshot_ms=0,
    deactivate_ms=0,
    sends_state=False,
    puts_tags_in="metadata",
    ok=_head("1 200 OK", f"Content-Type: {OCTETS}", "Date: Mon, 01 Jan 2024 00:00:00 GMT"),
    is_chunked=False,
    failure=b"",
)
JAVA: Final = Dialect(
    "java",
    _NEW,
    {
        "Content-Type": OCTETS,
        "Host": "127.0.0.1:9001",
        "Connection": "Keep-Alive",
        "Accept-Encoding": "gzip",
        "User-Agent": "okhttp/4.12.0",
    },
    snapshot_ms=50_000,
    deactivate_ms=60_000,
    sends_state=False,
    puts_tags_in="metadata",
    ok=_head("1 200 OK", "Date: Mon, 01 Jan 2024 00:00:00 GMT", f"Content-type: {OCTETS}"),
    is_chunked=False,
    failure=None,
)
SPRINGBOOT: Final = Dialect(
    "springboot",
    _OLD,
    {
        "Content-Type": OCTETS,
        "Host": "127.0.0.1:9001",
        "Connection": "Keep-Alive",
        "Accept-Encoding": "gzip",
        "User-Agent": "okhttp/4.10.0",
    },
    snapshot_ms=2_000,
    deactivate_ms=10_000,
    sends_state=False,
    puts_tags_in="metadata",
    ok=_head("1 200 ", f"Content-Type: {OCTETS}"),
    is_chunked=True,
    failure=_page(_head("1 500 ", "Content-Type: application/json"), b'{"status":500}'),
)
RUST: Final = Dialect(
    "rust",
    build("eigr.spawn", OLD_CHANNELS),
    {"content-type": OCTETS, "accept": "*/*", "host": "127.0.0.1:9001"},
    snapshot_ms=1_000,
    deactivate_ms=30_000,
    sends_state=False,
    puts_tags_in="metadata",
    ok=_head("1 200 OK", f"content-type: {OCTETS}", "server: Rocket", "x-content-type-options: nosniff"),
    is_chunked=False,
    failure=_page(_head("1 500 Internal Server Error", "content-type: text/html", "server: Rocket"), _HTML),
)

ALL: Final = (NODE, PYTHON, GO, JAVA, SPRINGBOOT, RUST)
