"""Items of lists that a `backward()` went through: a second one through the same item is a RuntimeError.

Beside a list of which items are read for a `backward()` lie truth values, one for each item: whether it is spent. Where
it is not known which items a `backward()` goes through (what a loop or a branch makes of some), or where two items may
have parts in common that were made in the loop that filled their list, a second one through the list is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from tracejit.ir.builder import Builder
from tracejit.ir.core import Block, Op, Value, walk
from tracejit.ir.types import BOOL, I64, ListType, ScalarType
from tracejit.transforms.derivatives.spent import UNSURE, Spending, UnsureError, gradient_of

_FLAG, _SIZE = ScalarType(BOOL), ScalarType(I64)
_ROW = ListType(_FLAG)

#: Truth values beside lists of which items may be spent; None where it is not known which are.
Rows: TypeAlias = "dict[Value, Value | None]"


def telling_items(body: Block) -> Block:
    """The block with the answers about items of lists as further operands of its `unspent` ops."""
    if not all(any(op.name in names for op in walk(body)) for names in (("unspent",), ("list_get", "list_part"))):
        return body
    b = Builder()
    _Items(body).block(b, body, {})
    return Block(body.params, tuple(b.ops), body.results, body.label)


class _Items:
    """Ops that also tell which items of lists are spent."""

    def __init__(self, body: Block) -> None:
        self.spending = Spending(body)
        freeing = [op for op in walk(body) if op.name == "gradient" and self.spending.frees(op)]
        #: For the gradients that free something, the lists of which they go through items.
        self.reads = {op: self.read(op) for op in freeing}
        self.marked_lists = {
            lst for read in self.reads.values() for lst, indices in read.items() if indices is not None
        }
        self.lengths: dict[Value, Value] = {}  #: of these, for they may be taken apart before a gradient

    def block(self, b: Builder, block: Block, rows: Rows) -> None:
        """Append the ops of a block to `b`, and note in `rows` what is spent."""
        self.measure(b, block.params)
        self.ops(b, block.ops, rows)

    def measure(self, b: Builder, values: Sequence[Value]) -> None:
        """Emit how many items lists have, where they begin."""
        for v in values:
            if v in self.marked_lists:
                self.lengths[v] = b.emit("list_len", (v,), names=("length",))[0]

    def ops(self, b: Builder, ops: Sequence[Op], rows: Rows) -> None:
        for at, op in enumerate(ops):
            b.span = op.span
            if op.name == "unspent":
                told = self.spent(b, gradient_of(op, ops[at:]), rows)
                b.append_op(Op(op.defn, (*op.operands, *told), op.attrs, op.results, (), op.span))
            elif op.name == "if":
                self.branches(b, op, rows)
            elif op.name == "loop":
                self.loop(b, op, rows)
            else:
                b.append_op(op)
                for lst, indices in self.reads.get(op, {}).items():
                    rows[lst] = self.marked(b, lst, indices, rows)
            self.measure(b, op.results)

    def read(self, gradient: Op) -> dict[Value, list[Value] | None]:
        """The lists of which a gradient goes through items, with the indices of these; None where they vary."""
        found: dict[Value, list[Value] | None] = {}
        for op, is_direct in self.spending.reads(gradient):
            lst, *index = op.operands  # behind the index those of arrays say their sizes
            known = found.setdefault(lst, [])
            if not is_direct or known is None or op.name != "list_get":
                found[lst] = None
            else:
                known.append(index[0])
        return found

    def spent(self, b: Builder, gradient: Op, rows: Rows) -> list[Value]:
        """Whether items that a gradient goes through are spent."""
        found: list[Value] = []
        for lst, indices in self.read(gradient).items():
            row = rows.get(lst)
            others = any(lst is not other and self.spending.are_related(lst, other) for other in rows)
            if others or (lst in rows and (row is None or indices is None or self.spending.may_share(lst))):
                raise UnsureError("gradient", UNSURE, gradient.span)
            if row is not None and indices is not None:
                found += [b.emit("list_get", (row, index), names=("spent",))[0] for index in indices]
        return found

    def marked(self, b: Builder, lst: Value, indices: list[Value] | None, rows: Rows) -> Value | None:
        """The row of a list of which more items are spent now."""
        if indices is None:
            return None
        made = rows[lst] if lst in rows else row_beside(b, self.lengths[lst], False, _FLAG, "spent")
        if made is None:
            return None
        for index in indices:
            made = b.emit("list_set", (made, index, b.constant(True, _FLAG)), names=("spent",))[0]
        return made

    def spent_in(self, b: Builder, op: Op, rows: Rows) -> list[Value]:
        """The lists from outside of a branch or a loop of which items are spent in it; those of which it is known which
        have their rows."""
        inside = {v for o in walk(Block((), (op,), ())) for v in (*o.results, *(p for n in o.blocks for p in n.params))}
        known: list[Value] = []
        for gradient in (o for o in walk(Block((), (op,), ())) if o in self.reads):
            for lst, indices in self.reads[gradient].items():
                if lst in inside:
                    continue
                if indices is None or (lst in rows and rows[lst] is None):
                    rows[lst] = None
                elif lst not in rows:
                    rows[lst] = row_beside(b, self.lengths[lst], False, _FLAG, "spent")
                known.append(lst)
        return [lst for lst in dict.fromkeys(known) if rows[lst] is not None]

    def branches(self, b: Builder, op: Op, rows: Rows) -> None:
        before = dict(rows)
        marks = self.spent_in(b, op, rows)
        blocks: list[Block] = []
        for block in op.blocks:
            inner, within = b.nested(), before | {lst: rows[lst] for lst in marks}
            self.block(inner, block, within)
            blocks.append(inner.block((), (*block.results, *(_known(within[lst]) for lst in marks)), block.label))
        results = tuple(Value(_ROW, "spent") for _ in marks)
        b.append_op(Op(op.defn, op.operands, op.attrs, (*op.results, *results), tuple(blocks), op.span))
        rows.update(zip(marks, results, strict=True))

    def loop(self, b: Builder, op: Op, rows: Rows) -> None:
        marks, body = self.spent_in(b, op, rows), op.block("body")
        params = tuple(Value(_ROW, "spent") for _ in marks)
        inner, within = b.nested(), {**rows, **dict(zip(marks, params, strict=True))}
        self.block(inner, body, within)
        ends = (_known(within[lst]) for lst in marks)
        block = inner.block((*body.params, *params), (*body.results, *ends), body.label)
        results = tuple(Value(_ROW, "spent") for _ in marks)
        inits = tuple(_known(rows[lst]) for lst in marks)
        b.append_op(Op(op.defn, (*op.operands, *inits), op.attrs, (*op.results, *results), (block,), op.span))
        rows.update(zip(marks, results, strict=True))


def _known(row: Value | None) -> Value:
    assert row is not None
    return row


def row_beside(b: Builder, count: Value, value: bool | int, type: ScalarType, name: str) -> Value:
    """Emit a list of one value as many times as another list has items."""
    row, go = b.emit("list_new", (), {"element": type}, names=(name,))[0], b.constant(True, _FLAG)
    inner, index, param = b.nested(), Value(_SIZE, "i"), Value(ListType(type), name)
    following = inner.emit("list_push", (param, inner.constant(value, type)))[0]
    block = inner.block((index, param), (go, following), "body")
    return b.emit("loop", (count, go, row), blocks=[block], types=(ListType(type),), names=(name,))[0]
