"""Random functions of tensors that put arrays into lists, dicts, attributes and deques and change them in place: what
they return, what `backward()` leaves in `.grad`, and whether it is an error, is compared with eager code.

`python -m tests.gradients.random_placed --first 0 --count 200` looks for functions that differ.
"""

from __future__ import annotations

import random
import re
import sys
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import tracejit as tj
from tests.searches import search_functions
from tests.sources import defined
from tracejit import config
from tracejit.errors import NotDifferentiable, ScriptError

HEAD = """\
def f(w, x, n):
    h = w * 1.5
    g = w + x
    a = tj.outer(w, x) * 0.5
    hs, gs, box, d, q, pairs = [], [], Box(w * x), {}, deque(maxlen=2), []
    y = (w * x).sum()
    k = 0
"""
FIRST = ("hs.append(h)", "gs.append(g)", "d[0] = x * 0.5", "q.append(h)", "pairs.append((g, h))", "hs.append(w * 0.5)")
TAIL = """\
    y.backward()
    total = 0.0
    for r in hs:
        total = total + r.detach().sum().item()
    return h, g, a, box.v, total
"""
#: Statements; `|` separates lines, `{i}` is an integer below 3, `{c}` a condition, `{v}` a tensor, `{m}` one that a
#: container holds, or may.
PUTTING = (
    *("hs.append(h)", "hs.append({v})", "gs.append(g)", "gs.append({v} * 0.5)", "d[{i}] = h", "d[k % 2] = {v} * 1.0"),
    *("box.v = h", "box = Box({v} * 2)", "q.append({v} * 1.0)", "q.append(g)", "pairs.append((g, {v} * 1.0))"),
    *("h = {v} * 0.5", "g = {v} + 0.1", "h = {v}.clone()", "h = tj.tanh({v})", "g = {v} * {v}", "k += 1"),
    *("h = hs[{i} % len(hs)]", "g = hs[-1]", "h = {v} * 1.0|hs.append(h)|h[{i}] = {v}[1] * 0.5"),
    *("gs = [r * 1.0 for r in hs]", "hs.append(hs[0].detach() * 0.3)", "rows = [a[j] for j in range(n)]"),
    *("a = a * 0.5|hs.append(a[{i}])", "hs.insert(0, {v} * 2.0)", "gs.append(hs.pop() if len(hs) > 1 else h)"),
)
CHANGING = (
    *("{m} *= 0.5", "{m} += {v}", "{m}[{i}] = {v}[0]", "{m}[1:] = {v}[:-1] * 0.5", "{m}.mul_(0.9)", "{m} *= {v}"),
    *("for r in hs:|    r *= 0.9", "for r in hs:|    r[{i}] += x[0]", "for r in gs:|    r -= {v}", "a[{i}] = {v}"),
    *("{m}[::2] *= 0.3", "for p, r in pairs:|    p += 0.1|    r *= 2.0", "a[:, {i}] *= 0.5", "{m}.clamp_(min=-1.0)"),
    *("with tj.no_grad():|    {m} *= 0.9", "with tj.no_grad():|    {m}[{i}] = 0.2"),
)
USING = (
    *("y = y + ({v} * {v}).sum()", "y = y + {v}.sum()", "y = y + (hs[-1] * x).sum()"),
    *("for r in hs:|    y = y + (r * r * 0.1).sum()", "y = y + (a @ {v}).sum()", "y = y + sum(r.sum() for r in gs)"),
    "y = y + tj.stack([r for r in hs]).prod()",
)
TENSORS = ("h", "g", "w", "x", "hs[-1]", "hs[0]", "box.v", "q[0]", "pairs[-1][0]", "d[0]", "h", "g")
MEANT = ("h", "g", "hs[-1]", "hs[0]", "hs[{i} % len(hs)]", "gs[0]", "box.v", "d[0]", "q[-1]", "h", "hs[0]")
CONDITIONS = ("k > 1", "{i} > 0", "x[0] > 0.0", "h.detach().sum() > 0.3", "k % 2 == 1", "len(hs) < 4")


class Box:
    """An object with a tensor."""

    def __init__(self, v: Any) -> None:
        self.v = v


class Writer:
    """Writes one function."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.lines: list[str] = []
        self.counter = 0

    def write(self, indent: str, text: str, ints: Sequence[str]) -> None:
        for line in text.split("|"):
            for mark, choices in (("m", MEANT), ("v", TENSORS), ("c", CONDITIONS), ("i", ints)):
                line = re.sub(f"\\{{{mark}}}", lambda _, among=choices: self.random.choice(among), line)
            self.lines.append(indent + line)

    def statement(self, indent: str, ints: Sequence[str]) -> None:
        group = self.random.choice((PUTTING, PUTTING, CHANGING, USING))
        if self.random.random() < 0.15:
            self.write(indent, "if {c}:", ints)
            indent += "    "
        self.write(indent, self.random.choice(group), ints)

    def source(self) -> str:
        ints = ["0", "1", "2", "k % 3"]
        for text in FIRST:
            self.write("    ", text, ints)
        for _ in range(self.random.randrange(2, 4)):
            indent, own = "    ", ints
            if self.random.random() < 0.7:
                self.counter += 1
                self.write("    ", f"for i{self.counter} in range({self.random.choice(('n', 'n + 1'))}):", ints)
                indent, own = "        ", [*ints, f"i{self.counter} % 3"]
            for _ in range(self.random.randrange(1, 4)):
                self.statement(indent, own)
        for _ in range(self.random.randrange(1, 3)):
            self.write("    ", self.random.choice(USING), ints)
        return HEAD + "\n".join(self.lines) + "\n" + TAIL


def function(seed: int) -> tuple[Callable[..., Any], str]:
    """The function of a seed, and its source."""
    text = Writer(seed).source()
    return defined(text, f"<random placed arrays {seed}>", tj=tj, Box=Box, deque=deque)["f"], text


def outcome(fn: Callable[..., Any], trips: int) -> tuple[str, list[Any]]:
    """What a call leaves: the kind of error, and results and `.grad`."""
    w = tj.tensor([0.3, 0.5, -0.4], dtype=tj.float64, requires_grad=True)
    x = tj.tensor([0.2, -0.7, 1.1], dtype=tj.float64)
    kind, found = "", ()
    try:
        found = fn(w, x, trips)
    except (NotDifferentiable, ScriptError):
        raise
    except (RuntimeError, ValueError, IndexError) as error:
        kind = type(error).__name__
    values = (*found, x, w, w.grad)
    return kind, [v.detach().numpy() if isinstance(v, tj.Tensor) else v for v in values]


def check(seed: int) -> None:
    """Raises where a script differs from eager code."""
    fn, _ = function(seed)
    scripted = tj.script(fn)
    for trips in (3, 0, 1):
        kind, values = outcome(fn, trips)
        with config.override(verify=True):
            found_kind, found = outcome(scripted, trips)
        assert found_kind == kind, (trips, kind, found_kind)
        for a, b in zip(found, values, strict=True):
            assert (a is None) == (b is None), (trips, kind, a, b)
            if a is not None:
                np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12, err_msg=f"{trips} trips {kind}")


if __name__ == "__main__":
    sys.exit(search_functions(__doc__, check, function))
