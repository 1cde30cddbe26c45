"""`warnings.warn` in scripts."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import tracejit as tj


def warns(x: Any, n: int) -> Any:
    if n > 3:
        warnings.warn(f"{n} is {{large}} beside {x}", stacklevel=1)
    warnings.warn("old", DeprecationWarning, stacklevel=1)
    return x + n


@pytest.mark.parametrize("filters", ["always", "default", "ignore"])
def test_warnings_are_given_at_their_line(filters: Any) -> None:
    seen: list[list[Any]] = []
    for call in (warns, tj.script(warns)):
        with warnings.catch_warnings(record=True) as found:
            warnings.simplefilter(filters)
            for n in (5, 5, 1):
                assert call(np.ones(2), n)[0] == 1 + n
        seen.append([(str(w.message), w.category, w.filename, w.lineno) for w in found])
    assert seen[0] == seen[1] and len(seen[0]) == {"always": 5, "default": 2, "ignore": 0}[filters]


class OwnWarning(UserWarning):
    pass


def test_own_categories_are_refused() -> None:
    def program(x: Any) -> Any:
        warnings.warn("new", OwnWarning, stacklevel=1)
        return x

    with pytest.raises(tj.ScriptError, match="category"):
        tj.script(program)(np.ones(2))
