"""Definitions in the language itself are found in the modules that are imported to look for them."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from types import FunctionType

from tracejit.frontend import written

#: Functions that the running version of Python lacks.
LATER = {"batched"} if sys.version_info < (3, 12) else set[str]()


def test_names_say_which_modules_have_definitions() -> None:
    for module in pkgutil.iter_modules(written.__path__):
        importlib.import_module(f"{written.__name__}.{module.name}")
    found: dict[str, set[str]] = {}
    for table in (written._WRITTEN, written._METHODS, written._OF_NUMBERS, written._EXTENDED):
        for key, definition in table.items():
            module = definition.__module__.rsplit(".", 1)[1]
            found.setdefault(module, set()).add(key if isinstance(key, str) else key.__name__)
    assert {module: sorted(names) for module, names in found.items()} == {
        module: [name for name in names.split() if name not in LATER] for module, names in written._DEFINED.items()
    }


def test_functions_in_python_with_definitions_are_of_known_packages() -> None:
    functions = [key for key in written._WRITTEN if isinstance(key, FunctionType)]
    assert {key.__module__.split(".")[0] for key in functions} == set(written._PACKAGES)
