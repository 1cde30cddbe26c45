"""Random functions of tensors that fill lists with losses in loops, and call `backward()` of these in other loops: what
they leave in `.grad` and in leaves, return and raise is compared with eager code, `.grad` also behind an error.

`python -m tests.gradients.random_sums --first 0 --count 200` looks for functions that differ.
"""

from __future__ import annotations

import random
import re
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import tracejit as tj
from tests.searches import search_functions
from tests.sources import defined
from tracejit import config
from tracejit.errors import NotDifferentiable, ScriptError, VerifyError

HEAD = """\
def f(w, u, x, n):
    h = x * 1.0
    c = x + 0.5
    d = x * x
    t = x * 0.0
    total = 0.0
    k = 0
    ys = []
    rows = []
    y = (w * x).sum()
"""
TAIL = "    return total, h, t\n"
#: Statements; `|` separates lines, `{i}` is an integer, `{c}` a condition, `{a}` a statement before, or none.
FILLING = (
    *(
        "ys.append((x * w).sum() * k)",
        "ys.append((tj.sin(w * (k + 1)) * u).sum())",
        "ys.append((h.detach() * w).prod())",
    ),
    *("ys.append((c * w).sum() * {i})", "if {c}:|    ys.append((w * u).sum())", "ys.append((u * u * x).sum() + {i})"),
    *(
        "ys.append(((h.detach() * w + x) ** 2).mean())",
        "h = h * 0.5 + x",
        "h = tj.tanh(h.detach() * 1.5 + k)",
        "k += 1",
    ),
    *("v = tj.tanh(w * x * k)|ys.append(v.sum())", "v = w * u|if {c}:|    v = v * u|ys.append((v * x).sum())"),
    *("rows.append(tj.tanh(w * (k + x)))", "rows.append(w * u * {i})"),
)
ADDING = (
    *("for y in ys:|    {a}y.backward()", "while ys:|    y = ys.pop()|    {a}y.backward()"),
    "for i in range(len(ys)):|    y = ys[i]|    {a}(y * d[i % 3]).backward()",
    "for i, y in enumerate(ys):|    if {c}:|        {a}y.backward()",
    "for i in range(0, len(ys), 2):|    y = ys[i]|    {a}(y * y).backward()",
    "for y in ys:|    {a}y.backward()|    if {c}:|        break",
    "for y in ys:|    for j in range(2):|        {a}(y * (j + k)).backward(retain_graph=True)",
    *(
        "for r in rows:|    y = r.sum()|    {a}r.backward(d)",
        "for r in rows:|    y = (r * r).sum()|    {a}y.backward()|    k += 1",
    ),
    "while len(ys) > 1:|    y = ys.pop()|    {a}y.backward(retain_graph=True)",
    *(
        "for i in range(n):|    y = ys[i]|    {a}y.backward()",
        "for i in range(n + 1):|    y = ys.pop()|    {a}y.backward()",
    ),
    "for y in ys:|    (w * d).sum().backward()|    {a}y.backward()|    (u * x).sum().backward()",
    "for y in ys:|    {a}y.backward()|    total = total + y.item()",
    "for y in ys:|    if {c}:|        {a}y.backward()|    else:|        (y * 2.0).backward()",
    "for i in range(n):|    h = tj.tanh(h * w + x)|    y = h.sum()|    {a}y.backward(retain_graph=True)",
    "for i in range(n):|    h = tj.tanh(h * u + w)|    y = h[1]|    if {c}:|        {a}y.backward(retain_graph=True)",
    "for y, r in zip(ys, rows):|    {a}(y * r.sum()).backward()",
    "for y in ys:|    {a}g = tj.autograd.grad(y, w, retain_graph=True)[0]|    t = t + g",
)
BEFORE = (
    *("", "", "", "", "total = total + y.item()|", "if y.item() > 1.5:|    raise ValueError('large')|", "k += 1|"),
    *("assert {c}|", "d = d * d[k % 4]|", "if {c}:|    continue|"),
)
BEHIND = (
    *("ys = []", "ys, rows = [], []", "(w * u).sum().backward()", "h = h.detach()", "k += 1"),
    "if w.grad is not None:|    with tj.no_grad():|        w -= 0.1 * w.grad|    w.grad = None",
    "if u.grad is not None:|    total = total + u.grad.sum().item()",
)
CONDITIONS = (*("{i} % 2 == 1", "k > 1", "{i} > 0", "c[0] < 0.4", "k < 3", "h.detach().sum() > 0.3", "x[k % 3] > 0"),)


