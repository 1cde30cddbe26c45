"""Places of numbers of 64 bits in their order, as LLVM text: `tj_places_64`, for fewer than 2^31 numbers.

What the bits of all numbers have in common says nothing about their order: there remain those in which they differ, of
the differences from the least one. As many of the highest ones as have room in a number beside a place are ordered
with it; so equal ones stay in the order of their places. Where numbers begin with the same bits and some are left,
these are ordered, with the places, in the same way: beside a place there is room for all that are left.
"""

from __future__ import annotations

from tracejit.codegen.support.ordering_vectors import Vectors


def places_text(v: Vectors) -> str:
    """The functions."""
    return "\n".join([_span(v), _packed(v), _again(v), _PLACES])


def _span(v: Vectors) -> str:
    """The least number, the greatest, and the bits in which numbers differ from the first."""
    t = v.type
    v.say("entry:")
    v.say("  %one = load i64, ptr %x")
    first = v.all("%one")
    v.say(
        "  br label %next\nnext:\n"
        "  %i = phi i64 [ 0, %entry ], [ %i.next, %next ]\n"
        + "".join(
            f"  %{name} = phi {t} [ {start}, %entry ], [ %{name}.next, %next ]\n"
            for name, start in (("least", first), ("greatest", first), ("bits", "zeroinitializer"))
        )
    )
    valid = v.first(v.let("sub i64 %n, %i"))
    vector = v.select(valid, v.loaded("%x", "%i", valid), first)
    v.say(
        f"  %least.next = call {t} @llvm.smin.{v.name}({t} %least, {t} {vector})\n"
        f"  %greatest.next = call {t} @llvm.smax.{v.name}({t} %greatest, {t} {vector})\n"
        f"  %differing = xor {t} {vector}, {first}\n  %bits.next = or {t} %bits, %differing\n"
        f"  %i.next = add i64 %i, {v.lanes}\n  %more = icmp slt i64 %i.next, %n\n"
        "  br i1 %more, label %next, label %done\ndone:\n"
        f"  %a = call i64 @llvm.vector.reduce.smin.{v.name}({t} %least.next)\n"
        f"  %b = call i64 @llvm.vector.reduce.smax.{v.name}({t} %greatest.next)\n"
        f"  %c = call i64 @llvm.vector.reduce.or.{v.name}({t} %bits.next)\n"
        "  %r = insertvalue { i64, i64, i64 } poison, i64 %a, 0\n"
        "  %s = insertvalue { i64, i64, i64 } %r, i64 %b, 1\n"
        "  %t = insertvalue { i64, i64, i64 } %s, i64 %c, 2\n"
        "  ret { i64, i64, i64 } %t"
    )
    return v.function("internal { i64, i64, i64 } @tj_span(ptr %x, i64 %n)")


def _packed(v: Vectors) -> str:
    """Differences from the least number, without `shift` bits, before the place in `width` bits, as signed numbers."""
    t = v.type
    v.say("entry:")
    least, shift, width = (v.all(name) for name in ("%least", "%shift", "%width"))
    v.say(
        "  br label %next\nnext:\n"
        "  %i = phi i64 [ 0, %entry ], [ %i.next, %next ]\n"
        f"  %places = phi {t} [ {v.steps()}, %entry ], [ %places.next, %next ]"
    )
    away = v.let(f"sub {t} {v.loaded('%x', '%i')}, {least}")
    high = v.let(f"shl {t} {v.let(f'lshr {t} {away}, {shift}')}, {width}")
    v.stored(v.let(f"xor {t} {v.let(f'or {t} {high}, %places')}, {v.all(v.least)}"), "%packed", "%i")
    v.say(
        f"  %places.next = add {t} %places, {v.all(v.lanes)}\n"
        f"  %i.next = add i64 %i, {v.lanes}\n  %more = icmp slt i64 %i.next, %n\n"
        "  br i1 %more, label %next, label %done\ndone:\n  ret void"
    )
    return v.function("internal void @tj_packed(ptr %x, ptr %packed, i64 %n, i64 %least, i64 %shift, i64 %width)")


