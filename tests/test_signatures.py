"""Parameters are read without their annotations, which Python 3.14 evaluates when they are asked for."""

from __future__ import annotations

import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tracejit.scripted import script
from tracejit.signatures import signature_of

UNKNOWN = """
    from dataclasses import dataclass, field
    from tracejit import nn

    @dataclass
    class Node:
        value: float
        after: Later | None = None
        marks: list[OnlyForTypeCheckers] = field(default_factory=list)

    def f(x: OnlyForTypeCheckers, *, scale: Later = 2.0) -> OnlyForTypeCheckers:
        node = Node(x, Node(scale))
        node.marks.append(1)
        return node.value * node.after.value + len(node.marks)

    class Module(nn.Module):
        def forward(self, x: OnlyForTypeCheckers) -> Later:
            return x * 2
"""


def loaded(folder: Path, text: str) -> ModuleType:
    path = folder / "annotated.py"
    path.write_text(textwrap.dedent(text))
    made = ModuleType("annotated")
    sys.modules["annotated"] = made
    exec(compile(path.read_text(), str(path), "exec"), made.__dict__)
    return made


def test_parameters_and_defaults() -> None:
    def f(a: int, /, b: float = 1.0, *rest: Any, c: str = "x") -> None: ...

    assert list(signature_of(f).parameters) == ["a", "b", "rest", "c"]
    assert signature_of(f).parameters["b"].default == 1.0


def test_of_a_dataclass() -> None:
    @dataclass
    class Pair:
        a: int
        b: int = 2

    assert list(signature_of(Pair).parameters) == ["a", "b"]


def test_what_has_none() -> None:
    with pytest.raises((TypeError, ValueError)):
        signature_of(3)  # type: ignore[arg-type]


@pytest.mark.skipif(sys.version_info < (3, 14), reason="annotations are evaluated where they stand before Python 3.14")
def test_annotations_that_name_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "annotated", raising=False)
    made = loaded(tmp_path, UNKNOWN)
    assert script(made.f)(3.0, scale=4.0) == made.f(3.0, scale=4.0) == 13.0
    assert script(made.Module())(3.0) == 6.0
    assert list(signature_of(script(made.f)).parameters) == ["x", "scale"]
