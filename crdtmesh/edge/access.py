"""Who is at an endpoint, and what that one may do.

On loopback and Unix sockets everyone is `local`, an operator: who reaches them is on this machine already. Beyond, a
token or a certificate says who it is and in which role; without either there is nothing to be had. Policies limit calls
to actors wherever they come in. Each refusal is counted, and logged at a bounded rate: the audit log is the event
`access.refused`.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from crdtmesh.edge.policies import Attempt, Policies, describe
from crdtmesh.identity.names import parse
from crdtmesh.identity.tokens import TokenEntry, hash_of
from crdtmesh.observability import logs
from crdtmesh.runtime.definition import ActorAddress
from crdtmesh.runtime.errors import ErrorCode

__all__ = ["LOCAL", "METHODS", "Access", "Forbidden", "Principal", "Refusal", "current"]

_LOG: Final = logging.getLogger("crdtmesh.access")
_LOGS_PER_S: Final = 10.0

# Clients whose rate is remembered; each takes 200 bytes.
BUDGETS_MAX: Final = 4_096


@dataclass(frozen=True, slots=True)
class Principal:
    """Somebody at an endpoint."""

    role: str
    name: str

    def __str__(self) -> str:
        return f"{self.role}/{self.name}" if self.name else self.role


LOCAL: Final = Principal("local", "")

_READERS: Final = frozenset({"reader", "client", "host", "operator", "local"})
_CLIENTS: Final = _READERS - {"reader"}
_HOSTS: Final = frozenset({"host", "operator", "local"})
_OPERATORS: Final = frozenset({"operator", "local"})

METHODS: Final[Mapping[str, frozenset[str]]] = {
    "crdtmesh.v1.State/Get": _READERS,
    "crdtmesh.v1.State/List": _READERS,
    "crdtmesh.v1.State/Watch": _READERS,
    "crdtmesh.v1.State/Update": _CLIENTS,
    "crdtmesh.v1.State/Delete": _CLIENTS,
    "crdtmesh.v1.Actors/List": _READERS,
    "crdtmesh.v1.Actors/Invoke": _CLIENTS,
    # Every client of the SDK opens one; its calls are judged one by one.
    "crdtmesh.v1.Actors/InvokeStream": _READERS,
    "crdtmesh.v1.Actors/Watch": _CLIENTS,
    "crdtmesh.v1.Actors/Spawn": _CLIENTS,
    "crdtmesh.v1.Actors/Subscribe": _READERS,
    "crdtmesh.v1.Actors/Stop": _OPERATORS,
    "crdtmesh.v1.Actors/Delete": _OPERATORS,
    "crdtmesh.v1.Actors/Register": _HOSTS,
    "crdtmesh.v1.ActorHost/Connect": _HOSTS,
    "crdtmesh.v1.Cluster/Members": _READERS,
    "crdtmesh.v1.Cluster/Status": _READERS,
    "crdtmesh.v1.Cluster/Explain": _READERS,
    "crdtmesh.v1.Cluster/RemoveMember": _OPERATORS,
    "crdtmesh.v1.Cluster/Leave": _OPERATORS,
    "http/system": _HOSTS,
    "http/invoke": _CLIENTS,
    "http/spawn": _CLIENTS,
    "http/metrics": _READERS,
}
"""Which roles may use what. What is not named here, an operator may."""

_CALLS: Final = frozenset({"crdtmesh.v1.Actors/Invoke", "crdtmesh.v1.Actors/InvokeStream", "http/invoke"})


class Forbidden(Exception):
    """Refused; nothing was done.

    Attributes:
        is_anonymous: nothing said who it is, so another try with a token may do.
        is_too_often: a later try may do.
    """

    def __init__(self, message: str, *, is_anonymous: bool = False, is_too_often: bool = False) -> None:
        super().__init__(message)
        self.is_anonymous = is_anonymous
        self.is_too_often = is_too_often


class Refusal(NamedTuple):
    """Why a call may not be made, with the code that its caller gets."""

    code: ErrorCode
    reason: str


class _Budget:
    """What one client may still do: refilled steadily, and never more than one second's worth."""

    __slots__ = ("_last_s", "_left")

    def __init__(self, now_s: float, per_s: int) -> None:
        self._last_s = now_s
        self._left = float(per_s)

    def spend(self, now_s: float, per_s: int) -> bool:
        """Whether one more is within it."""
        self._left = min(float(per_s), self._left + (now_s - self._last_s) * per_s)
        self._last_s = now_s
        if self._left < 1:
            return False
        self._left -= 1
        return True


# Whose request is served now: set where it comes in, read where a call is made.
_CURRENT: ContextVar[Principal] = ContextVar("principal", default=LOCAL)


def current() -> Principal:
    """Whose request this task serves."""
    return _CURRENT.get()


