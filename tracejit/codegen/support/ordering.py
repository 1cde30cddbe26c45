"""Unsigned numbers in order, as LLVM text for machines that move chosen lanes of a vector together (AVX-512).

`tj_order_u32` and `tj_order_u64` take an array, as much memory again and `SLACK` elements more, and the number of
elements. They give 1; on other machines they do nothing, and give 0.

Quicksort by vectors (Bramas, "A novel hybrid quicksort algorithm vectorized using AVX-512 on Intel Skylake", 2017):
the lanes below a pivot go to the front of the array, the others to the memory beside it and back. The pivot is the
median of as many elements as a vector has; after more rounds than a good choice needs it is the middle between the
least and the greatest, so that no order of the elements takes more than as many rounds again as a number has bits.
A part of `FEW` elements is ordered in registers: the columns by Batcher's network, then runs twice as long by
bitonic merges (Knuth, The Art of Computer Programming 3, 5.3.4).
"""

from __future__ import annotations

from collections.abc import Callable

from tracejit.codegen.llvm.options import LlvmOptions

#: Elements that are ordered in registers.
FEW = 64
#: Elements of which a pivot is the median.
SAMPLE = 8
#: Elements behind the memory that a pass may write to.
SLACK = 64

#: Comparisons of Batcher's merge exchange of as many elements.
_NETWORKS = {
    4: ((0, 2), (1, 3), (0, 1), (2, 3), (1, 2)),
    8: (
        *((0, 4), (1, 5), (2, 6), (3, 7), (0, 2), (1, 3), (4, 6), (5, 7)),
        *((2, 4), (3, 5), (0, 1), (2, 3), (4, 5), (6, 7), (1, 4), (3, 6), (1, 2), (3, 4), (5, 6)),
    ),
}

#: What a program calls, by the bits of the elements.
CALLS = {bits: f"order_u{bits}" for bits in (32, 64)}

_DECLARED = """
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)
declare i64 @llvm.ctlz.i64(i64, i1)
"""


def ordering_module(bits: int, options: LlvmOptions) -> str:
    """The module of one of the functions."""
    if options.vector_bits < 512:
        return f"define i64 @tj_order_u{bits}(ptr %x, ptr %memory, i64 %n) nounwind {{\n  ret i64 0\n}}"
    return _DECLARED + _Vectors(bits).text()


