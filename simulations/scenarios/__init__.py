"""Named regressions: histories that broke something once, step by step, and stay for ever.

Each is a module with `run() -> list[str]`: what went wrong, and nothing if all is well.
"""

from collections.abc import Callable
from typing import Final

from simulations.scenarios import (
    all_restarted_while_split,
    expired_before_an_update_came,
    key_made_again_during_checkpoint,
    removal_learnt_between_chunks,
    removed_before_a_handover,
)

SCENARIOS: Final[dict[str, Callable[[], list[str]]]] = {
    "all_restarted_while_split": all_restarted_while_split.run,
    "expired_before_an_update_came": expired_before_an_update_came.run,
    "key_made_again_during_checkpoint": key_made_again_during_checkpoint.run,
    "removal_learnt_between_chunks": removal_learnt_between_chunks.run,
    "removed_before_a_handover": removed_before_a_handover.run,
}
"""All of them, by name."""
