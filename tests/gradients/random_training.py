"""Random functions of tensors that call `backward()` inside loops and branches, detach what they hand on, and take
steps: what they leave in `.grad`, return and raise is compared with eager code.

`python -m tests.gradients.random_training --first 0 --count 200` looks for functions that differ. Those of seeds from
1,000,000 on also have a list of losses.
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
from tracejit.errors import NotDifferentiable

HEAD = """\
def f(w, u, x, n):
    h = x * 1.0
    c = x + 0.5
    loss = (h * w).sum() * 0.1
    total = 0.0
    k = 0
"""
TAIL = "    return total, h, loss\n"
#: Statements; `|` separates lines, `{i}` is an integer, `{c}` a condition.
VALUES = (
    *("h = tj.tanh(h * w + 0.1)", "h = tj.tanh(h * w + 0.1)", "h = h * 0.5 + c", "c = tj.sin(c * u) + h * 0.1"),
    *("c = h", "h, c = c, h", "loss = loss + (h * h).sum()", "loss = (h * c).sum()", "loss = loss * 0.5"),
    *("h = h * u", "total = total + loss.item()", "total = total + h.detach().sum().item()", "k += 1"),
    *("h = h.clone()|h[{i} % 3] = w[0] * c[1]", "c = c * 1.0|c *= 0.5", "loss = loss + c[{i} % 3] * w[1]"),
)
CUTS = ("h = h.detach()", "c = c.detach()", "loss = loss.detach()", "h, c = h.detach(), c.detach()", "h = x * 0.3")
BACKWARDS = (
    *("loss.backward()", "h.sum().backward()", "(loss + h.sum()).backward()", "(h * w).sum().backward()"),
    *("loss.backward(retain_graph=True)", "(h * c).sum().backward(retain_graph=True)"),
    *("loss.backward()|h, c, loss = h.detach(), c.detach(), loss.detach()",) * 3,
    *(
        "h.sum().backward()|h, loss = h.detach(), loss.detach()",
        "(h * c).sum().backward()|h, c = h.detach(), c.detach()",
    ),
    *("try:|    loss.backward()|except RuntimeError:|    total = total + 1.0", "c.sum().backward()|c = c.detach() + u"),
    "h, c, loss = h.detach(), c.detach(), loss.detach()|h = h * w|(h * h).sum().backward()|h = h.detach()",
)
STEPS = (
    "if w.grad is not None:|    with tj.no_grad():|        w -= 0.1 * w.grad|    w.grad = None",
    "if u.grad is not None:|    with tj.no_grad():|        u -= 0.1 * u.grad",
    "if w.grad is not None:|    total = total + w.grad.sum().item()",
)
#: The first seed of functions with a list, and their further statements.
WITH_LISTS = 1_000_000
LIST_VALUES = (
    *("ys.append((x * w).sum() * k)", "ys.append((x * w * h.detach()).sum())", "ys.append(loss)", "ys = []"),
    *("ys.append((h * c).sum())", "ys.append((u * c.detach()).sum())", "loss = sum(ys) + (w * u).sum()"),
    "if len(ys) > 0:|    loss = loss + ys[{i} % len(ys)]",
)
LIST_BACKWARDS = (
    *("if len(ys) > 0:|    ys[{i} % len(ys)].backward()",) * 2,
    *("for y in ys:|    y.backward()", "for y in ys:|    y.backward()|ys = []"),
    *("sum(ys, (w * u).sum()).backward()|ys = []", "if len(ys) > 0:|    (ys[-1] * ys[0]).backward()"),
    *(
        "if len(ys) > 1:|    ys[0].backward()|    ys[1].backward()",
        "h, c, loss = h.detach(), c.detach(), loss.detach()",
    ),
    "if len(ys) > 0:|    ys[{i} % len(ys)].backward(retain_graph=True)",
    "try:|    ys[{i}].backward()|except RuntimeError:|    total = total + 1.0|except IndexError:|    total += 9.0",
    "loss.backward()|h, c, loss = h.detach(), c.detach(), loss.detach()",
)
CONDITIONS = ("{i} % 2 == 1", "{i} % 2 == 1", "h.sum() > 0.3", "k > 1", "{i} > 0", "loss.item() > 0.5", "c[0] < 0.4")


class Writer:
    """Writes one function."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.lines: list[str] = []
        self.counter = 0
        self.values, self.backwards = VALUES, BACKWARDS
        if seed >= WITH_LISTS:
            self.values, self.backwards = (*VALUES[:6], *LIST_VALUES), LIST_BACKWARDS
            self.lines.append("    ys = []")

    def write(self, indent: str, text: str, ints: Sequence[str]) -> None:
        text = text.replace("{c}", self.random.choice(CONDITIONS))
        text = re.sub(r"\{i\}", lambda _: self.random.choice(ints), text)
        self.lines += [indent + line for line in text.split("|")]

    def block(self, indent: str, ints: Sequence[str], depth: int, loops: int) -> None:
        for _ in range(self.random.randrange(1, 4)):
            kind = self.random.random()
            if kind < 0.22 and depth < 4:
                self.write(indent, "if {c}:", ints)
                self.block(indent + "    ", ints, depth + 1, loops)
                if self.random.random() < 0.3:
                    self.write(indent, "else:", ints)
                    self.block(indent + "    ", ints, depth + 1, loops)
            elif kind < 0.34 and depth < 3 and loops < 2:
                self.loop(indent, ints, depth, loops)
            elif kind < 0.5:
                self.write(indent, self.random.choice(self.backwards), ints)
            elif kind < 0.55:
                self.write(indent, self.random.choice(CUTS), ints)
            elif kind < 0.62:
                self.write(indent, self.random.choice(STEPS), ints)
            elif kind < 0.65 and loops:
                self.write(indent, "if {c}:|    break", ints)
            else:
                self.write(indent, self.random.choice(self.values), ints)

    def loop(self, indent: str, ints: Sequence[str], depth: int, loops: int) -> None:
        self.counter += 1
        name = f"i{self.counter}"
        if self.random.random() < 0.7:
            self.write(indent, f"for {name} in range({self.random.choice(('n', 'n + 1', '3'))}):", ints)
        else:
            self.write(indent, f"{name} = 0|while {name} < n + 1:|    {name} += 1", ints)
        self.write(indent + "    ", "h = tj.tanh(h * w + 0.1)", ints)
        self.block(indent + "    ", [*ints, name, name], depth + 1, loops + 1)

    def source(self) -> str:
        self.loop("    ", ("k",), 1, 0)
        if self.random.random() < 0.5:
            self.block("    ", ("k",), 2, 0)
        return HEAD + "\n".join(self.lines) + "\n" + TAIL


