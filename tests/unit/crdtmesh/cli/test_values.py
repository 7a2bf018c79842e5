"""What the commands show of values is JSON by the letter."""

import json
import math
from typing import Any

import pytest

from crdtmesh.cli.values import plain_json, shown


def _refuse(constant: str) -> Any:
    raise AssertionError(constant)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (math.inf, "Infinity"),
        ((1, -math.inf), [1, "-Infinity"]),
        ({"k": (b"\x00\xff", None, True, 1.5)}, {"k": ["00ff", None, True, 1.5]}),
        (1 << 70, 1 << 70),
    ],
)
def test_a_value_is_strict_json_on_a_line_and_within_an_object(value: Any, expected: Any) -> None:
    assert expected == json.loads(shown(value), parse_constant=_refuse)
    assert expected == json.loads(json.dumps({"value": plain_json(value)}), parse_constant=_refuse)["value"]
