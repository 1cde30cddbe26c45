"""Squares of vectors that turn in registers, as LLVM text: how matrices whose rows lie across a panel or block are
packed for `panels`."""

from __future__ import annotations

from collections.abc import Callable

from tracejit.codegen.llvm.options import LlvmOptions
from tracejit.codegen.products.pieces import COMMON, TYPES
from tracejit.codegen.products.tiles import Shape

#: Bytes of the pieces of registers within which processors move elements at once.
PIECE_BYTES = 16


def square_text(name: str, lanes: int, line: Callable[[int], str], put: Callable[[int, str], str]) -> str:
    """Transposes a square of `lanes` rows: `line(i)` is the register with the address of row i, `put(i, vector)` stores
    the vector that is column i.

    A vector is put together from a piece of each row that belongs to the same place of a piece of a column, straight
    from memory; then only pieces turn, each for itself. Interleaving the first half of them with the second doubles the
    length of the parts of columns; after as many rounds as doublings, every piece is one of a column.
    """
    type, size = TYPES[name]
    short = PIECE_BYTES // size
    vector, half, rounds = f"<{lanes} x {type}>", short // 2, short.bit_length() - 1
    low, high = (
        ", ".join(f"i32 {i // short * short + start + i % short // 2 + lanes * (i % 2)}" for i in range(lanes))
        for start in (0, half)
    )
    lines: list[str] = []
    for q in range(lanes // short):
        for r in range(short):
            lines += _joined(name, [line(i) for i in range(r, lanes, short)], q * short, f"%v{q}.0.{r}")
        for level in range(rounds):
            for i in range(half):
                pair = f"{vector} %v{q}.{level}.{i}, {vector} %v{q}.{level}.{i + half}"
                lines += [
                    f"  %v{q}.{level + 1}.{2 * i + odd} = shufflevector {pair}, <{lanes} x i32> <{places}>"
                    for odd, places in enumerate((low, high))
                ]
        lines += [put(q * short + i, f"{vector} %v{q}.{rounds}.{i}") for i in range(short)]
    return "\n".join(lines)


def _joined(name: str, rows: list[str], at: int, made: str) -> list[str]:
    """The pieces of rows from element `at` on, in one vector."""
    type, size = TYPES[name]
    width, lines = PIECE_BYTES // size, list[str]()
    parts = [f"{made}.{i}" if len(rows) > 1 else made for i in range(len(rows))]
    for row, part in zip(rows, parts, strict=True):
        lines += [
            f"  {part}.from = getelementptr {type}, ptr {row}, i64 {at}",
            f"  {part} = load <{width} x {type}>, ptr {part}.from, align {size}",
        ]
    while len(parts) > 1:
        joined = [f"{part}.both" if len(parts) > 2 else made for part in parts[::2]]
        places = ", ".join(f"i32 {i}" for i in range(2 * width))
        lines += [
            f"  {both} = shufflevector <{width} x {type}> {first}, <{width} x {type}> {second}, "
            f"<{2 * width} x i32> <{places}>"
            for both, first, second in zip(joined, parts[::2], parts[1::2], strict=True)
        ]
        parts, width = joined, 2 * width
    return lines


def turn_text(name: str, options: LlvmOptions) -> str:
    """`@tj_turn_T(from, step, last, k, to)`: k elements of as many rows as a register has lanes, `step` apart from
    `from` on, transposed to `to`, a panel's width apart. There is at least a square; the last one reaches back. Rows
    after the `last` are the last one again."""
    type, size = TYPES[name]
    shape = Shape.of(name, options)
    lanes, width = shape.lanes, shape.widths[0]
    rows = "\n".join(
        f"  %l{i} = call i64 @llvm.smin.i64(i64 %last, i64 {i})\n  %o{i} = mul i64 %step, %l{i}\n"
        f"  %f{i} = getelementptr {type}, ptr %from, i64 %o{i}"
        for i in range(lanes)
    )
    here = "\n".join(f"  %h{i} = getelementptr {type}, ptr %f{i}, i64 %at" for i in range(lanes))

    def put(i: int, column: str) -> str:
        place = f"  %t{i} = getelementptr {type}, ptr %put, i64 {i * width}"
        return f"{place}\n  store {column}, ptr %t{i}, align {size}"

    return f"""{COMMON}
define void @tj_turn_{name}(ptr %from, i64 %step, i64 %last, i64 %k, ptr %to) nounwind {{
start:
{rows}
  %final = sub i64 %k, {lanes}
  br label %square
square:
  %p = phi i64 [ 0, %start ], [ %p1, %square ]
  %at = call i64 @llvm.smin.i64(i64 %p, i64 %final)
  %skip = mul i64 %at, {width}
  %put = getelementptr {type}, ptr %to, i64 %skip
{here}
{square_text(name, lanes, lambda i: f"%h{i}", put)}
  %p1 = add i64 %p, {lanes}
  %more = icmp slt i64 %p1, %k
  br i1 %more, label %square, label %done
done:
  ret void
}}"""
