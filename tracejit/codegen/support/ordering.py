"""Signed numbers in order, as LLVM text for machines that move chosen lanes of a vector (`ordering_vectors.py`).

`tj_order_32` and `tj_order_64` put the first elements of an array in order; `tj_select_32` and `tj_select_64` only what
comes at one place of the order, with nothing greater before it and nothing less behind. Both work in as much memory
again; `SLACK` elements behind both are read, and those behind the memory written. `tj_places_64` (`ordering_places.py`)
finds places. All give 1; on other machines they do nothing, and give 0.

Quicksort by vectors (Bramas, "A novel hybrid quicksort algorithm vectorized using AVX-512 on Intel Skylake", 2017):
the lanes below a pivot go to the front of the array, the others to the memory beside it and back. The pivot is one of
a sample; after more rounds than a good choice needs it is the middle between the least and the greatest, so that no
order of the elements takes more than as many rounds again as a number has bits.
"""

from __future__ import annotations

from tracejit.codegen.llvm.options import LlvmOptions
from tracejit.codegen.support.ordering_places import places_text
from tracejit.codegen.support.ordering_vectors import Vectors

#: Elements of which a pivot is the median, and of how many elements it is one of a sample that fills registers.
SAMPLE, MANY = 8, 4096
#: Elements behind an array that may be read, and behind its memory that may be written.
SLACK = 64

#: What a program calls, by the bits of the elements: how many arrays and numbers each takes.
CALLS = {
    32: {"order_32": (2, 1), "select_32": (2, 2)},
    64: {"order_64": (2, 1), "select_64": (2, 2), "places_64": (3, 1)},
}
NAMES = tuple(name for calls in CALLS.values() for name in calls)


def ordering_module(bits: int, options: LlvmOptions) -> str:
    """The module of the functions for elements of so many bits."""
    if options.vector_bits < 256:
        return "\n".join(_nothing(name, *operands) for name, operands in CALLS[bits].items())
    v = Vectors(bits, options.vector_bits)
    texts = [*v.declared(), v.few_text(), _split(v, "below", "slt"), _split(v, "up_to", "sle"), _middle(v)]
    texts += [_median(v), _near(v), _pivot(v), _order(v), _select(v)]
    return "\n".join([*texts, *([places_text(v)] if bits == 64 else [])])


def _nothing(name: str, arrays: int, numbers: int) -> str:
    operands = [*(f"ptr %x{i}" for i in range(arrays)), *(f"i64 %n{i}" for i in range(numbers))]
    return f"define i64 @tj_{name}({', '.join(operands)}) nounwind {{\n  ret i64 0\n}}"


# -- a pass -----------------------------------------------------------------------------------------------------


def _parted(v: Vectors, vector: str, valid: str | None, at: str, low: str, high: str) -> tuple[str, str]:
    """Write the lanes of a vector; gives how many are below the pivot and how many are not, then."""
    below = v.let(f"icmp {at} {v.type} {vector}, %all")
    ones = f"<{', '.join(['i1 true'] * v.lanes)}>"
    above = v.let(f"xor {v.mask} {below}, {ones}")
    if valid is not None:
        below, above = (v.let(f"and {v.mask} {mask}, {valid}") for mask in (below, above))
    moved, count = v.chosen(vector, below)
    v.stored(moved, "%x", low, None if valid is None else v.first(count))
    if v.has_masks:
        moved, others = v.chosen(vector, above)
        v.stored(moved, "%memory", high, None if valid is None else v.first(others))
    else:  # a permutation has brought the others to the end of a vector: they fill the memory from its end
        moved, before = (moved, count) if valid is None else v.chosen(vector, v.let(f"xor {v.mask} {above}, {ones}"))
        others = v.let(f"sub i64 {v.lanes}, {before}")
        v.stored(moved, "%memory", v.let(f"sub i64 %n, {high}"))
    return v.let(f"add i64 {low}, {count}"), v.let(f"add i64 {high}, {others}")


