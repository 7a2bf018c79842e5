"""Finding a `System` by `MODULE:SYSTEM`."""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
import sys
from typing import Final

from crdtmesh.sdk.actors import System
from crdtmesh.sdk.errors import DefinitionError
from crdtmesh.sdk.names import nearest

__all__ = ["load_system"]

_FORM: Final = re.compile(r"(?P<module>[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*):(?P<attribute>[A-Za-z_]\w*)")


def load_system(text: str) -> System:
    """Imports the module, with the current directory on the path, and takes its attribute.

    Args:
        text: such as "examples.shops:system".

    Raises:
        DefinitionError: the text has another form, the module is missing or fails at import, or the attribute is no
            `System`; the message names the nearest one.
    """
    match = _FORM.fullmatch(text)
    if match is None:
        raise DefinitionError(f"expected MODULE:SYSTEM, such as shops:system, got {text!r:.64}")
    if (directory := os.getcwd()) not in sys.path:
        sys.path.insert(0, directory)
    name = match["module"]
    try:
        module = importlib.import_module(name)
    except DefinitionError:
        raise
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise DefinitionError(
                f"no module {error.name!r}; it is looked for in {directory} and on the Python path"
            ) from None
        raise DefinitionError(f"module {name!r} can't be imported: {error}") from error
    except Exception as error:
        raise DefinitionError(f"module {name!r} can't be imported: {type(error).__name__}: {error}") from error
    systems = [key for key, value in vars(module).items() if isinstance(value, System)]
    found = getattr(module, match["attribute"], None)
    if isinstance(found, System):
        return found
    what = "is no System" if hasattr(module, match["attribute"]) else "does not exist"
    raise DefinitionError(f"{name}:{match['attribute']} {what}; {nearest(match['attribute'], systems)}")