def _again(v: Vectors) -> str:
    """A run of numbers that begin with the same bits, in the order of the others."""
    return """
define internal void @tj_again(ptr %x, ptr %run, ptr %memory, i64 %n, i64 %least, i64 %shift, i64 %width) nounwind {
entry:
  %ones = shl i64 -1, %width
  %place.bits = xor i64 %ones, -1
  %others = shl i64 -1, %shift
  %left.bits = xor i64 %others, -1
  br label %next
next:
  %i = phi i64 [ 0, %entry ], [ %i.next, %next ]
  %before = phi i64 [ -1, %entry ], [ %word, %next ]
  %is_ordered = phi i1 [ true, %entry ], [ %is_ordered.next, %next ]
  %at = getelementptr i64, ptr %run, i64 %i
  %old = load i64, ptr %at
  %place = and i64 %old, %place.bits
  %from = getelementptr i64, ptr %x, i64 %place
  %number = load i64, ptr %from
  %away = sub i64 %number, %least
  %left = and i64 %away, %left.bits
  %high = shl i64 %left, %width
  %word = or i64 %high, %place
  store i64 %word, ptr %at
  %is_greater = icmp sgt i64 %word, %before
  %is_ordered.next = and i1 %is_ordered, %is_greater
  %i.next = add i64 %i, 1
  %more = icmp slt i64 %i.next, %n
  br i1 %more, label %next, label %packed
packed:
  br i1 %is_ordered.next, label %done, label %order
order:
  %worked = call i64 @tj_order_64(ptr %run, ptr %memory, i64 %n)
  br label %done
done:
  ret void
}"""


_PLACES = """
define i64 @tj_places_64(ptr %x, ptr %places, ptr %memory, i64 %n) nounwind {
  %is_large = icmp uge i64 %n, 2147483648
  br i1 %is_large, label %refused, label %fits
refused:
  ret i64 0
fits:
  %is_empty = icmp eq i64 %n, 0
  br i1 %is_empty, label %done, label %begin
begin:
  %found = call { i64, i64, i64 } @tj_span(ptr %x, i64 %n)
  %least = extractvalue { i64, i64, i64 } %found, 0
  %greatest = extractvalue { i64, i64, i64 } %found, 1
  %differing = extractvalue { i64, i64, i64 } %found, 2
  %span = sub i64 %greatest, %least
  %span.zeros = call i64 @llvm.ctlz.i64(i64 %span, i1 false)
  %last = sub i64 %n, 1
  %last.zeros = call i64 @llvm.ctlz.i64(i64 %last, i1 false)
  %width = sub i64 64, %last.zeros
  %over = sub i64 %width, %span.zeros
  %same = call i64 @llvm.cttz.i64(i64 %differing, i1 false)
  %same.most = call i64 @llvm.smin.i64(i64 %same, i64 63)
  %shift = call i64 @llvm.smax.i64(i64 %over, i64 %same.most)
  call void @tj_packed(ptr %x, ptr %places, i64 %n, i64 %least, i64 %shift, i64 %width)
  %worked = call i64 @tj_order_64(ptr %places, ptr %memory, i64 %n)
  %ones = shl i64 -1, %width
  %place.bits = xor i64 %ones, -1
  %is_exact = icmp sle i64 %over, %same.most
  br i1 %is_exact, label %exact, label %runs
runs:
  %i = phi i64 [ 0, %begin ], [ %i.next, %runs.next ]
  %start = phi i64 [ 0, %begin ], [ %start.next, %runs.next ]
  %at = getelementptr i64, ptr %places, i64 %i
  %one = load i64, ptr %at
  %one.high = lshr i64 %one, %width
  %i.next = add i64 %i, 1
  %is_last = icmp sge i64 %i.next, %n
  br i1 %is_last, label %end, label %compare
compare:
  %at.next = getelementptr i64, ptr %places, i64 %i.next
  %other = load i64, ptr %at.next
  %other.high = lshr i64 %other, %width
  %is_run = icmp eq i64 %one.high, %other.high
  br i1 %is_run, label %runs.next, label %end
end:
  %size = sub i64 %i.next, %start
  %is_alone = icmp eq i64 %size, 1
  br i1 %is_alone, label %ended, label %several
several:
  %run = getelementptr i64, ptr %places, i64 %start
  call void @tj_again(ptr %x, ptr %run, ptr %memory, i64 %size, i64 %least, i64 %shift, i64 %width)
  br label %ended
ended:
  br i1 %is_last, label %exact, label %runs.next
runs.next:
  %start.next = phi i64 [ %start, %compare ], [ %i.next, %ended ]
  br label %runs
exact:
  %j = phi i64 [ 0, %begin ], [ 0, %ended ], [ %j.next, %exact ]
  %place.at = getelementptr i64, ptr %places, i64 %j
  %word = load i64, ptr %place.at
  %place = and i64 %word, %place.bits
  store i64 %place, ptr %place.at
  %j.next = add i64 %j, 1
  %more = icmp slt i64 %j.next, %n
  br i1 %more, label %exact, label %done
done:
  ret i64 1
}"""