class _Vectors:
    """The functions for elements of so many bits."""

    def __init__(self, bits: int) -> None:
        self.bits = bits
        self.lanes = 512 // bits
        self.rows = FEW // self.lanes
        self.type = f"<{self.lanes} x i{bits}>"
        self.mask = f"<{self.lanes} x i1>"
        self.lines: list[str] = []
        self.count = 0

    def text(self) -> str:
        """The functions and what they declare."""
        t, m, n, name = self.type, self.mask, self.lanes, f"v{self.lanes}i{self.bits}"
        s = f"<{SAMPLE} x i{self.bits}>"
        declared = [
            f"declare {t} @llvm.umin.{name}({t}, {t})",
            f"declare {t} @llvm.umax.{name}({t}, {t})",
            f"declare i{self.bits} @llvm.vector.reduce.umin.{name}({t})",
            f"declare i{self.bits} @llvm.vector.reduce.umax.{name}({t})",
            f"declare {t} @llvm.experimental.vector.compress.{name}({t}, {m}, {t})",
            f"declare {t} @llvm.masked.load.{name}.p0(ptr, i32, {m}, {t})",
            f"declare void @llvm.masked.store.{name}.p0({t}, ptr, i32, {m})",
            f"declare i{n} @llvm.ctpop.i{n}(i{n})",
            *(f"declare {s} @llvm.{f}.v{SAMPLE}i{self.bits}({s}, {s})" for f in ("umin", "umax") if n != SAMPLE),
        ]
        return "\n".join([*declared, self.few(), self.split(), self.middle(), self.sample(), self.order()])

    # -- printing ---------------------------------------------------------------------------------------------

    def let(self, text: str) -> str:
        """A new name for a value."""
        self.count += 1
        self.lines.append(f"  %t{self.count} = {text}")
        return f"%t{self.count}"

    def body(self) -> str:
        """What was printed since the last function."""
        found, self.lines = "\n".join(self.lines), []
        return found

    def both(self, a: str, b: str) -> tuple[str, str]:
        """The lesser and the greater elements of two vectors."""
        t, name = self.type, f"v{self.lanes}i{self.bits}"
        least = self.let(f"call {t} @llvm.umin.{name}({t} {a}, {t} {b})")
        if self.bits == 32:
            return least, self.let(f"call {t} @llvm.umax.{name}({t} {a}, {t} {b})")
        either = self.let(f"xor {t} {a}, {b}")  # of 64 bits, a second comparison takes longer
        return least, self.let(f"xor {t} {either}, {least}")

    def shuffled(self, a: str, b: str, source: Callable[[int], int]) -> str:
        """Lane i is that of both vectors, one behind the other, which `source(i)` says."""
        lanes = ", ".join(f"i32 {source(i)}" for i in range(self.lanes))
        return self.let(f"shufflevector {self.type} {a}, {self.type} {b}, <{self.lanes} x i32> <{lanes}>")

    def first(self, count: str) -> str:
        """The mask of the first lanes; `count` may be any number."""
        n = self.lanes
        zero = self.let(f"insertelement <{n} x i64> poison, i64 {count}, i64 0")
        all = self.let(f"shufflevector <{n} x i64> {zero}, <{n} x i64> poison, <{n} x i32> zeroinitializer")
        steps = ", ".join(f"i64 {i}" for i in range(n))
        return self.let(f"icmp sgt <{n} x i64> {all}, <{steps}>")

    def splat(self, value: str) -> str:
        """A vector of one value."""
        n, bits = self.lanes, self.bits
        one = self.let(f"insertelement {self.type} poison, i{bits} {value}, i64 0")
        return self.let(f"shufflevector {self.type} {one}, {self.type} poison, <{n} x i32> zeroinitializer")

    def loaded(self, base: str, at: str, mask: str | None = None) -> str:
        """A vector from element `at` on; lanes that a mask leaves out hold the greatest number."""
        place = self.let(f"getelementptr i{self.bits}, ptr {base}, i64 {at}")
        align = self.bits // 8
        if mask is None:
            return self.let(f"load {self.type}, ptr {place}, align {align}")
        ones = f"<{', '.join([f'i{self.bits} -1'] * self.lanes)}>"
        name = f"v{self.lanes}i{self.bits}"
        arguments = f"ptr {place}, i32 {align}, {self.mask} {mask}, {self.type} {ones}"
        return self.let(f"call {self.type} @llvm.masked.load.{name}.p0({arguments})")

    def stored(self, vector: str, base: str, at: str, mask: str | None = None) -> None:
        """Write a vector from element `at` on."""
        place = self.let(f"getelementptr i{self.bits}, ptr {base}, i64 {at}")
        align = self.bits // 8
        if mask is None:
            self.lines.append(f"  store {self.type} {vector}, ptr {place}, align {align}")
            return
        arguments = f"{self.type} {vector}, ptr {place}, i32 {align}, {self.mask} {mask}"
        self.lines.append(f"  call void @llvm.masked.store.v{self.lanes}i{self.bits}.p0({arguments})")

    # -- a few elements -----------------------------------------------------------------------------------------

    def few(self) -> str:
        """At most `FEW` elements, in registers."""
        masks: list[str] = []
        for i in range(self.rows):
            masks.append(self.first(self.let(f"sub i64 %n, {i * self.lanes}")))
        rows = [self.loaded("%x", str(i * self.lanes), mask) for i, mask in enumerate(masks)]
        for i, j in _NETWORKS[self.rows]:
            rows[i], rows[j] = self.both(rows[i], rows[j])
        rows = self.turned(rows)
        run = self.rows
        while run < FEW:
            run *= 2
            rows = self.merged(rows, run)
        for i, mask in enumerate(masks):
            self.stored(rows[i], "%x", str(i * self.lanes), mask)
        return f"define internal void @tj_few_u{self.bits}(ptr %x, i64 %n) nounwind {{\n{self.body()}\n  ret void\n}}"

    def turned(self, rows: list[str]) -> list[str]:
        """The columns, one behind the other: each bit of the row changes places with one of the lane."""
        n, many = self.lanes, self.rows
        rows = list(rows)
        bit, top = many // 2, n // 2
        while bit:
            for a in range(many):
                if not a & bit:
                    x, y = rows[a], rows[a + bit]
                    rows[a] = self.shuffled(x, y, lambda i, top=top: n + (i ^ top) if i & top else i)
                    rows[a + bit] = self.shuffled(x, y, lambda i, top=top: n + i if i & top else i ^ top)
            bit, top = bit // 2, top // 2
        if n > many:  # what is left of the column in the lane goes before the row
            rows = [self.shuffled(r, "poison", lambda i: i % many * (n // many) + i // many) for r in rows]
        return rows

    def merged(self, rows: list[str], run: int) -> list[str]:
        """Two ascending runs beside each other become one of `run` elements."""
        rows = self.compared(rows, run - 1)
        distance = run // 4
        while distance:
            rows = self.compared(rows, distance)
            distance //= 2
        return rows

    def compared(self, rows: list[str], flip: int) -> list[str]:
        """Each element i and that at i ^ flip, the lesser first."""
        far, near = flip // self.lanes, flip % self.lanes
        rows = list(rows)
        if not far:
            top = 1 << (near.bit_length() - 1)
            return [self.within(row, near, top) for row in rows]
        for a in range(self.rows):
            b = a ^ far
            if a < b:
                other = self.shuffled(rows[b], "poison", lambda i: i ^ near) if near else rows[b]
                rows[a], greatest = self.both(rows[a], other)
                rows[b] = self.shuffled(greatest, "poison", lambda i: i ^ near) if near else greatest
        return rows

    def within(self, row: str, flip: int, top: int) -> str:
        """Each lane i and lane i ^ flip of a vector, the greater in the one that has the bit `top`."""
        other = self.shuffled(row, "poison", lambda i: i ^ flip)
        if self.bits == 32:
            least, greatest = self.both(row, other)
            return self.shuffled(least, greatest, lambda i: i + self.lanes if i & top else i)
        t, m = self.type, self.mask
        turned = ", ".join(f"i1 {'true' if i & top else 'false'}" for i in range(self.lanes))
        keeps = self.let(f"xor {m} {self.let(f'icmp ult {t} {row}, {other}')}, <{turned}>")
        return self.let(f"select {m} {keeps}, {t} {row}, {t} {other}")

    # -- a pass -------------------------------------------------------------------------------------------------

    def parted(self, vector: str, valid: str | None, at: str, low: str, high: str) -> tuple[str, str]:
        """Write the lanes of a vector; gives how many are below the pivot and how many are not, then."""
        n, t = self.lanes, self.type
        below = self.let(f"icmp {at} {t} {vector}, %all")
        ones = f"<{', '.join(['i1 true'] * n)}>"
        above = self.let(f"xor {self.mask} {below}, {ones}")
        if valid is not None:
            below = self.let(f"and {self.mask} {below}, {valid}")
            above = self.let(f"and {self.mask} {above}, {valid}")
        counts: list[str] = []
        for mask, base, place in ((below, "%x", low), (above, "%memory", high)):
            name = f"v{n}i{self.bits}"
            arguments = f"{t} {vector}, {self.mask} {mask}, {t} poison"
            chosen = self.let(f"call {t} @llvm.experimental.vector.compress.{name}({arguments})")
            word = self.let(f"bitcast {self.mask} {mask} to i{n}")
            some = self.let(f"call i{n} @llvm.ctpop.i{n}(i{n} {word})")
            count = self.let(f"zext i{n} {some} to i64")
            self.stored(chosen, base, place, None if valid is None else self.first(count))
            counts.append(self.let(f"add i64 {place}, {count}"))
        return counts[0], counts[1]

    def split(self) -> str:
        """Elements below the pivot (or up to it) come first; gives how many they are."""
        return "\n".join(self._split(name, at) for name, at in (("below", "ult"), ("up_to", "ule")))

    def _split(self, name: str, at: str) -> str:
        n, bits = self.lanes, self.bits
        self.lines.append("entry:")
        one = self.let(f"insertelement {self.type} poison, i{bits} %pivot, i64 0")
        self.lines.append(
            f"  %all = shufflevector {self.type} {one}, {self.type} poison, <{n} x i32> zeroinitializer\n"
            f"  %most = and i64 %n, {-n}\n"
            "  br label %next\n"
            "next:\n"
            "  %i = phi i64 [ 0, %entry ], [ %i.next, %one ]\n"
            "  %low = phi i64 [ 0, %entry ], [ %low.next, %one ]\n"
            "  %high = phi i64 [ 0, %entry ], [ %high.next, %one ]\n"
            "  %more = icmp slt i64 %i, %most\n"
            "  br i1 %more, label %one, label %rest\n"
            "one:"
        )
        low, high = self.parted(self.loaded("%x", "%i"), None, at, "%low", "%high")
        self.lines.append(
            f"  %low.next = add i64 {low}, 0\n  %high.next = add i64 {high}, 0\n"
            f"  %i.next = add i64 %i, {n}\n  br label %next\n"
            "rest:\n"
            "  %some = icmp slt i64 %i, %n\n"
            "  br i1 %some, label %last, label %done\n"
            "last:"
        )
        valid = self.first(self.let("sub i64 %n, %i"))
        low, high = self.parted(self.loaded("%x", "%i", valid), valid, at, "%low", "%high")
        self.lines.append(
            "  br label %done\n"
            "done:\n"
            f"  %found = phi i64 [ %low, %rest ], [ {low}, %last ]\n"
            f"  %others = phi i64 [ %high, %rest ], [ {high}, %last ]\n"
            f"  %to = getelementptr i{bits}, ptr %x, i64 %found\n"
            f"  %size = mul i64 %others, {bits // 8}\n"
            "  call void @llvm.memcpy.p0.p0.i64(ptr %to, ptr %memory, i64 %size, i1 false)\n"
            "  ret i64 %found"
        )
        head = f"define internal i64 @tj_{name}_u{bits}(ptr %x, ptr %memory, i64 %n, i{bits} %pivot) nounwind"
        return f"{head} {{\n{self.body()}\n}}"

    # -- pivots -------------------------------------------------------------------------------------------------

    def sample(self) -> str:
        """The median of elements at equal distances."""
        wide, self.lanes, self.type, self.mask = self.lanes, SAMPLE, f"<{SAMPLE} x i{self.bits}>", f"<{SAMPLE} x i1>"
        bits, t = self.bits, self.type
        step = self.let(f"lshr i64 %n, {SAMPLE.bit_length() - 1}")
        vector = "poison"
        for i in range(SAMPLE):
            at = self.let(f"mul i64 {step}, {i}")
            place = self.let(f"getelementptr i{bits}, ptr %x, i64 {at}")
            element = self.let(f"load i{bits}, ptr {place}")
            vector = self.let(f"insertelement {t} {vector}, i{bits} {element}, i64 {i}")
        rows, run = [vector], 1
        while run < SAMPLE:
            run *= 2
            rows = self.merged(rows, run)
        self.lines.append(f"  %median = extractelement {t} {rows[0]}, i64 {SAMPLE // 2}\n  ret i{bits} %median")
        self.lanes, self.type, self.mask = wide, f"<{wide} x i{bits}>", f"<{wide} x i1>"
        return f"define internal i{bits} @tj_sample_u{bits}(ptr %x, i64 %n) nounwind {{\n{self.body()}\n}}"

    def middle(self) -> str:
        """The middle between the least and the greatest element, above the former where they differ."""
        n, bits, t = self.lanes, self.bits, self.type
        name = f"v{n}i{bits}"
        zeros = "zeroinitializer"
        ones = f"<{', '.join([f'i{bits} -1'] * n)}>"
        self.lines.append(
            "entry:\n  br label %next\nnext:\n"
            "  %i = phi i64 [ 0, %entry ], [ %i.next, %one ]\n"
            f"  %least = phi {t} [ {ones}, %entry ], [ %least.next, %one ]\n"
            f"  %greatest = phi {t} [ {zeros}, %entry ], [ %greatest.next, %one ]\n"
            "  %more = icmp slt i64 %i, %n\n  br i1 %more, label %one, label %done\none:"
        )
        left = self.let("sub i64 %n, %i")
        valid = self.first(left)
        vector = self.loaded("%x", "%i", valid)
        small = self.let(f"call {t} @llvm.umin.{name}({t} %least, {t} {vector})")
        kept = self.let(f"select {self.mask} {valid}, {t} {vector}, {t} zeroinitializer")
        large = self.let(f"call {t} @llvm.umax.{name}({t} %greatest, {t} {kept})")
        self.lines.append(
            f"  %least.next = select {self.mask} {valid}, {t} {small}, {t} %least\n"
            f"  %greatest.next = bitcast {t} {large} to {t}\n"
            f"  %i.next = add i64 %i, {n}\n  br label %next\ndone:\n"
            f"  %a = call i{bits} @llvm.vector.reduce.umin.{name}({t} %least)\n"
            f"  %b = call i{bits} @llvm.vector.reduce.umax.{name}({t} %greatest)\n"
            f"  %span = sub i{bits} %b, %a\n  %half = lshr i{bits} %span, 1\n"
            f"  %odd = and i{bits} %span, 1\n  %up = add i{bits} %half, %odd\n"
            f"  %found = add i{bits} %a, %up\n  ret i{bits} %found"
        )
        return f"define internal i{bits} @tj_middle_u{bits}(ptr %x, i64 %n) nounwind {{\n{self.body()}\n}}"

    # -- the whole ----------------------------------------------------------------------------------------------

    def order(self) -> str:
        """The greater part waits on a stack, so that it holds no more than a part for each bit of the size."""
        bits, few = self.bits, FEW
        return f"""
define i64 @tj_order_u{bits}(ptr %x, ptr %memory, i64 %n) nounwind {{
entry:
  %stack = alloca [64 x {{ ptr, i64, i64 }}]
  %zeros = call i64 @llvm.ctlz.i64(i64 %n, i1 false)
  %digits = sub i64 64, %zeros
  %rounds = mul i64 %digits, 2
  br label %part
part:
  %p = phi ptr [ %x, %entry ], [ %q, %again ], [ %p.old, %pop ]
  %size = phi i64 [ %n, %entry ], [ %size.next, %again ], [ %size.old, %pop ]
  %left = phi i64 [ %rounds, %entry ], [ %left.next, %again ], [ %left.old, %pop ]
  %depth = phi i64 [ 0, %entry ], [ %depth.next, %again ], [ %depth.less, %pop ]
  %is_few = icmp sle i64 %size, {few}
  br i1 %is_few, label %few, label %many
few:
  call void @tj_few_u{bits}(ptr %p, i64 %size)
  br label %finished
finished:
  %depth.here = phi i64 [ %depth, %few ], [ %depth, %alike ]
  %is_empty = icmp eq i64 %depth.here, 0
  br i1 %is_empty, label %done, label %pop
pop:
  %depth.less = sub i64 %depth.here, 1
  %from = getelementptr {{ ptr, i64, i64 }}, ptr %stack, i64 %depth.less
  %from.size = getelementptr {{ ptr, i64, i64 }}, ptr %from, i64 0, i32 1
  %from.left = getelementptr {{ ptr, i64, i64 }}, ptr %from, i64 0, i32 2
  %p.old = load ptr, ptr %from
  %size.old = load i64, ptr %from.size
  %left.old = load i64, ptr %from.left
  br label %part
many:
  %is_good = icmp sgt i64 %left, 0
  br i1 %is_good, label %sampled, label %halved
sampled:
  %pivot.sample = call i{bits} @tj_sample_u{bits}(ptr %p, i64 %size)
  br label %chosen
halved:
  %pivot.middle = call i{bits} @tj_middle_u{bits}(ptr %p, i64 %size)
  br label %chosen
chosen:
  %pivot = phi i{bits} [ %pivot.sample, %sampled ], [ %pivot.middle, %halved ]
  %low = call i64 @tj_below_u{bits}(ptr %p, ptr %memory, i64 %size, i{bits} %pivot)
  %left.next = sub i64 %left, 1
  %none = icmp eq i64 %low, 0
  br i1 %none, label %least, label %two
least:
  %same = call i64 @tj_up_to_u{bits}(ptr %p, ptr %memory, i64 %size, i{bits} %pivot)
  %others = sub i64 %size, %same
  %behind = getelementptr i{bits}, ptr %p, i64 %same
  %all_same = icmp eq i64 %others, 0
  br i1 %all_same, label %alike, label %again
alike:
  br label %finished
two:
  %high = sub i64 %size, %low
  %second = getelementptr i{bits}, ptr %p, i64 %low
  %first_larger = icmp sgt i64 %low, %high
  %larger = select i1 %first_larger, ptr %p, ptr %second
  %larger.size = select i1 %first_larger, i64 %low, i64 %high
  %smaller = select i1 %first_larger, ptr %second, ptr %p
  %smaller.size = select i1 %first_larger, i64 %high, i64 %low
  %to = getelementptr {{ ptr, i64, i64 }}, ptr %stack, i64 %depth
  %to.size = getelementptr {{ ptr, i64, i64 }}, ptr %to, i64 0, i32 1
  %to.left = getelementptr {{ ptr, i64, i64 }}, ptr %to, i64 0, i32 2
  store ptr %larger, ptr %to
  store i64 %larger.size, ptr %to.size
  store i64 %left.next, ptr %to.left
  %depth.more = add i64 %depth, 1
  br label %again
again:
  %q = phi ptr [ %behind, %least ], [ %smaller, %two ]
  %size.next = phi i64 [ %others, %least ], [ %smaller.size, %two ]
  %depth.next = phi i64 [ %depth, %least ], [ %depth.more, %two ]
  br label %part
done:
  ret i64 1
}}"""
