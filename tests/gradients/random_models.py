"""Random functions of tensors, written as models are: norms, products, softmax, slices written in place, loops over
time, branches on data. Their compiled values and gradients are compared with those of the eager tape.

`python -m tests.gradients.random_models --first 0 --count 1000` looks for functions that differ.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

import tracejit as tj
from tests.searches import search
from tests.sources import defined
from tracejit.nn import functional

N, T, C = 3, 4, 6
#: Kind -> shape. Every value of a function is of one of these kinds.
SHAPES = {"ntc": (N, T, C), "nt1": (N, T, 1), "cc": (C, C), "tt": (T, T), "c": (C,), "tc": (T, C), "nc": (N, C)}
PARAMETERS = {"x": "ntc", "y": "ntc", "w": "cc", "u": "cc", "p": "tt", "g": "c", "b": "c", "q": "tc", "h": "nc"}
#: Kind of the result and expression; `{kind}` stands for some value of that kind.
EXPRESSIONS = (
    ("ntc", "{ntc} + {ntc}"),
    ("ntc", "{ntc} * {ntc}"),
    ("ntc", "{ntc} - {ntc}"),
    ("ntc", "tj.tanh({ntc})"),
    ("ntc", "tj.sigmoid({ntc})"),
    ("ntc", "tj.relu({ntc})"),
    ("ntc", "{ntc} - {ntc}.mean(-1, keepdims=True)"),
    ("ntc", "tj.softmax({ntc}, -1)"),
    ("ntc", "tj.softmax({ntc}, 1)"),
    ("ntc", "tj.tanh({ntc} @ {cc})"),
    ("ntc", "tj.sin({ntc} @ {cc})"),
    ("ntc", "({ntc}.transpose(1, 2) @ {tt}).transpose(1, 2)"),
    ("ntc", "{ntc} * {nt1}"),
    ("ntc", "{ntc} + {c} * {tc}"),
    ("ntc", f"F.layer_norm({{ntc}}, ({C},), {{c}}, {{c}})"),
    ("ntc", "tj.flip({ntc}, (1,))"),
    ("ntc", "tj.flip({ntc}, (1, 2))"),
    ("ntc", "tj.cat([{ntc}[:, :2], {ntc}[:, 2:]], 1)"),
    ("ntc", "tj.where({ntc} > 0.1, {ntc}, {ntc} * 0.5)"),
    ("ntc", "tj.cumsum({ntc}, 1) * 0.3"),
    ("ntc", f"tj.sin({{ntc}}.reshape(-1, {C}) @ {{cc}}).reshape({N}, {T}, {C})"),
    ("ntc", f"{{ntc}}.reshape({N}, {T}, 2, 3).transpose(2, 3).reshape({N}, {T}, {C})"),
    ("ntc", "{ntc}[:, [2, 0, 1, 1]]"),
    ("ntc", "{ntc} * {nc}[:, None, :]"),
    ("nt1", "tj.sqrt({ntc}.var(-1, keepdims=True) + 0.1)"),
    ("nt1", "tj.reciprocal({ntc}.square().mean(-1, keepdims=True) + 0.1)"),
    ("nt1", "{nt1} * {nt1}"),
    ("nt1", "{ntc}.sum(-1, keepdims=True)"),
    ("nc", "{ntc}.sum(1) * 0.5"),
    ("cc", f"tj.tanh({{ntc}}.reshape(-1, {C}).T @ {{ntc}}.reshape(-1, {C})) * 0.3"),
    ("tc", "{ntc}.sum(0) * 0.3"),
)
#: Kind of a new value, what it starts from, and the statements that change it; `{new}` is its name.
STATEMENTS = (
    ("ntc", "{ntc}.clone()", "{new}[:, 1:] += {ntc}[:, :-1]"),
    ("ntc", "{ntc}.clone()", "{new}[:, 0] = {ntc}[:, 1] * 2.0"),
    ("ntc", "{ntc}.clone()", "{new}[..., ::2] *= {nt1}"),
    ("ntc", "{ntc}.clone()", "{new}[1] = {tc}"),
    ("nc", "{nc} * 1.0", "for i in range({ntc}.shape[1]):\n        {new} = tj.tanh({new} @ {cc} + {ntc}[:, i])"),
    (
        "ntc",
        "{ntc} * 1.0",
        "if {nt1}.sum() > 0.3:\n        {new} = {new} * {ntc}\n    else:\n        {new} = {new} - {nt1}",
    ),
)


class Writer:
    """Writes one function."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.lines: list[str] = []
        self.values: dict[str, list[str]] = {kind: [] for kind in SHAPES}
        for name, kind in PARAMETERS.items():
            self.values[kind].append(name)

    def filled(self, template: str, new: str = "") -> str:
        """The template with values in its places: recent ones more often than not."""
        parts = template.split("{")
        text = parts[0]
        for part in parts[1:]:
            kind, rest = part.split("}", 1)
            text += (new if kind == "new" else self.pick(kind)) + rest
        return text

    def pick(self, kind: str) -> str:
        values = self.values[kind]
        if not values:
            return self.add(
                kind, self.filled(self.random.choice([e for k, e in EXPRESSIONS if k == kind and "{nt1}" not in e]))
            )
        return self.random.choice(values[-4:] if self.random.random() < 0.6 else values)

    def add(self, kind: str, expression: str) -> str:
        name = f"v{len(self.lines)}"
        self.lines.append(f"    {name} = {expression}")
        self.values[kind].append(name)
        return name

    def step(self) -> None:
        if self.random.random() < 0.15:
            kind, start, change = self.random.choice(STATEMENTS)
            name = self.add(kind, self.filled(start))
            own = self.values[kind].pop()  # it is not among what changes it
            text = self.filled(change, name)
            self.values[kind].append(own)
            self.lines.append(f"    {text}")
        else:
            kind, expression = self.random.choice(EXPRESSIONS)
            self.add(kind, self.filled(expression))

    def source(self) -> str:
        for _ in range(self.random.randrange(6, 28)):
            self.step()
        kinds = self.random.choices(("ntc", "ntc", "nt1", "nc", "tc"), k=self.random.randrange(1, 4))
        total = " + ".join(f"({v} * tj.cos({v})).mean()" for v in map(self.pick, kinds))
        return f"def f({', '.join(PARAMETERS)}):\n" + "\n".join([*self.lines, f"    return {total}"]) + "\n"


