"""Rules for every test."""

from __future__ import annotations

import os
from collections.abc import Generator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings

# Two shared cores stall at random: a deadline per example would measure the machine.
settings.register_profile("ci", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile(
    "deep",
    deadline=None,
    max_examples=int(os.environ.get("TESTS_DEEP_EXAMPLES", "100000")),
    suppress_health_check=list(HealthCheck),
)
# Planted faults are to be found, not explained: no search for the least example, and the same draws at each run.
settings.register_profile(
    "mutations", deadline=None, derandomize=True, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
)
settings.load_profile(os.environ.get("TESTS_HYPOTHESIS_PROFILE", "ci"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Where every tool is required, a skip is a failure."""
    report = yield
    if report.skipped and os.environ.get("TESTS_REQUIRE_TOOLS") == "1":
        report.outcome = "failed"
        report.longrepr = f"skipped although every tool is required: {_reason(call)}"
    return report


def _reason(call: pytest.CallInfo[Any]) -> str:
    return str(call.excinfo.value) if call.excinfo else "no reason given"
