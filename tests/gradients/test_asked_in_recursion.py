"""Whether a tensor asks for gradients, asked in a function that calls itself."""

from __future__ import annotations

from typing import Any

import pytest

import tracejit as tj


def _total(x: Any, n: int) -> Any:
    if n == 0:
        return x.sum() * (2.0 if x.requires_grad else 3.0)
    return _total(x * 2.0, n - 1) + x[0]


def _shown(x: Any, n: int) -> Any:
    print(n, x)
    return x.sum() if n == 0 else _shown(x * 2.0, n - 1)


@pytest.mark.parametrize("fn", [_total, _shown])
def test_it_is_refused_where_something_asks(fn: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """The function is one graph for all its callers: False would be the answer for what does ask, too."""
    scripted, x = tj.script(lambda x: fn(x, 2)), tj.tensor([1.0, 2.0])
    expected = fn(x, 2).item(), capsys.readouterr().out
    assert (scripted(x).item(), capsys.readouterr().out) == expected
    with pytest.raises(tj.ScriptError, match="not known in a function that calls itself"):
        scripted(x.requires_grad_())
