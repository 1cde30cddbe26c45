"""Small random structured programs: nests of `if` and `loop` over scalars, arrays, elements, slices and lists.

`Maker(rich=True)` uses more ops: reductions, cumulative ops, sorting, selection, products, writes that are not
recorded.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tracejit.ir.builder import Builder, Handle
from tracejit.ir.core import Block, Graph, Value
from tracejit.ir.types import BOOL, F64, I64, ListType, ScalarType, TensorType

NUMBER = ScalarType(F64)
LENGTH = 4


@dataclass
class Scope:
    """The handles that may be read, by kind; nested blocks see those of the blocks around them."""

    numbers: list[Handle]
    arrays: list[Handle]
    indices: list[Handle] = field(default_factory=list[Handle])

    def nested(self) -> Scope:
        return Scope(list(self.numbers), list(self.arrays), list(self.indices))


class Maker:
    """Makes one program from a seed."""

    def __init__(self, seed: int, *, named_size: bool, rich: bool = False) -> None:
        self.rng = np.random.default_rng(seed)
        self.dim: Any = "n" if named_size else LENGTH
        self.rich = rich

    def graph(self) -> Graph:
        """A graph of two numbers and two arrays; its first result is one number, the second an array."""
        array = TensorType(F64, (self.dim,))
        params = [Value(NUMBER, "x"), Value(NUMBER, "y"), Value(array, "u"), Value(array, "v")]
        b = Builder()
        handles = [b.wrap(p) for p in params]
        scope = Scope(handles[:2], handles[2:], [b.wrap(b.constant(k, ScalarType(I64))) for k in range(LENGTH)])
        self.statements(b, scope, depth=0, count=6)
        parts = [b.fetch(b.sum(a, axes=(0,)), ()) for a in scope.arrays[-2:]] + scope.numbers[-3:]
        total = parts[0]
        for part in parts[1:]:
            total = b.add(total, part)
        return Graph("random", b.block(params, (b.sin(total).value, scope.arrays[-1].value)))

    # -- pieces --------------------------------------------------------------------------------------------------

    def pick(self, from_list: list[Any]) -> Any:
        """One of the list, later ones more likely."""
        back = min(int(self.rng.geometric(0.35)), len(from_list))
        return from_list[-back]

    def statements(self, b: Builder, scope: Scope, depth: int, count: int) -> None:
        kinds = ["number", "array", "element", "write", "slice", "stretch"]
        if self.rich:
            kinds += ["reduction", "rearrangement", "selection", "product", "places", "unrecorded"]
        if depth < 3:
            kinds += ["if", "if", "loop", "loop", "while", "stack"]
        for _ in range(count):
            getattr(self, f"make_{self.rng.choice(kinds)}")(b, scope, depth)

    def make_number(self, b: Builder, scope: Scope, depth: int) -> None:
        x, y = self.pick(scope.numbers), self.pick(scope.numbers)
        made = [
            lambda: b.sin(b.mul(x, y)),
            lambda: b.add(b.tanh(x), b.mul(y, 0.5)),
            lambda: b.mul(b.cos(x), y),
            lambda: b.select(b.gt(x, y), b.mul(x, y), b.sin(y)),
        ]
        scope.numbers.append(made[self.rng.integers(len(made))]())

    def make_array(self, b: Builder, scope: Scope, depth: int) -> None:
        u, v = self.pick(scope.arrays), self.pick(scope.arrays)
        made = [
            lambda: b.sin(b.mul(u, v)),
            lambda: b.tanh(b.add(u, v)),
            lambda: b.mul(u, self.pick(scope.numbers)),
            lambda: b.mul(b.flip(u, axes=(0,)), v),
        ]
        scope.arrays.append(made[self.rng.integers(len(made))]())

    def make_element(self, b: Builder, scope: Scope, depth: int) -> None:
        scope.numbers.append(b.fetch(self.pick(scope.arrays), (self.pick(scope.indices),)))

    def make_write(self, b: Builder, scope: Scope, depth: int) -> None:
        u, i = self.pick(scope.arrays), self.pick(scope.indices)
        scope.arrays.append(b.index_update(u, self.pick(scope.numbers), (i,)))

    def make_slice(self, b: Builder, scope: Scope, depth: int) -> None:
        u = self.pick(scope.arrays)
        part = b.vread(u, 1, (1,), (2,))
        scope.arrays.append(b.vwrite(u, b.sin(b.mul(part, self.pick(scope.numbers))), 2, (-1,)))

    def make_stretch(self, b: Builder, scope: Scope, depth: int) -> None:
        scope.arrays.append(b.broadcast(self.pick(scope.numbers), b.shape(b.wrap(scope.arrays[0].value))))

    def make_reduction(self, b: Builder, scope: Scope, depth: int) -> None:
        u = self.pick(scope.arrays)
        found = self.rng.choice(["sum", "max", "min", "prod"])
        scope.numbers.append(b.tanh(b.fetch(getattr(b, found)(u, axes=(0,)), ())))

    def make_rearrangement(self, b: Builder, scope: Scope, depth: int) -> None:
        u = self.pick(scope.arrays)
        made = [
            lambda: b.cumsum(b.sin(u), axis=0),
            lambda: b.cumprod(b.cos(u), axis=0),
            lambda: b.gather(u, b.argsort(u, axis=0), axis=0),
        ]
        scope.arrays.append(made[self.rng.integers(len(made))]())

    def make_selection(self, b: Builder, scope: Scope, depth: int) -> None:
        u, v = self.pick(scope.arrays), self.pick(scope.arrays)
        made = [
            lambda: b.select(b.gt(u, v), b.mul(u, v), b.sin(v)),
            lambda: b.maximum(u, v),
            lambda: b.select(b.gt(u, b.mul(u, 0.0)), b.log(b.abs(u)), b.mul(v, v)),
        ]
        scope.arrays.append(b.tanh(made[self.rng.integers(len(made))]()))

    def make_product(self, b: Builder, scope: Scope, depth: int) -> None:
        u, v = self.pick(scope.arrays), self.pick(scope.arrays)
        size = b.shape(u)[0]
        column, row = b.reshape(u, (size, 1)), b.reshape(v, (1, size))
        outer = b.matmul(column, row)
        found = b.matmul(outer, column) if self.rng.integers(2) else b.sum(b.sin(outer), axes=(0,))
        scope.arrays.append(b.tanh(b.reshape(found, (size,))))

    def make_places(self, b: Builder, scope: Scope, depth: int) -> None:
        """Read or add at places that may be the same."""
        u, v = self.pick(scope.arrays), self.pick(scope.arrays)
        places = b.cast(b.mul(b.abs(b.sin(v)), LENGTH - 0.1), dtype=I64)
        made = [
            lambda: b.gather(u, places, axis=0),
            lambda: b.scatter_add(u, places, b.sin(v), axis=0),
            lambda: b.scatter_set(u, places, b.sin(v), axis=0),
        ]
        scope.arrays.append(made[self.rng.integers(len(made))]())

    def make_unrecorded(self, b: Builder, scope: Scope, depth: int) -> None:
        """A write under `no_grad` that leaves the content as it was, so that differences agree with the derivative."""
        u, i = self.pick(scope.arrays), self.pick(scope.indices)
        scope.arrays.append(b.unrecorded(b.index_update(u, b.fetch(u, (i,)), (i,)), u))

    def make_if(self, b: Builder, scope: Scope, depth: int) -> None:
        cond = b.gt(self.pick(scope.numbers), b.mul(self.pick(scope.numbers), 0.5))
        blocks: list[Block] = []
        for label in ("then", "else"):
            inner, inside = b.nested(), scope.nested()
            self.statements(inner, inside, depth + 1, int(self.rng.integers(1, 4)))
            results = [self.pick(inside.numbers), self.pick(inside.arrays), self.pick(inside.numbers)]
            blocks.append(inner.block((), [r.value for r in results], label))
        self.enter(b, scope, b.emit("if", (cond.value,), blocks=blocks, types=[r.type for r in blocks[0].results]))

    def make_loop(self, b: Builder, scope: Scope, depth: int) -> None:
        self.loop(b, scope, depth, b.wrap(b.constant(int(self.rng.integers(0, LENGTH)), ScalarType(I64))), False)

    def make_while(self, b: Builder, scope: Scope, depth: int) -> None:
        self.loop(b, scope, depth, b.wrap(b.constant(LENGTH, ScalarType(I64))), True)

    def loop(self, b: Builder, scope: Scope, depth: int, limit: Handle, stops: bool) -> None:
        inits = [self.pick(scope.numbers), self.pick(scope.arrays), self.pick(scope.numbers)]
        index = Value(ScalarType(I64), "i")
        carried = [Value(h.type, "c") for h in inits]
        inner, inside = b.nested(), scope.nested()
        inside.indices.append(inner.wrap(index))
        self.sort_in(inner, inside, carried)
        self.statements(inner, inside, depth + 1, int(self.rng.integers(1, 4)))
        results = [self.pick(inside.numbers), self.pick(inside.arrays), self.pick(inside.numbers)]
        go = b.constant(True, ScalarType(BOOL))
        following = inner.lt(results[0], inner.add(self.pick(inside.numbers), 0.4)).value if stops else go
        body = inner.block((index, *carried), (following, *(r.value for r in results)), "body")
        operands = (limit.value, go, *(h.value for h in inits))
        self.enter(b, scope, b.emit("loop", operands, blocks=[body], types=[c.type for c in carried]))

    def make_stack(self, b: Builder, scope: Scope, depth: int) -> None:
        """Push two values and pop one, or read one of them."""
        x, u = self.pick(scope.numbers), self.pick(scope.numbers)
        stack = b.list_push(b.list_push(b.list_new(element=NUMBER), x), u)
        if self.rng.integers(2):
            scope.numbers.append(b.mul(b.list_get(stack, 0, ()), x))
        rest, last = b.list_pop(stack, ())
        scope.numbers += [b.mul(last, u), b.list_pop0(rest, ())[1]]

    def enter(self, b: Builder, scope: Scope, values: Any) -> None:
        self.sort_in(b, scope, values)

    def sort_in(self, b: Builder, scope: Scope, values: Any) -> None:
        for value in values:
            kind = value.type
            assert not isinstance(kind, ListType)
            (scope.numbers if isinstance(kind, ScalarType) else scope.arrays).append(b.wrap(value))
