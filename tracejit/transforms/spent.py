"""A second `backward()` through the same values, without `retain_graph`, is a RuntimeError, as in eager code.

What a `gradient` goes through are the values that vary with its inputs and matter to its output. `unspent` stands
before one with flags that say which others have not run; those count of others that go through one value with it.
"""

from __future__ import annotations

from collections.abc import Iterator

from tracejit.ir.builder import Builder
from tracejit.ir.core import Block, Op, Value, walk
from tracejit.ir.opdef import Pointwise
from tracejit.ir.reached import all_of
from tracejit.ops.control import gradient_parts
from tracejit.transforms.activity import active


def without_unspent(body: Block) -> Block:
    """The block with the answers in the place of its `unspent` ops."""
    if not any(op.name == "unspent" for op in walk(body)):
        return body
    return _answered(body, dict(_passed(body, [], 0)))


def _passed(block: Block, before: list[tuple[Op, int]], depth: int) -> Iterator[tuple[Op, dict[Value, int]]]:
    """For each gradient of a site the values it goes through, with the number of loops around each."""
    here = list(before)
    for op in block.ops:
        if op.name == "gradient" and op.attrs.get("site", -1) >= 0:
            ys, _, xs = gradient_parts(op)
            found = active([o for o, _ in here], xs, ys)
            makers = [(inner, d) for o, d in here for inner in (o, *(i for b in o.blocks for i in walk(b)))]
            yield op, {r: d for o, d in makers if _is_node(o) for r in o.results if r in found}
        for nested in op.blocks:
            yield from _passed(nested, here, depth + (op.name == "loop"))
        here.append((op, depth))


def _is_node(op: Op) -> bool:
    """Whether an op is a call on the tape of eager code that keeps something: no reading of a view, and no branch or
    loop, of which the ops inside count."""
    lower = op.defn.lower
    is_view = isinstance(lower, Pointwise) and lower.view != ""
    return not is_view and op.defn.stands_for is None and op.name not in ("if", "loop")


def _answered(block: Block, passed: dict[Op, dict[Value, int]]) -> Block:
    ops: list[Op] = []
    for at, op in enumerate(block.ops):
        if op.name == "unspent":
            attrs, b = op.attrs, Builder(op.span)
            behind = walk(Block((), block.ops[at:], ()))
            own = next((passed[g] for g in behind if g in passed and g.attrs["site"] == attrs["site"]), {})
            flags = [
                flag
                for flag, site, depth in zip(op.operands, attrs["sites"], attrs["depths"], strict=True)
                if any(
                    own.get(v) == d == depth
                    for g, of in passed.items()
                    if g.attrs["site"] == site
                    for v, d in of.items()
                )
            ]
            all_of(b, flags, op.results[0])
            ops += b.ops
            continue
        if op.blocks:
            nested = tuple(_answered(n, passed) for n in op.blocks)
            op = Op(op.defn, op.operands, op.attrs, op.results, nested, op.span)
        ops.append(op)
    return Block(block.params, tuple(ops), block.results, block.label)