def _split(v: Vectors, name: str, at: str) -> str:
    """Elements below the pivot (or up to it) come first; gives how many they are."""
    n, bits = v.lanes, v.bits
    written = "%memory" if v.has_masks else "%last.others"
    v.say("entry:")
    v.say(
        f"  %all = bitcast {v.type} {v.all('%pivot')} to {v.type}\n"
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
    low, high = _parted(v, v.loaded("%x", "%i"), None, at, "%low", "%high")
    v.say(
        f"  %low.next = add i64 {low}, 0\n  %high.next = add i64 {high}, 0\n"
        f"  %i.next = add i64 %i, {n}\n  br label %next\n"
        "rest:\n"
        "  %some = icmp slt i64 %i, %n\n"
        "  br i1 %some, label %last, label %done\n"
        "last:"
    )
    valid = v.first(v.let("sub i64 %n, %i"))
    low, high = _parted(v, v.loaded("%x", "%i", valid), valid, at, "%low", "%high")
    v.say(
        "  br label %done\n"
        "done:\n"
        f"  %found = phi i64 [ %low, %rest ], [ {low}, %last ]\n"
        f"  %others = phi i64 [ %high, %rest ], [ {high}, %last ]\n"
        f"  %to = getelementptr i{bits}, ptr %x, i64 %found\n"
        f"  %size = mul i64 %others, {bits // 8}\n"
        f"  %end = add i64 %n, {n}\n  %start = sub i64 %end, %others\n"
        f"  %last.others = getelementptr i{bits}, ptr %memory, i64 %start\n"
        f"  call void @llvm.memcpy.p0.p0.i64(ptr %to, ptr {written}, i64 %size, i1 false)\n"
        "  ret i64 %found"
    )
    return v.function(f"internal i64 @tj_{name}_{bits}(ptr %x, ptr %memory, i64 %n, i{bits} %pivot)")


# -- pivots -----------------------------------------------------------------------------------------------------


def _median(v: Vectors) -> str:
    """The median of elements at equal distances."""
    lanes = min(v.lanes, SAMPLE)
    small = Vectors(v.bits, lanes * v.bits)
    bits, t = v.bits, small.type
    step = small.let(f"lshr i64 %n, {SAMPLE.bit_length() - 1}")
    rows = ["poison"] * (SAMPLE // lanes)
    for i in range(SAMPLE):
        element = small.let(f"load i{bits}, ptr {small.place('%x', small.let(f'mul i64 {step}, {i}'))}")
        rows[i // lanes] = small.let(f"insertelement {t} {rows[i // lanes]}, i{bits} {element}, i64 {i % lanes}")
    run = 1
    while run < SAMPLE:
        run *= 2
        rows = small.merged(rows, run)
    half = SAMPLE // 2
    small.say(f"  %median = extractelement {t} {rows[half // lanes]}, i64 {half % lanes}\n  ret i{bits} %median")
    declared = [f"declare {t} @llvm.{f}.{small.name}({t}, {t})" for f in ("smin", "smax") if v.lanes != lanes]
    return "\n".join([*declared, small.function(f"internal i{bits} @tj_median_{bits}(ptr %x, i64 %n)")])


def _near(v: Vectors) -> str:
    """Of a sample that fills registers the element whose place in it is nearest to that of `rank` in the whole."""
    bits, few = v.bits, v.few
    return f"""
define internal i{bits} @tj_near_{bits}(ptr %x, i64 %n, i64 %rank) nounwind {{
entry:
  %sample = alloca [{few + v.lanes} x i{bits}], align 64
  %step = udiv i64 %n, {few}
  br label %next
next:
  %i = phi i64 [ 0, %entry ], [ %i.next, %next ]
  %at = mul i64 %i, %step
  %from = getelementptr i{bits}, ptr %x, i64 %at
  %element = load i{bits}, ptr %from
  %to = getelementptr i{bits}, ptr %sample, i64 %i
  store i{bits} %element, ptr %to
  %i.next = add i64 %i, 1
  %more = icmp slt i64 %i.next, {few}
  br i1 %more, label %next, label %done
done:
  call void @tj_few_{bits}(ptr %sample, i64 {few})
  %part = udiv i64 %rank, %step
  %which = call i64 @llvm.smin.i64(i64 %part, i64 {few - 1})
  %place = getelementptr i{bits}, ptr %sample, i64 %which
  %found = load i{bits}, ptr %place
  ret i{bits} %found
}}"""


def _middle(v: Vectors) -> str:
    """The middle between the least and the greatest element, above the former where they differ."""
    n, bits, t = v.lanes, v.bits, v.type
    v.say(
        "entry:\n  br label %next\nnext:\n"
        "  %i = phi i64 [ 0, %entry ], [ %i.next, %one ]\n"
        f"  %least = phi {t} [ {v.all(v.greatest)}, %entry ], [ %least.next, %one ]\n"
        f"  %greatest = phi {t} [ {v.all(v.least)}, %entry ], [ %greatest.next, %one ]\n"
        "  %more = icmp slt i64 %i, %n\n  br i1 %more, label %one, label %done\none:"
    )
    valid = v.first(v.let("sub i64 %n, %i"))
    vector = v.loaded("%x", "%i", valid)
    kept = v.select(valid, vector, v.all(v.least))
    v.say(
        f"  %least.next = call {t} @llvm.smin.{v.name}({t} %least, {t} {vector})\n"
        f"  %greatest.next = call {t} @llvm.smax.{v.name}({t} %greatest, {t} {kept})\n"
        f"  %i.next = add i64 %i, {n}\n  br label %next\ndone:\n"
        f"  %a = call i{bits} @llvm.vector.reduce.smin.{v.name}({t} %least)\n"
        f"  %b = call i{bits} @llvm.vector.reduce.smax.{v.name}({t} %greatest)\n"
        f"  %span = sub i{bits} %b, %a\n  %half = lshr i{bits} %span, 1\n"
        f"  %odd = and i{bits} %span, 1\n  %up = add i{bits} %half, %odd\n"
        f"  %found = add i{bits} %a, %up\n  ret i{bits} %found"
    )
    return v.function(f"internal i{bits} @tj_middle_{bits}(ptr %x, i64 %n)")


def _pivot(v: Vectors) -> str:
    """A pivot that leaves `rank` in the lesser part or halves it; `left`: rounds for which samples are good enough."""
    bits = v.bits
    return f"""
define internal i{bits} @tj_pivot_{bits}(ptr %x, i64 %n, i64 %rank, i64 %left) nounwind {{
  %is_good = icmp sgt i64 %left, 0
  br i1 %is_good, label %sampled, label %halved
sampled:
  %is_many = icmp sge i64 %n, {MANY}
  br i1 %is_many, label %many, label %some
many:
  %near = call i{bits} @tj_near_{bits}(ptr %x, i64 %n, i64 %rank)
  ret i{bits} %near
some:
  %median = call i{bits} @tj_median_{bits}(ptr %x, i64 %n)
  ret i{bits} %median
halved:
  %middle = call i{bits} @tj_middle_{bits}(ptr %x, i64 %n)
  ret i{bits} %middle
}}"""


# -- the whole --------------------------------------------------------------------------------------------------

#: After so many rounds, twice as many as halvings need, samples have misled.
_ROUNDS = """
  %zeros = call i64 @llvm.ctlz.i64(i64 %n, i1 false)
  %digits = sub i64 64, %zeros
  %rounds = mul i64 %digits, 2"""


def _order(v: Vectors) -> str:
    """The greater part waits on a stack, so that it holds no more than a part for each bit of the size."""
    bits, few = v.bits, v.few
    return f"""
define i64 @tj_order_{bits}(ptr %x, ptr %memory, i64 %n) nounwind {{
entry:
  %stack = alloca [64 x {{ ptr, i64, i64 }}]{_ROUNDS}
  br label %part
part:
  %p = phi ptr [ %x, %entry ], [ %q, %again ], [ %p.old, %pop ]
  %size = phi i64 [ %n, %entry ], [ %size.next, %again ], [ %size.old, %pop ]
  %left = phi i64 [ %rounds, %entry ], [ %left.next, %again ], [ %left.old, %pop ]
  %depth = phi i64 [ 0, %entry ], [ %depth.next, %again ], [ %depth.less, %pop ]
  %is_few = icmp sle i64 %size, {few}
  br i1 %is_few, label %few, label %many
few:
  call void @tj_few_{bits}(ptr %p, i64 %size)
  br label %finished
finished:
  %depth.here = phi i64 [ %depth, %few ], [ %depth, %least ]
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
  %middle = lshr i64 %size, 1
  %pivot = call i{bits} @tj_pivot_{bits}(ptr %p, i64 %size, i64 %middle, i64 %left)
  %low = call i64 @tj_below_{bits}(ptr %p, ptr %memory, i64 %size, i{bits} %pivot)
  %left.next = sub i64 %left, 1
  %none = icmp eq i64 %low, 0
  br i1 %none, label %least, label %two
least:
  %same = call i64 @tj_up_to_{bits}(ptr %p, ptr %memory, i64 %size, i{bits} %pivot)
  %others = sub i64 %size, %same
  %behind = getelementptr i{bits}, ptr %p, i64 %same
  %all_same = icmp eq i64 %others, 0
  br i1 %all_same, label %finished, label %again
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


def _select(v: Vectors) -> str:
    """Of two parts, only the one in which the place lies is looked at again."""
    bits, few = v.bits, v.few
    return f"""
define i64 @tj_select_{bits}(ptr %x, ptr %memory, i64 %n, i64 %rank) nounwind {{
entry:{_ROUNDS}
  br label %part
part:
  %p = phi ptr [ %x, %entry ], [ %q, %again ]
  %size = phi i64 [ %n, %entry ], [ %size.next, %again ]
  %left = phi i64 [ %rounds, %entry ], [ %left.next, %again ]
  %at = phi i64 [ %rank, %entry ], [ %at.next, %again ]
  %is_few = icmp sle i64 %size, {few}
  br i1 %is_few, label %few, label %many
few:
  call void @tj_few_{bits}(ptr %p, i64 %size)
  br label %done
many:
  %left.next = sub i64 %left, 1
  %pivot = call i{bits} @tj_pivot_{bits}(ptr %p, i64 %size, i64 %at, i64 %left)
  %low = call i64 @tj_below_{bits}(ptr %p, ptr %memory, i64 %size, i{bits} %pivot)
  %is_first = icmp slt i64 %at, %low
  %none = icmp eq i64 %low, 0
  br i1 %none, label %least, label %again
least:
  %same = call i64 @tj_up_to_{bits}(ptr %p, ptr %memory, i64 %size, i{bits} %pivot)
  %is_it = icmp slt i64 %at, %same
  br i1 %is_it, label %done, label %again
again:
  %first = phi i64 [ %low, %many ], [ %same, %least ]
  %in_first = phi i1 [ %is_first, %many ], [ false, %least ]
  %second = getelementptr i{bits}, ptr %p, i64 %first
  %others = sub i64 %size, %first
  %later = sub i64 %at, %first
  %q = select i1 %in_first, ptr %p, ptr %second
  %size.next = select i1 %in_first, i64 %first, i64 %others
  %at.next = select i1 %in_first, i64 %at, i64 %later
  br label %part
done:
  ret i64 1
}}"""
