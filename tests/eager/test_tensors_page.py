"""`docs/tensors.md` lists the functions and methods of tensors; this compares it with the code."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import tracejit as tj
from tracejit.eager.methods import FUNCTIONS
from tracejit.frontend.functions.handlers import HANDLERS
from tracejit.frontend.functions.names import resolve
from tracejit.frontend.tensors import creation
from tracejit.frontend.tensors.arrays import is_available
from tracejit.frontend.written import replacement

PAGE = (Path(tj.__file__).parents[1] / "docs" / "tensors.md").read_text()


def listed(section: str) -> list[str]:
    """The names in a section's code."""
    text = PAGE.split(f"## {section}\n")[1].split("\n## ")[0]
    return [n for code in re.findall(r"`([^`]*)`", text) for n in code.split() if re.fullmatch(r"\w+", n)]


def test_functions() -> None:
    names = listed("Functions")
    assert [name for name in names if not hasattr(tj, name) and name not in tj.special.__all__] == []
    assert {name for name in FUNCTIONS if "." not in name} - set(names) == set()
    assert set(tj.special.__all__) - set(names) == set()


def test_methods() -> None:
    names = listed("Methods and attributes that are no functions")
    assert [name for name in names if not hasattr(tj.Tensor, name)] == []
    public = {n for n in dir(tj.Tensor) if not n.startswith("_") and not n.endswith("_")}
    assert public - set(FUNCTIONS) - set(names) == set()


def test_forms_in_place() -> None:
    assert [n for n in listed("In place") if n.endswith("_") and not hasattr(tj.Tensor, n)] == []


def test_functions_in_scripts() -> None:
    importlib.import_module("tracejit.frontend.calls")  # registers what scripts may call
    outside = {n for n in listed("In scripts") if hasattr(tj, n)}
    for name in listed("Functions"):
        fn = getattr(tj, name, None) or getattr(tj.special, name)
        known = resolve(fn)
        inlined = fn.__module__.startswith("tracejit.nn.")
        handled = inlined or fn in HANDLERS or fn in creation.HANDLERS or replacement(fn) is not None
        assert (handled or (known is not None and is_available(known))) == (name not in outside), name
