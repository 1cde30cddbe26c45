"""Random chains of row statistics and products: kernels with several loops over a row, whose results take the memory
of what they read last, mean the same fused and lowered as op by op."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tracejit.codegen.evaluate import evaluate
from tracejit.codegen.lowering import schedule
from tracejit.codegen.lowering import spills as lower_spills
from tracejit.codegen.lowering.entry import lower
from tracejit.ir import interpreter
from tracejit.ir.parser import parse
from tracejit.ir.verifier import verify
from tracejit.nn import functional as F
from tracejit.transforms import pipeline

#: The second is beyond short rows, for which there may be code of their own.
ROWS, COLUMNS = 3, (4, schedule.SHORT_ROW + 1)
SHAPES = {"whole": "f64[n, m]", "row": "f64[n]", "column": "f64[m]"}


class Writer:
    """Writes a graph of elementwise ops, sums, broadcasts, and products, which end a kernel."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.values = {"whole": ["%x", "%y"], "row": ["%r"], "column": ["%c"]}
        self.lines: list[str] = []

    def add(self, kind: str, line: str) -> None:
        name = f"%v{len(self.lines)}"
        self.lines.append(f"  {name} = {line} : {SHAPES[kind]}")
        self.values[kind].append(name)

    def pick(self, kind: str) -> str:
        """A value of that kind: a recent one, or one from before the last products, which only now is read last."""
        values = self.values[kind]
        return self.random.choice(values[-4:] if self.random.random() < 0.7 else values[-12:-4] or values)

    def spread(self) -> None:
        """The last statistic of each row, for all elements of the row."""
        self.lines.append(f"  %u{len(self.lines)} = reshape({self.values['row'][-1]}, %n, %one) : f64[n, 1]")
        self.add("whole", f"broadcast(%u{len(self.lines) - 1}, %n, %m)")

    def step(self) -> None:
        match self.random.randrange(8):
            case 0 | 1:
                kind = self.random.choice(("whole", "row", "row"))
                op = self.random.choice(("add", "sub", "minimum"))  # a product could grow without bound
                self.add(kind, f"{op}({self.pick(kind)}, {self.pick(kind)})")
            case 2:
                kind = self.random.choice(("whole", "row", "row"))
                self.add(kind, f"{self.random.choice(('tanh', 'neg', 'sin'))}({self.pick(kind)})")
            case 3 | 4 | 5 | 6:
                self.add("row", f"sum({self.values['whole'][-1]}) {{axes = (1,)}}")
                self.add("row", f"tanh({self.values['row'][-1]})")
                self.add("row", f"mul({self.values['row'][-1]}, {self.pick('row')})")
                self.spread()
                self.add("whole", f"sub({self.values['whole'][-1]}, {self.pick('whole')})")
            case _:
                self.add("column", f"sum({self.pick('whole')}) {{axes = (0,)}}")
                self.add("whole", f"broadcast({self.pick('column')}, %n, %m)")

    def graph(self) -> str:
        for _ in range(self.random.randrange(3, 7)):
            for _ in range(self.random.randrange(3, 9)):
                self.step()
            self.add("whole", f"matmul({self.pick('whole')}, %w)")
        kinds = [self.random.choice(("whole", "row")) for _ in range(self.random.randrange(1, 3))]
        return self.text([self.pick(kind) for kind in kinds])

    def text(self, results: list[str]) -> str:
        head = "graph @rows(%x: f64[n, m], %y: f64[n, m], %r: f64[n], %c: f64[m], %w: f64[m, m]) on cpu {"
        sizes = (
            "  %n = dim(%x) {axis = 0} : i64\n  %m = dim(%x) {axis = 1} : i64\n"
            "  %one = const() {value = 1, type = !i64} : i64"
        )
        return "\n".join((head, sizes, *self.lines, f"  yield {', '.join(results)}", "}"))


class Chain(Writer):
    """Writes one kernel: rows are folded several times, and each time more of the same chain is needed. Every second
    one folds once and calls no functions: such a kernel has code of its own for short rows."""

    def graph(self) -> str:
        is_short = self.random.random() < 0.5
        for _ in range(1 if is_short else self.random.randrange(2, 6)):
            for _ in range(self.random.randrange(1, 7)):
                binary = self.random.random() < 0.6
                op = self.random.choice(("add", "sub", "maximum") if binary else ("tanh", "sin", "neg"))
                op = "neg" if is_short and not binary else op
                self.add("whole", f"{op}({', '.join(self.pick('whole') for _ in range(1 + binary))})")
            self.add("row", f"sum({self.pick('whole')}) {{axes = (1,)}}")
            self.add("row", f"{'neg' if is_short else 'tanh'}({self.values['row'][-1]})")
            self.spread()
            self.add("whole", f"mul({self.values['whole'][-1]}, {self.pick('whole')})")
        return self.text([self.values["whole"][-1], self.pick(self.random.choice(("whole", "row")))])


def inputs(columns: int) -> list[Any]:
    rng = np.random.default_rng(0)
    shapes = ((ROWS, columns), (ROWS, columns), (ROWS,), (columns,), (columns, columns))
    return [rng.uniform(-1, 1, s) for s in shapes]


def check(writer: Writer) -> None:
    source = parse(writer.graph())
    verify(source)
    graph = pipeline.run(source, (*pipeline.LEVEL1, *pipeline.LEVEL2), verify=True)
    program = lower(graph)
    for columns in COLUMNS:
        given = inputs(columns)
        for found, expected in zip(evaluate(program, given), interpreter.run(source, given), strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("seed", range(150))
def test_rows_keep_their_meaning(seed: int) -> None:
    check(Writer(seed))


@pytest.mark.parametrize("seed", range(60))
def test_what_a_kernel_keeps_of_a_chain_is_read_before_it_is_replaced(seed: int) -> None:
    check(Chain(seed))


@pytest.mark.parametrize("columns", [5, 40])
def test_short_and_long_rows_keep_their_values_each(columns: int) -> None:
    """A nest that is printed for short and for long rows makes and keeps its values in both."""

    def centred(x: Any, a: Any, b: Any) -> Any:
        t = x * a + x * b * x - x / a + a * b * x
        return t - t.sum(axis=1, keepdims=True)

    x, a, b = (np.random.default_rng(seed).uniform(1, 2, (3, columns)) for seed in range(3))
    np.testing.assert_allclose(tj.script(centred)(x, a, b), centred(x, a, b), rtol=1e-12)


def test_values_of_a_chain_take_the_same_place_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """The gradient of layer norm makes each part of its chain once per row, and keeps it where the result will be."""
    found: list[dict[Any, lower_spills.Spill]] = []
    find = lower_spills.find
    monkeypatch.setattr(lower_spills, "find", lambda kernel: found.append(find(kernel)) or found[-1])
    x, scale, shift = (tj.tensor(np.random.default_rng(0).normal(size=s)) for s in ((6, 40), (40,), (40,)))

    def loss(x: Any, scale: Any, shift: Any) -> Any:
        return (F.layer_norm(x, (x.shape[1],), scale, shift) ** 2).sum()

    tj.check(loss, x, scale, shift)
    tj.grad(loss)(x, scale, shift)
    stages = [[(spill.stage, spill.holder) for spill in spills.values()] for spills in found if len(spills) > 1]
    assert any(a[0] < b[0] and a[1] is b[1] for a, b in stages)
