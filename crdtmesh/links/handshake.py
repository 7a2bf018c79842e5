"""What a hello must say. Pure decisions; the answers name what was expected and what came.

The dialler speaks first. The accepting side answers only when its owner *admits* the peer, so a stranger learns
nothing but the reason of its refusal, and a link is up on both sides or on none.

Versions: each side states the newest protocol version it speaks and the oldest it understands; the session runs at
the lower of the two newest ones, if both understand it. So a cluster can be upgraded node by node.
"""

from typing import Final

from crdtmesh.links.errors import CloseReason, RemoteProtocolError, bounded
from crdtmesh.links.frames import Hello
from crdtmesh.links.options import Identity

__all__ = ["MAGIC", "VERSION", "VERSION_MIN", "check_hello", "hello_of"]

MAGIC: Final = "crdtmesh-link"
VERSION: Final = 1
VERSION_MIN: Final = 1


def hello_of(identity: Identity, *, window_size_bytes: int) -> Hello:
    """The hello that `identity` sends, granting `window_size_bytes` on each channel."""
    return Hello(
        MAGIC,
        VERSION,
        VERSION_MIN,
        identity.cluster,
        identity.node,
        identity.start_id,
        window_size_bytes,
        identity.capabilities,
    )


def check_hello(hello: Hello, *, local: Identity, expected_node: str | None) -> Identity:
    """The identity that an acceptable hello states.

    Args:
        hello: what came.
        local: who we are.
        expected_node: the node that was dialled; None on the accepting side.

    Raises:
        RemoteProtocolError: with the reason of the refusal.
    """
    if hello.magic != MAGIC:
        raise _refusal(CloseReason.MALFORMED, f"magic {MAGIC!r}", hello.magic, "is this port a peer link?")
    if hello.version < VERSION_MIN or hello.version_min > VERSION:
        raise _refusal(
            CloseReason.PROTOCOL_VERSION,
            f"a link protocol version from {VERSION_MIN} to {VERSION}",
            f"{hello.version_min} to {hello.version}",
            "upgrade the older node",
        )
    if hello.cluster != local.cluster:
        raise _refusal(CloseReason.CLUSTER, f"cluster {local.cluster!r}", hello.cluster, "set --cluster alike")
    try:
        peer = Identity(
            cluster=hello.cluster,
            node=hello.node,
            start_id=hello.start_id,
            capabilities=hello.capabilities,
        )
    except ValueError as error:
        raise RemoteProtocolError(CloseReason.MALFORMED, str(error)) from error
    if not hello.window_size_bytes:
        raise _refusal(CloseReason.MALFORMED, "a window above 0", 0, "the peer could never receive")
    if peer.start_id == local.start_id:
        raise _refusal(CloseReason.SELF_CONNECTION, "another node", peer.node, "an address of this node was dialled")
    if peer.node == local.node:
        raise _refusal(
            CloseReason.NAME_CONFLICT, f"a name other than {local.node!r}", peer.node, "give each node its --name"
        )
    if expected_node is not None and peer.node != expected_node:
        expected = f"node {expected_node!r}"
        raise _refusal(CloseReason.UNEXPECTED_PEER, expected, peer.node, "its address may have moved")
    return peer


def _refusal(reason: CloseReason, expected: str, came: object, action: str) -> RemoteProtocolError:
    return RemoteProtocolError(reason, f"{expected} expected, got {bounded(came)}; {action}")