class Writer:
    """Writes one function."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.lines: list[str] = []
        self.counter = 0

    def write(self, indent: str, text: str, ints: Sequence[str]) -> None:
        for line in text.split("|"):
            at = line[: len(line) - len(line.lstrip())]
            if "{a}" in line:
                before = self.random.choice(BEFORE)
                self.write(indent + at, before.rstrip("|"), ints) if before else None
                line = line.replace("{a}", "")
            line = re.sub(r"\{c\}", lambda _: self.random.choice(CONDITIONS), line)
            self.lines.append(indent + re.sub(r"\{i\}", lambda _: self.random.choice(ints), line))

    def fill(self, indent: str, ints: Sequence[str]) -> None:
        """A loop that fills the lists."""
        self.counter += 1
        name = f"i{self.counter}"
        if self.random.random() < 0.6:
            self.write(indent, f"for {name} in range({self.random.choice(('n', 'n + 1'))}):", ints)
        else:
            self.write(indent, f"{name} = 0|while {name} < n:|    {name} += 1", ints)
        for _ in range(self.random.randrange(1, 4)):
            self.write(indent + "    ", self.random.choice(FILLING), [*ints, name, name])

    def part(self, indent: str, ints: Sequence[str]) -> None:
        for _ in range(self.random.randrange(1, 3)):
            self.fill(indent, ints)
        for _ in range(self.random.randrange(1, 3)):
            self.write(indent, self.random.choice(ADDING), ints)
            if self.random.random() < 0.6:
                self.write(indent, self.random.choice(BEHIND), ints)

    def source(self) -> str:
        if self.random.random() < 0.4:
            self.write("    ", "for epoch in range(2):", ())
            self.part("        ", ("k", "epoch"))
        else:
            self.part("    ", ("k",))
        if self.random.random() < 0.3:
            self.part("    ", ("k",))
        return HEAD + "\n".join(self.lines) + "\n" + TAIL


def function(seed: int) -> tuple[Callable[..., Any], str]:
    """The function of a seed, and its source."""
    text = Writer(seed).source()
    return defined(text, f"<random sums {seed}>", tj=tj)["f"], text


def outcome(fn: Callable[..., Any], trips: int) -> tuple[str, list[Any], list[Any]]:
    """What a call leaves: the kind of error, results and leaves, and `.grad`."""
    w = tj.tensor([0.3, 0.5, -0.4], dtype=tj.float64, requires_grad=True)
    u = tj.tensor([0.9, -0.2, 0.6], dtype=tj.float64, requires_grad=True)
    x = tj.tensor([0.2, -0.7, 1.1], dtype=tj.float64)
    kind, found = "", ()
    try:
        found = fn(w, u, x, trips)
    except (NotDifferentiable, ScriptError, VerifyError):
        raise
    except (RuntimeError, ValueError, IndexError, AssertionError) as error:
        kind = type(error).__name__
    values = [v.detach().numpy() if isinstance(v, tj.Tensor) else v for v in (*found, w, u)]
    return kind, values, [None if p.grad is None else p.grad.numpy() for p in (w, u)]


def check(seed: int) -> None:
    """Raises where a script differs from eager code."""
    fn, _ = function(seed)
    scripted = tj.script(fn)
    for trips in (0, 1, 4):
        kind, values, gradients = outcome(fn, trips)
        with config.override(verify=True):
            found_kind, found, slopes = outcome(scripted, trips)
        assert found_kind == kind, (trips, kind, found_kind)
        for a, b in zip((*found, *slopes), (*values, *gradients), strict=True):
            assert (a is None) == (b is None), (trips, kind, a, b)
            if a is not None:
                np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12, err_msg=f"{trips} trips {kind}")


if __name__ == "__main__":
    sys.exit(search_functions(__doc__, check, function))