def function(seed: int) -> tuple[Callable[..., Any], str]:
    """The function of a seed, and its source."""
    text = Writer(seed).source()
    return defined(text, f"<random training {seed}>", tj=tj)["f"], text


def outcome(fn: Callable[..., Any], trips: int) -> Any:
    """What a call leaves: results and leaves, `.grad`, whether results ask for gradients; or the kind of error."""
    w = tj.tensor([0.3, 0.5, -0.4], dtype=tj.float64, requires_grad=True)
    u = tj.tensor([0.9, -0.2, 0.6], dtype=tj.float64, requires_grad=True)
    x = tj.tensor([0.2, -0.7, 1.1], dtype=tj.float64)
    try:
        found = fn(w, u, x, trips)
    except NotDifferentiable:
        raise
    except (RuntimeError, TypeError, AttributeError) as error:
        return type(error).__name__
    asks = [r.requires_grad for r in found[1:]]
    values = [np.asarray(found[0]), *(r.detach().numpy() for r in (*found[1:], w, u))]
    return values, [None if p.grad is None else p.grad.numpy() for p in (w, u)], asks


def check(seed: int) -> None:
    """Raises where the script of a seed differs from eager code."""
    compare(function(seed)[0])


def compare(fn: Callable[..., Any]) -> None:
    """Raises where a script differs from eager code."""
    scripted = tj.script(fn)
    for trips in (0, 1, 4):
        eager = outcome(fn, trips)
        found = outcome(scripted, trips)
        if isinstance(eager, str) or isinstance(found, str):
            assert found == eager, (trips, eager, found)
            continue
        for a, b in zip(found[0], eager[0], strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12, err_msg=f"value, {trips} trips")
        for a, b in zip(found[1], eager[1], strict=True):
            assert (a is None) == (b is None), (trips, "grad", a, b)
            if a is not None:
                np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12, err_msg=f"grad, {trips} trips")
        assert found[2] == eager[2], (trips, "requires_grad", found[2], eager[2])


if __name__ == "__main__":
    sys.exit(search_functions(__doc__, check, function))