class Access:
    """Decides for both endpoints of a node.

    Args:
        cluster: whose certificates count.
        tokens: reads the tokens in force, by hash.
        policies: on calls to actors.
        is_open: whether everyone at the TCP ports counts as local, as on loopback.
        rate_max: requests and calls that one client beyond this machine may make in a second; 0 for any number.
        wall_s: the time, in seconds since 1970.
    """

    def __init__(
        self,
        cluster: str,
        *,
        tokens: Callable[[], Mapping[str, TokenEntry]] = dict,
        policies: Policies | None = None,
        is_open: bool = True,
        rate_max: int = 0,
        wall_s: Callable[[], float] = time.time,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.refused: Counter[str] = Counter()
        self.policies = Policies() if policies is None else policies
        self.is_open = is_open
        self._cluster = cluster
        self._tokens = tokens
        self._rate_max = rate_max
        self._budgets: dict[Principal, _Budget] = {}
        self._wall_s = wall_s
        self._clock_s = clock_s
        self._log_limit = logs.RateLimit(_LOGS_PER_S)

    def enter(
        self, method: str, *, is_local: bool, authorization: str = "", uris: Iterable[str] = (), host: str = ""
    ) -> None:
        """Finds out who makes a request, and whether the role may.

        Args:
            method: as in `METHODS`.
            is_local: whether it came over a Unix socket.
            authorization: the header of that name; empty without one.
            uris: names in the client's verified certificate.
            host: from where, for the log.

        Raises:
            Forbidden: nothing may be done.
        """
        if is_local or self.is_open:
            _CURRENT.set(LOCAL)
            return
        principal = self._principal(authorization, uris)
        if principal is None:
            self._refuse("unauthenticated", host=host, method=method)
            raise Forbidden("a token or a client certificate of this cluster expected", is_anonymous=True)
        if principal.role not in METHODS.get(method, _OPERATORS):
            self._refuse("role", host=host, method=method, caller=str(principal))
            raise Forbidden(f"{principal} may not do this; the role decides")
        # Calls are counted one by one where they are made.
        if method not in _CALLS and not self._is_affordable(principal):
            self._refuse("rate", host=host, method=method, caller=str(principal))
            raise Forbidden(f"more than {self._rate_max} requests in a second", is_too_often=True)
        _CURRENT.set(principal)

    @property
    def limits_calls(self) -> bool:
        """Whether `check_call` could refuse anything."""
        return bool(self.policies) or not self.is_open

    def check_call(self, target: ActorAddress, action: str, caller: ActorAddress | None) -> Refusal | None:
        """Why the one whose request is served may not make a call; None when it may.

        Args:
            target: the actor.
            action: of it.
            caller: the actor that calls, if it is one.
        """
        principal = current()
        if principal.role not in _CLIENTS:
            self._refuse("role", caller=str(principal), action=action[:64])
            return Refusal(ErrorCode.FORBIDDEN, f"{principal} may not call actors; the role decides")
        if not self._is_affordable(principal):
            self._refuse("rate", caller=str(principal), action=action[:64])
            return Refusal(ErrorCode.LIMIT_REACHED, f"more than {self._rate_max} calls in a second")
        if not self.policies:
            return None
        actor, system = ("", "") if caller is None else (caller.name, caller.system)
        attempt = Attempt(actor, system, action, str(principal), target.name, target.system)
        reason = self.policies.refusal(attempt)
        if reason is None:
            return None
        self._refuse("policy", reason=reason, **describe(attempt))
        return Refusal(ErrorCode.FORBIDDEN, reason)

    def counters(self) -> dict[str, int]:
        """Refusals since the start, under the names that status shows."""
        return {f"access.refused.{why}": count for why, count in sorted(self.refused.items())}

    def _is_affordable(self, principal: Principal) -> bool:
        if not self._rate_max or principal is LOCAL:
            return True
        now_s = self._clock_s()
        budget = self._budgets.get(principal)
        if budget is None:
            if len(self._budgets) >= BUDGETS_MAX:
                self._budgets.clear()  # only certificates can be so many; each gets a second's worth anew
            budget = self._budgets[principal] = _Budget(now_s, self._rate_max)
        return budget.spend(now_s, self._rate_max)

    def _principal(self, authorization: str, uris: Iterable[str]) -> Principal | None:
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() == "bearer":
            entry = self._tokens().get(hash_of(token.strip()))
            if entry is not None and self._wall_s() < entry.expires_s:
                return Principal(entry.role, entry.name)
        names = list(uris)
        name = parse(names[0]) if len(names) == 1 else None
        if name is None or name.cluster != self._cluster:
            return None
        # A node's certificate is for links; what a node wants here its operator can have by a token.
        return None if name.role == "node" else Principal(name.role, name.name)

    def _refuse(self, why: str, **fields: str) -> None:
        self.refused[why] += 1
        if self._log_limit():
            entry: dict[str, Any] = {"why": why, "suppressed": self._log_limit.suppressed, **fields}
            logs.event(_LOG, logging.WARNING, "access.refused", **entry)
