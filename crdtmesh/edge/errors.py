"""How errors leave by gRPC.

Spawn's messages carry Spawn's status; everything else ends with a gRPC status. The trailers of both have code and
outcome.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NoReturn, cast

import grpc

from crdtmesh.edge.context import Context
from crdtmesh.runtime.errors import ErrorCode, Outcome
from crdtmesh.runtime.messages import CallFailure
from crdtmesh.wire.gen.crdtmesh.v1 import actors_pb2, values_pb2

ERROR_TRAILER: Final = "crdtmesh-error"
OUTCOME_TRAILER: Final = "crdtmesh-outcome"

_STATUS: Final[Mapping[ErrorCode, grpc.StatusCode]] = {
    ErrorCode.UNKNOWN_ACTOR: grpc.StatusCode.NOT_FOUND,
    ErrorCode.UNKNOWN_ACTION: grpc.StatusCode.NOT_FOUND,
    ErrorCode.NO_HOST: grpc.StatusCode.UNAVAILABLE,
    ErrorCode.HANDLER_ERROR: grpc.StatusCode.UNKNOWN,
    ErrorCode.MAILBOX_FULL: grpc.StatusCode.RESOURCE_EXHAUSTED,
    ErrorCode.TIMEOUT: grpc.StatusCode.DEADLINE_EXCEEDED,
    ErrorCode.HOST_LOST: grpc.StatusCode.UNAVAILABLE,
    ErrorCode.PEER_LOST: grpc.StatusCode.UNAVAILABLE,
    ErrorCode.STORAGE_FAILED: grpc.StatusCode.INTERNAL,
    ErrorCode.INVALID_OPERATION: grpc.StatusCode.INVALID_ARGUMENT,
    ErrorCode.DRAINING: grpc.StatusCode.UNAVAILABLE,
    ErrorCode.INVALID_REQUEST: grpc.StatusCode.INVALID_ARGUMENT,
    ErrorCode.FORBIDDEN: grpc.StatusCode.PERMISSION_DENIED,
    ErrorCode.LIMIT_REACHED: grpc.StatusCode.RESOURCE_EXHAUSTED,
}


def trailers(code: ErrorCode, outcome: Outcome) -> tuple[tuple[str, str], ...]:
    """What says precisely what happened, beside the text."""
    return ((ERROR_TRAILER, code.name.lower()), (OUTCOME_TRAILER, outcome.name.lower()))


def failure_to_proto(failure: CallFailure) -> actors_pb2.CallFailure:
    """A failed call as its stream tells it; codes and outcomes have the same numbers on both sides."""
    return actors_pb2.CallFailure(
        id=failure.id,
        code=cast("values_pb2.ErrorCode", int(failure.code)),
        outcome=cast("values_pb2.Outcome", int(failure.outcome)),
        message=failure.message,
    )


async def abort(
    context: Context,
    code: ErrorCode,
    message: str,
    outcome: Outcome = Outcome.NOT_APPLIED,
    *,
    status: grpc.StatusCode | None = None,
) -> NoReturn:
    """Ends the call with the status that fits the code, or with another one."""
    await context.abort(status or _STATUS[code], message, trailing_metadata=trailers(code, outcome))
    raise AssertionError("abort returned")
