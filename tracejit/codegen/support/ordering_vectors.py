"""Vectors of signed numbers whose chosen lanes move together, as LLVM text: by one instruction of AVX-512, or, with
AVX2, by a permutation that a table has for each choice.

`Vectors` prints operations; what is longer than a few of them is a function: `few` orders so many numbers in registers,
the columns by Batcher's network, then runs twice as long by bitonic merges (Knuth, The Art of Computer Programming 3,
5.3.4).
"""

from __future__ import annotations

from collections.abc import Callable

#: Comparisons of Batcher's merge exchange of as many elements.
_NETWORKS = {
    4: ((0, 2), (1, 3), (0, 1), (2, 3), (1, 2)),
    8: (
        *((0, 4), (1, 5), (2, 6), (3, 7), (0, 2), (1, 3), (4, 6), (5, 7)),
        *((2, 4), (3, 5), (0, 1), (2, 3), (4, 5), (6, 7), (1, 4), (3, 6), (1, 2), (3, 4), (5, 6)),
    ),
}


class Vectors:
    """Operations on vectors of `width` bits of signed numbers of `bits` bits. Memory may be read, and written with what
    was read there, up to a vector behind its elements."""

    def __init__(self, bits: int, width: int) -> None:
        self.bits = bits
        self.lanes = width // bits
        self.has_masks = width == 512
        self.rows = 2 * min(64 // self.lanes, 8)
        #: as many elements as so many vectors hold are ordered in registers
        self.few = self.rows * self.lanes
        self.type = f"<{self.lanes} x i{bits}>"
        self.mask = f"<{self.lanes} x i1>"
        self.name = f"v{self.lanes}i{bits}"
        self.least, self.greatest = -1 << (bits - 1), (1 << (bits - 1)) - 1
        self.lines: list[str] = []
        self.count = 0

    def declared(self) -> list[str]:
        """What the operations use."""
        t, m, name, bits = self.type, self.mask, self.name, self.bits
        found = [
            f"declare {t} @llvm.smin.{name}({t}, {t})",
            f"declare {t} @llvm.smax.{name}({t}, {t})",
            f"declare i{bits} @llvm.vector.reduce.smin.{name}({t})",
            f"declare i{bits} @llvm.vector.reduce.smax.{name}({t})",
            f"declare i{bits} @llvm.vector.reduce.or.{name}({t})",
            "declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)",
            "declare i64 @llvm.ctlz.i64(i64, i1)",
            "declare i64 @llvm.cttz.i64(i64, i1)",
            "declare i64 @llvm.ctpop.i64(i64)",
            "declare i64 @llvm.smin.i64(i64, i64)",
            "declare i64 @llvm.smax.i64(i64, i64)",
            "declare i64 @llvm.umin.i64(i64, i64)",
        ]
        if self.has_masks:
            return [
                *found,
                f"declare {t} @llvm.experimental.vector.compress.{name}({t}, {m}, {t})",
                f"declare {t} @llvm.masked.load.{name}.p0(ptr, i32, {m}, {t})",
                f"declare void @llvm.masked.store.{name}.p0({t}, ptr, i32, {m})",
            ]
        return [*found, "declare <8 x i32> @llvm.x86.avx2.permd(<8 x i32>, <8 x i32>)", self._table()]

    def _table(self) -> str:
        """For each choice of lanes the permutation that brings them to the front."""
        words = self.bits // 32
        rows: list[str] = []
        for choice in range(1 << self.lanes):
            order = sorted(range(self.lanes), key=lambda i: not choice >> i & 1)
            rows.append("<8 x i8> <" + ", ".join(f"i8 {i * words + w}" for i in order for w in range(words)) + ">")
        return f"@tj_chosen_{self.bits} = internal constant [{len(rows)} x <8 x i8>] [{', '.join(rows)}]"

    # -- printing ---------------------------------------------------------------------------------------------

    def let(self, text: str) -> str:
        """A new name for a value."""
        self.count += 1
        self.lines.append(f"  %t{self.count} = {text}")
        return f"%t{self.count}"

    def say(self, text: str) -> None:
        """Lines as they are."""
        self.lines.append(text)

    def function(self, head: str) -> str:
        """A function of what was printed since the last one."""
        found, self.lines = "\n".join(self.lines), []
        return f"define {head} nounwind {{\n{found}\n}}"

    # -- operations -------------------------------------------------------------------------------------------

    def both(self, a: str, b: str) -> tuple[str, str]:
        """The lesser and the greater elements of two vectors."""
        t = self.type
        if self.bits == 64 and not self.has_masks:
            less = self.let(f"icmp slt {t} {a}, {b}")
            return self.select(less, a, b), self.select(less, b, a)
        least = self.let(f"call {t} @llvm.smin.{self.name}({t} {a}, {t} {b})")
        if self.bits == 32:
            return least, self.let(f"call {t} @llvm.smax.{self.name}({t} {a}, {t} {b})")
        either = self.let(f"xor {t} {a}, {b}")  # of 64 bits, a second comparison takes longer
        return least, self.let(f"xor {t} {either}, {least}")

    def select(self, mask: str, a: str, b: str) -> str:
        """Lanes of a where the mask holds, else of b."""
        return self.let(f"select {self.mask} {mask}, {self.type} {a}, {self.type} {b}")

    def shuffled(self, a: str, b: str, source: Callable[[int], int]) -> str:
        """Lane i is that of both vectors, one behind the other, which `source(i)` says."""
        lanes = ", ".join(f"i32 {source(i)}" for i in range(self.lanes))
        return self.let(f"shufflevector {self.type} {a}, {self.type} {b}, <{self.lanes} x i32> <{lanes}>")

    def all(self, value: str | int) -> str:
        """A vector of one value."""
        if isinstance(value, int):
            return f"<{', '.join([f'i{self.bits} {value}'] * self.lanes)}>"
        one = self.let(f"insertelement {self.type} poison, i{self.bits} {value}, i64 0")
        return self.let(f"shufflevector {self.type} {one}, {self.type} poison, <{self.lanes} x i32> zeroinitializer")

    def steps(self, start: int = 0) -> str:
        """The number of each lane, from `start` on."""
        return f"<{', '.join(f'i{self.bits} {start + i}' for i in range(self.lanes))}>"

    def first(self, count: str) -> str:
        """The mask of the first lanes; `count` may be any number that is not negative."""
        return self.let(f"icmp sgt {self.type} {self.counted(count)}, {self.steps()}")

    def counted(self, count: str) -> str:
        """A number in all lanes, or the greatest one that they hold."""
        if self.bits == 32:
            most = self.let(f"call i64 @llvm.umin.i64(i64 {count}, i64 {self.greatest})")
            count = self.let(f"trunc i64 {most} to i32")
        return self.all(count)

    def place(self, base: str, at: str) -> str:
        """Where element `at` is."""
        return self.let(f"getelementptr i{self.bits}, ptr {base}, i64 {at}")

    def loaded(self, base: str, at: str, mask: str | None = None) -> str:
        """A vector from element `at` on; lanes that a mask leaves out hold the greatest number."""
        place, align = self.place(base, at), self.bits // 8
        if mask is not None and self.has_masks:
            arguments = f"ptr {place}, i32 {align}, {self.mask} {mask}, {self.type} {self.all(self.greatest)}"
            return self.let(f"call {self.type} @llvm.masked.load.{self.name}.p0({arguments})")
        vector = self.let(f"load {self.type}, ptr {place}, align {align}")
        return vector if mask is None else self.select(mask, vector, self.all(self.greatest))

    def stored(self, vector: str, base: str, at: str, mask: str | None = None) -> None:
        """Write a vector from element `at` on; lanes that a mask leaves out keep what they have."""
        place, align = self.place(base, at), self.bits // 8
        if mask is not None and self.has_masks:
            arguments = f"{self.type} {vector}, ptr {place}, i32 {align}, {self.mask} {mask}"
            self.say(f"  call void @llvm.masked.store.{self.name}.p0({arguments})")
            return
        if mask is not None:
            old = self.let(f"load {self.type}, ptr {place}, align {align}")
            changes = self.let(f"xor {self.type} {old}, {vector}")  # not a select, which LLVM makes a masked store of,
            bits = self.let(f"sext {self.mask} {mask} to {self.type}")  # as slow as twenty others on some CPUs
            vector = self.let(f"xor {self.type} {old}, {self.let(f'and {self.type} {changes}, {bits}')}")
        self.say(f"  store {self.type} {vector}, ptr {place}, align {align}")

    def chosen(self, vector: str, mask: str) -> tuple[str, str]:
        """A vector with the lanes of a mask in front, and how many they are."""
        n, t = self.lanes, self.type
        word = self.let(f"zext i{n} {self.let(f'bitcast {self.mask} {mask} to i{n}')} to i64")
        count = self.let(f"call i64 @llvm.ctpop.i64(i64 {word})")
        if self.has_masks:
            arguments = f"{t} {vector}, {self.mask} {mask}, {t} poison"
            return self.let(f"call {t} @llvm.experimental.vector.compress.{self.name}({arguments})"), count
        row = self.let(f"getelementptr <8 x i8>, ptr @tj_chosen_{self.bits}, i64 {word}")
        order = self.let(f"zext <8 x i8> {self.let(f'load <8 x i8>, ptr {row}')} to <8 x i32>")
        words = self.let(f"bitcast {t} {vector} to <8 x i32>")
        moved = self.let(f"call <8 x i32> @llvm.x86.avx2.permd(<8 x i32> {words}, <8 x i32> {order})")
        return self.let(f"bitcast <8 x i32> {moved} to {t}"), count

    # -- a few elements -----------------------------------------------------------------------------------------

    def few_text(self) -> str:
        """The function that orders at most `few` elements: each half in registers, then both."""
        bits, half = self.bits, self.few // 2
        texts = [self._in_registers("half", self.rows // 2), self._in_registers("merge", self.rows)]
        texts.append(f"""
define internal void @tj_few_{bits}(ptr %x, i64 %n) nounwind {{
  %first = call i64 @llvm.smin.i64(i64 %n, i64 {half})
  call void @tj_half_{bits}(ptr %x, i64 %first)
  %is_more = icmp sgt i64 %n, {half}
  br i1 %is_more, label %more, label %done
more:
  %second = getelementptr i{bits}, ptr %x, i64 {half}
  %others = sub i64 %n, {half}
  call void @tj_half_{bits}(ptr %second, i64 %others)
  call void @tj_merge_{bits}(ptr %x, i64 %n)
  br label %done
done:
  ret void
}}""")
        return "\n".join(texts)

    def _in_registers(self, name: str, many: int) -> str:
        """The function that orders as many elements as fit into some vectors, or merges two halves of them."""
        count = self.counted("%n")
        masks = [self.let(f"icmp sgt {self.type} {count}, {self.steps(i * self.lanes)}") for i in range(many)]
        rows = [self.loaded("%x", str(i * self.lanes), mask) for i, mask in enumerate(masks)]
        if name == "merge":
            rows = self.merged(rows, self.few)
        else:
            rows = self._runs(rows)
            run = many
            while run < many * self.lanes:
                run *= 2
                rows = self.merged(rows, run)
        for i, mask in enumerate(masks):
            self.stored(rows[i], "%x", str(i * self.lanes), mask)
        self.say("  ret void")
        return self.function(f"internal void @tj_{name}_{self.bits}(ptr %x, i64 %n)")

    def _runs(self, rows: list[str]) -> list[str]:
        """The columns in order, one behind the other: each bit of the row changes places with one of the lane."""
        n, many = self.lanes, len(rows)
        rows, side = list(rows), min(n, many)
        for i, j in _NETWORKS[many]:
            rows[i], rows[j] = self.both(rows[i], rows[j])
        bit, top = side // 2, n // 2
        while bit:
            for a in range(many):
                if not a & bit:
                    x, y = rows[a], rows[a + bit]
                    rows[a] = self.shuffled(x, y, lambda i, top=top: n + (i ^ top) if i & top else i)
                    rows[a + bit] = self.shuffled(x, y, lambda i, top=top: n + i if i & top else i ^ top)
            bit, top = bit // 2, top // 2
        if n > many:  # what is left of the column in the lane goes before the row
            return [self.shuffled(r, "poison", lambda i: i % many * (n // many) + i // many) for r in rows]
        return [rows[part * side + column] for column in range(side) for part in range(many // side)]

    def merged(self, rows: list[str], run: int) -> list[str]:
        """Two ascending runs beside each other become one of `run` elements."""
        rows = self._compared(rows, run - 1)
        distance = run // 4
        while distance:
            rows = self._compared(rows, distance)
            distance //= 2
        return rows

    def _compared(self, rows: list[str], flip: int) -> list[str]:
        """Each element i and that at i ^ flip, the lesser first."""
        far, near = flip // self.lanes, flip % self.lanes
        rows = list(rows)
        if not far:
            top = 1 << (near.bit_length() - 1)
            return [self._within(row, near, top) for row in rows]
        for a in range(len(rows)):
            b = a ^ far
            if a < b:
                other = self.shuffled(rows[b], "poison", lambda i: i ^ near) if near else rows[b]
                rows[a], greatest = self.both(rows[a], other)
                rows[b] = self.shuffled(greatest, "poison", lambda i: i ^ near) if near else greatest
        return rows

    def _within(self, row: str, flip: int, top: int) -> str:
        """Each lane i and lane i ^ flip of a vector, the greater in the one that has the bit `top`."""
        other = self.shuffled(row, "poison", lambda i: i ^ flip)
        if self.bits == 32:
            least, greatest = self.both(row, other)
            return self.shuffled(least, greatest, lambda i: i + self.lanes if i & top else i)
        turned = ", ".join(f"i1 {'true' if i & top else 'false'}" for i in range(self.lanes))
        keeps = self.let(f"xor {self.mask} {self.let(f'icmp slt {self.type} {row}, {other}')}, <{turned}>")
        return self.select(keeps, row, other)
