"""`docs/numpy.md` says which functions of NumPy scripts may call; this compares it with the code."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import numpy as np
import pytest

import tracejit
from tracejit.frontend.functions import handlers
from tracejit.frontend.functions.names import host_random, resolve
from tracejit.frontend.tensors import arrays, creation
from tracejit.frontend.written import replacement

PAGE = (Path(tracejit.__file__).parents[1] / "docs" / "numpy.md").read_text()
importlib.import_module("tracejit.frontend.calls")  # registers what scripts may call
SUBSCRIPTED = (np.mgrid, np.ogrid, np.r_, np.c_, np.s_)


def names(section: str) -> list[str]:
    """The names in the first (or second) column of a section's table."""
    text = PAGE.split(f"## {section}\n")[1].split("\n## ")[0]
    column = 2 if section == "Functions" else 1
    rows = [row.split("|")[column] for row in text.splitlines() if row.startswith("|") and "---" not in row]
    return [name for row in rows[1:] for code in re.findall(r"`([^`]*)`", row) for name in code.split()]


def is_callable_in_scripts(name: str) -> bool:
    fn = np
    for part in name.split("."):
        fn = getattr(fn, part)
    if any(fn is maker for maker in SUBSCRIPTED):
        return True
    handled = fn in handlers.HANDLERS or fn in creation.HANDLERS or replacement(fn) is not None
    if handled or isinstance(fn, type) or host_random(fn):
        return handled
    known = resolve(fn)
    return known is not None and arrays.is_available(known)


@pytest.mark.parametrize("name", names("Functions"))
def test_listed_functions_are_known(name):
    assert is_callable_in_scripts(name)


@pytest.mark.parametrize("name", names("Refused"))
def test_refused_functions_are_not(name):
    assert not is_callable_in_scripts(name)


def test_every_definition_is_listed():
    listed = set(names("Functions")) | {"astype"}
    own = {name for name in dir(np) if replacement(getattr(np, name, None)) is not None}
    doubles = {name for name in own if any(getattr(np, name) is getattr(np, other, None) for other in listed)}
    assert own - listed - doubles - set(elsewhere()) == set()


def elsewhere() -> list[str]:
    """Elementwise functions are described, not listed."""
    return [name for name in dir(np) if isinstance(getattr(np, name), np.ufunc)]
