"""Squares of vectors that turn in registers, as LLVM text: how matrices whose rows lie across a panel or block are
packed for `panels`."""

from __future__ import annotations

from tracejit.codegen.llvm.options import LlvmOptions
from tracejit.codegen.products.direct import COMMON, Shape
from tracejit.codegen.products.pieces import TYPES


def square_text(type: str, lanes: int, prefix: str) -> tuple[list[str], str]:
    """Lines that transpose the vectors `PREFIX0.0`, `PREFIX0.1`, ... of `lanes`, and what comes before the numbers of
    the columns.

    Interleaving the first half of the rows with the second doubles the length of the pieces of columns; after as
    many rounds as doublings, every vector is a column.
    """
    vector, half, lines = f"<{lanes} x {type}>", lanes // 2, []
    low, high = (", ".join(f"i32 {start + i // 2 + lanes * (i % 2)}" for i in range(lanes)) for start in (0, half))
    rounds = lanes.bit_length() - 1
    for r in range(rounds):
        for i in range(half):
            pair = f"{vector} {prefix}{r}.{i}, {vector} {prefix}{r}.{i + half}"
            lines += [
                f"  {prefix}{r + 1}.{2 * i} = shufflevector {pair}, <{lanes} x i32> <{low}>",
                f"  {prefix}{r + 1}.{2 * i + 1} = shufflevector {pair}, <{lanes} x i32> <{high}>",
            ]
    return lines, f"{prefix}{rounds}."


def turn_text(name: str, options: LlvmOptions) -> str:
    """`@tj_turn_T(from, step, last, to)`: a square of vectors at `from`, `step` apart, transposed to `to`, a panel's
    width apart. The vectors after the `last` are the last one again."""
    type, size = TYPES[name]
    shape = Shape.of(name, options)
    lanes, width = shape.lanes, shape.widths[0]
    vector = f"<{lanes} x {type}>"
    lines = [
        f"  %l{i} = call i64 @llvm.smin.i64(i64 %last, i64 {i})\n  %o{i} = mul i64 %step, %l{i}\n"
        f"  %f{i} = getelementptr {type}, ptr %from, i64 %o{i}\n"
        f"  %v0.{i} = load {vector}, ptr %f{i}, align {size}"
        for i in range(lanes)
    ]
    turned, column = square_text(type, lanes, "%v")
    lines += turned
    lines += [
        f"  %t{i} = getelementptr {type}, ptr %to, i64 {i * width}\n"
        f"  store {vector} {column}{i}, ptr %t{i}, align {size}"
        for i in range(lanes)
    ]
    body = "\n".join(lines)
    return f"""{COMMON}
define void @tj_turn_{name}(ptr %from, i64 %step, i64 %last, ptr %to) nounwind {{
{body}
  ret void
}}"""
