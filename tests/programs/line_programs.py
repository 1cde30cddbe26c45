"""One-line programs over sample arrays: `arguments | statement;; statement;; result`, each against plain Python.

A table is text with one program per line. The lines of a table become functions of one module, because a script
needs source; the last part is returned if it is an expression.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from tests.programs.compare import check


def samples() -> dict[str, Any]:
    """The arguments that programs name; the same ones at every call."""
    rng = np.random.default_rng(5)
    normal, whole = rng.standard_normal, rng.integers
    x, a = normal(7), normal((4, 5))
    c = normal(7) + 1j * normal(7)
    return {
        "x": x,
        "y": normal(7),
        "x1": normal(1),
        "x0": np.zeros(0),
        "z": np.array(2.5),
        "f": normal(7).astype(np.float32),
        "h": normal(7).astype(np.float16),
        "A": a,
        "B": normal((4, 5)),
        "S": normal((4, 4)),
        "Fo": np.asfortranarray(normal((4, 5))),
        "T": normal((3, 4, 5)),
        "Q": normal((2, 3, 4, 5)),
        "i": whole(-9, 9, 7),
        "j": whole(1, 9, 7),
        "u": whole(0, 200, 7).astype(np.uint8),
        "s8": whole(-100, 100, 7).astype(np.int8),
        "i4": whole(-99, 99, 7).astype(np.int32),
        "u4": whole(0, 2**31, 7).astype(np.uint32),
        "u8": whole(0, 2**40, 7).astype(np.uint64),
        "b": rng.random(7) > 0.5,
        "b2": rng.random((4, 5)) > 0.5,
        "c": c,
        "c8": c.astype(np.complex64),
        "C": normal((4, 5)) * 1j + 1,
        "n": 3,
        "m": -2,
        "k": 5,
        "g": 2.5,
        "t": True,
        "cc": 1 + 2j,
        "ns": np.int64(3),
        "fs": np.float64(1.5),
        "f4": np.float32(1.5),
        "us": np.uint8(200),
        "ix": np.array([0, 2, -1, 2]),
        "iy": np.array([1, 1, 3, 0]),
        "ia": np.array([0, 1, 1]),
        "ib": np.array([0, 2, 1]),
        "w": np.array([[0, 1], [1, 0]]),
        "mk": np.array([True, False, True]),
        "m4": np.array([True, False, True, True]),
        "st": 2,
        "sm": -3,
        "srt": np.sort(x),
        "xn": np.where(rng.random(7) > 0.6, np.nan, x),
        "an": np.where(rng.random((4, 5)) > 0.6, np.nan, a),
        "dup": whole(0, 4, 9),
        "R9": np.arange(512.0).reshape((2,) * 9),
        "e": np.zeros((0, 5)),
        "one": np.ones((1, 5)),
        "A1": np.arange(4.0).reshape(4, 1),
        "bc": np.broadcast_to(np.arange(5.0), (4, 5)),
        "i2": np.arange(-6, 6, dtype=np.int16).reshape(3, 4),
        "k3": 3,
        "lst": [1, 2, 3],
        "tp": (2, 3),
        "s0": np.float64(0.0),
        "d": np.dtype("f4"),
    }


def programs(table: str) -> list[str]:
    """The lines of a table that are programs."""
    lines = [line.strip() for line in table.strip().splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def source(lines: list[str]) -> str:
    """The module of a table: function `p0` for the first program, and so on."""
    text = "import math\n\nimport numpy as np\n"
    for k, line in enumerate(lines):
        arguments, body = line.split("|", 1)
        *statements, last = (part.strip() for part in body.split(";;"))
        if _is_expression(last):
            last = f"return {last}"
        text += f"\n\ndef p{k}({arguments.strip()}):\n"
        for part in (*statements, last):
            text += "".join(f"    {row}\n" for row in part.replace("\\t", "    ").split("\\n"))
    return text


def _is_expression(text: str) -> bool:
    try:
        compile(text, "line", "eval")
    except SyntaxError:
        return False
    return True


def module_of(lines: list[str], path: Path) -> ModuleType:
    """The module of a table, written to a file and imported from there."""
    path.write_text(source(lines))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def check_line(line: str, fn: Callable[..., Any]) -> None:
    """Compare plain and compiled; the narrower the dtypes among the arguments, the wider the tolerance."""
    names = [part.strip() for part in line.split("|", 1)[0].split(",") if part.strip()]
    given = samples()
    tolerance = 2e-3 if {"h", "s8", "u", "b"} & set(names) else 1e-5 if {"f", "f4", "c8", "i2"} & set(names) else 1e-9
    check(fn, *(given[name] for name in names), tolerance=tolerance)
