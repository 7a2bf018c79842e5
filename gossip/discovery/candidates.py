"""Which candidates to contact, and how often: caps and back-off against forged announcements.

A decision without I/O, driven by the agent.
"""

from collections.abc import Callable
from dataclasses import dataclass

from gossip.identity import Endpoint

CANDIDATES_MAX = 256
"""Kept at once. A network that can be discovered by broadcast rarely has more nodes, and one contact is enough to
join."""

CONTACTS_PER_CALL_MAX = 8
"""Contacts that one call to `take_due` may ask for; with one call a second, forged candidates cost 8 dials a second."""

BACKOFF_FIRST_NS = 1_000_000_000
BACKOFF_MAX_NS = 60_000_000_000

_ATTEMPTS_REPLACEABLE = 3


@dataclass(slots=True)
class _Candidate:
    attempts: int
    due_ns: int


class Candidates:
    """Endpoints worth contacting until they show up as members.

    A candidate that does not answer is tried ever more rarely. When the book is full, a new one replaces one that was
    tried three times in vain; if there is none, the new one is refused: a flood can't push out what has not been
    tried yet.
    """

    def __init__(self) -> None:
        self._candidates: dict[Endpoint, _Candidate] = {}

    def __len__(self) -> int:
        return len(self._candidates)

    def offer(self, endpoint: Endpoint, *, now_ns: int) -> bool:
        """Adds a candidate; false if it is known or there is no room."""
        if endpoint in self._candidates:
            return False
        if len(self._candidates) >= CANDIDATES_MAX:
            worst = max(self._candidates, key=lambda e: self._candidates[e].attempts)
            if self._candidates[worst].attempts < _ATTEMPTS_REPLACEABLE:
                return False
            del self._candidates[worst]
        self._candidates[endpoint] = _Candidate(0, now_ns)
        return True

    def take_due(self, *, now_ns: int, is_member: Callable[[Endpoint], bool]) -> list[Endpoint]:
        """Candidates to contact now, each counted as one attempt. Those that are members start afresh.

        Complexity: O(candidates).
        """
        due: list[Endpoint] = []
        for endpoint, candidate in self._candidates.items():
            if is_member(endpoint):
                candidate.attempts, candidate.due_ns = 0, now_ns
            elif candidate.due_ns <= now_ns and len(due) < CONTACTS_PER_CALL_MAX:
                candidate.due_ns = now_ns + min(BACKOFF_FIRST_NS << min(candidate.attempts, 6), BACKOFF_MAX_NS)
                candidate.attempts += 1
                due.append(endpoint)
        return due
