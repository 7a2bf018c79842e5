"""A system is declared in full, or refused with the reason."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from crdtmesh.sdk import Context, LWWRegister, ORSet, PNCounter, System, action
from crdtmesh.sdk.errors import DefinitionError
from crdtmesh.sdk.loading import load_system


class Valid:
    @action
    def first(self, ctx: Context, *, item: str = "x") -> str:
        return item

    @action(name="second-name")
    async def second(self, ctx: Context) -> None: ...


def test_one_class_may_be_several_actors() -> None:
    system = System("s")
    system.actor("a", "b", state=PNCounter)(Valid)
    assert ["a", "b"] == list(system.actors)
    assert PNCounter is system.actors["a"].state
    assert {"first", "second-name"} == set(system.actors["b"].actions)


@pytest.mark.parametrize(("state", "expected"), [(ORSet[str], ORSet), ("LWWRegister", LWWRegister), (None, None)])
def test_state_is_named_by_class_or_by_name(state: Any, expected: Any) -> None:
    system = System("s")
    system.actor("a", state=state)(Valid)
    assert expected is system.actors["a"].state


def test_keyword_only_parameters_are_passed_by_keyword() -> None:
    system = System("s")
    system.actor("a")(Valid)
    spec = system.actors["a"].actions["first"]
    assert "milk" == spec.call(Valid(), Context(None), *spec.signature.bind({"item": "milk"}))


@pytest.mark.parametrize("state", ["ORSett", list, 3, Valid])
def test_unknown_state_is_refused(state: Any) -> None:
    with pytest.raises(DefinitionError, match="state"):
        System("s").actor("a", state=state)


@pytest.mark.parametrize("name", ["", "a/b", "a\nb", "x" * 256, " a", None])
def test_malformed_names_are_refused(name: Any) -> None:
    with pytest.raises(DefinitionError, match="name"):
        System(name)
    with pytest.raises(DefinitionError, match="name"):
        System("s").actor(name)


def test_name_is_given_once() -> None:
    system = System("s")
    system.actor("a")(Valid)
    with pytest.raises(DefinitionError, match="declared twice"):
        system.actor("a")
    with pytest.raises(DefinitionError, match="declared twice"):
        system.actor("b", "b")
    with pytest.raises(DefinitionError, match="at least one"):
        system.actor()


def test_class_without_action_is_refused() -> None:
    with pytest.raises(DefinitionError, match="no action"):
        System("s").actor("a")(dict)


def test_generators_and_static_methods_are_no_actions() -> None:
    class Generator:
        @action
        def rows(self, ctx: Context) -> Any:
            yield 1

    class Static:
        @staticmethod
        @action
        def rows(owner: Any, ctx: Context) -> Any: ...

    for wrong in (Generator, Static):
        with pytest.raises(DefinitionError, match="rows"):
            System("s").actor("a")(wrong)


def test_inherited_actions_count_and_overridden_ones_only_once() -> None:
    class Child(Valid):
        @action
        def first(self, ctx: Context, *, item: str = "y") -> str:
            return item

    system = System("s")
    system.actor("a")(Child)
    assert {"first", "second-name"} == set(system.actors["a"].actions)


def test_loading_finds_a_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    text = "from crdtmesh.sdk import System\nsystem = System('shops')\nother = 3\n"
    (tmp_path / "sdk_loading_ok.py").write_text(text)
    assert "shops" == load_system("sdk_loading_ok:system").name
    with pytest.raises(DefinitionError, match="sdk_loading_ok:sytem does not exist; did you mean 'system'"):
        load_system("sdk_loading_ok:sytem")
    with pytest.raises(DefinitionError, match="other is no System"):
        load_system("sdk_loading_ok:other")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("import sdk_loading_nowhere", "can't be imported: No module named 'sdk_loading_nowhere'"),
        ("1/0", "ZeroDivisionError"),
        ("def", "SyntaxError"),
    ],
)
def test_loading_says_why_a_module_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "sdk_loading_bad.py").write_text(source)
    with pytest.raises(DefinitionError, match=message):
        load_system("sdk_loading_bad:system")


@pytest.mark.parametrize(
    ("text", "message"),
    [("shops", "MODULE:SYSTEM"), ("a b:c", "MODULE:SYSTEM"), ("sdk_no_such_thing.x:system", "no module 'sdk_no_such")],
)
def test_loading_refuses_other_forms_and_missing_modules(text: str, message: str) -> None:
    with pytest.raises(DefinitionError, match=message):
        load_system(text)


def test_declaring_actors_loads_neither_grpc_nor_protobuf() -> None:
    code = (
        "import sys; from crdtmesh.sdk import System, action, Context, ORSet, PNCounter, LWWRegister;"
        "heavy = [name for name in ('grpc', 'google.protobuf', 'aiohttp', 'cryptography') if name in sys.modules];"
        "sys.exit(repr(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert (0, "") == (done.returncode, done.stderr)