def function(seed: int) -> tuple[Callable[..., Any], str]:
    """The function of a seed, and its source."""
    text = Writer(seed).source()
    return defined(text, f"<random model {seed}>", tj=tj, F=functional)["f"], text


def arguments() -> list[Any]:
    """An array for each parameter."""
    rng = np.random.default_rng(0)
    return [0.6 * rng.standard_normal(SHAPES[kind]) for kind in PARAMETERS.values()]


def check(seed: int) -> None:
    """Raises where the compiled value or gradient differs from that of the tape."""
    fn, _ = function(seed)
    leaves = [tj.tensor(a, requires_grad=True) for a in arguments()]
    value = fn(*leaves)
    expected = tj.autograd.grad(value, leaves, allow_unused=True)
    wanted = tuple(range(len(leaves)))
    found, gradients = tj.value_and_grad(fn, argnums=wanted)(*map(tj.tensor, arguments()))
    np.testing.assert_allclose(np.asarray(found), value.item(), rtol=1e-8, atol=1e-14)
    for name, a, b in zip(PARAMETERS, gradients, expected, strict=True):
        zero = np.zeros(a.shape) if b is None else b.numpy()
        np.testing.assert_allclose(np.asarray(a), zero, rtol=1e-6, atol=1e-8, err_msg=name)


def main() -> int:
    return search(
        argparse.ArgumentParser(description=__doc__),
        "random models",
        lambda seed, _: check(seed),
        lambda seed: function(seed)[1],
        refusals=(),
    )


if __name__ == "__main__":
    sys.exit(main())
