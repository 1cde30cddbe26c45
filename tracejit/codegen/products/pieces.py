"""What the printers of matrix products share: dtypes, arguments and how chunks of a parallel loop get them, masks."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from tracejit.records import record

#: LLVM types and bytes of the dtypes that have products.
TYPES = {"f32": ("float", 4), "f64": ("double", 8)}

#: The arguments of C = A @ B: sizes, and matrices with the steps of their rows and columns; C's columns are contiguous.
PARAMS = "i64 %m, i64 %n, i64 %k, ptr %a, i64 %ar, i64 %ac, ptr %b, i64 %br, i64 %bc, ptr %c, i64 %cr"

#: What functions that share their work call.
COMMON = """
declare void @tj_share_tiles(ptr, ptr, i64, i64, i64, i1)
declare i64 @llvm.smin.i64(i64, i64)
declare i64 @llvm.smax.i64(i64, i64)
"""

#: `%elements` of the three matrices.
ELEMENTS = """  %of.a = mul i64 %m, %k
  %of.b = mul i64 %k, %n
  %of.c = mul i64 %m, %n
  %of.both = add i64 %of.a, %of.b
  %elements = add i64 %of.both, %of.c"""


@record
class Fields:
    """Arguments of a product with parts: the parts get them in a record, whose address is `%record`.

    items: type and name of each.
    """

    items: tuple[tuple[str, str], ...]

    @staticmethod
    def of(params: str) -> Fields:
        """The arguments of a list of parameters, as `i64 %m, ptr %a`."""
        pairs = (param.split(" %") for param in params.split(", "))
        return Fields(tuple((kind, name) for kind, name in pairs))

    @property
    def type(self) -> str:
        """The type of the record."""
        return "{ " + ", ".join(kind for kind, _ in self.items) + " }"

    def typed(self, **other: str) -> str:
        """The list of parameters; `other` names registers that stand in for some of them."""
        return ", ".join(f"{kind} %{other.get(name, name)}" for kind, name in self.items)

    def place(self, name: str) -> str:
        """The address of a field."""
        at = [x for _, x in self.items].index(name)
        return f"getelementptr {self.type}, ptr %record, i64 0, i32 {at}"

    def loads(self) -> str:
        """Every field under its own name, from the record."""
        return "\n".join(
            f"  %{x}.place = {self.place(x)}\n  %{x} = load {kind}, ptr %{x}.place" for kind, x in self.items
        )

    def saves(self, count: int | None = None) -> str:
        """The first `count` fields (None: all), put into the record."""
        return "\n".join(
            f"  %{x}.place = {self.place(x)}\n  store {kind} %{x}, ptr %{x}.place" for kind, x in self.items[:count]
        )


def splat_text(type: str, lanes: int, value: str, one: str, all: str) -> str:
    """`all`: a vector that has a value in every lane; `one` has it in the first."""
    vector = f"<{lanes} x {type}>"
    return f"""  {one} = insertelement {vector} poison, {type} {value}, i64 0
  {all} = shufflevector {vector} {one}, {vector} poison, <{lanes} x i32> zeroinitializer"""


def mask_text(lanes: int, left: str) -> str:
    """`%mask`: the first `left` lanes, a register."""
    iota = ", ".join(f"i64 {i}" for i in range(lanes))
    return f"""{splat_text("i64", lanes, left, f"{left}.one", f"{left}.all")}
  %mask = icmp slt <{lanes} x i64> <{iota}>, {left}.all"""


def strip_text(lanes: int, at: str, end: str, whole: str, part: str, carried: Iterable[str] = ()) -> str:
    """From block `entry` on, `whole` for each full vector of elements `at` before `end`, then `part` for what is left,
    of which `%mask` has the lanes; block `done` begins. `carried`: further phis of the blocks `entry` and `loop`."""
    phis = "".join(f"  {phi}\n" for phi in carried)
    return f"""  br label %head
head:
  {at} = phi i64 [ 0, %entry ], [ {at}1, %loop ]
{phis}  {at}1 = add i64 {at}, {lanes}
  %more = icmp sle i64 {at}1, {end}
  br i1 %more, label %loop, label %ended
loop:
{whole}
  br label %head
ended:
  %left = sub i64 {end}, {at}
  %none = icmp eq i64 %left, 0
  br i1 %none, label %done, label %rest
rest:
{mask_text(lanes, "%left")}
{part}
  br label %done
done:"""


def steps_text(step: int, call: Callable[[int, str], str]) -> str:
    """The blocks of a function of `%k` lines: `call(step, at)` for as many lines at a time as there are so many, then
    `call(1, at)` for each that is left."""
    return f"""start:
  br label %tiles
tiles:
  %p = phi i64 [ 0, %start ], [ %p1, %tile ]
  %p1 = add i64 %p, {step}
  %is.tile = icmp sle i64 %p1, %k
  br i1 %is.tile, label %tile, label %singles
tile:
{call(step, "%p")}
  br label %tiles
singles:
  %q = phi i64 [ %p, %tiles ], [ %q1, %single ]
  %is.single = icmp slt i64 %q, %k
  br i1 %is.single, label %single, label %done
single:
{call(1, "%q")}
  %q1 = add i64 %q, 1
  br label %singles
done:
  ret void"""


def put_text(function: str, name: str, lanes: int, step: int) -> str:
    """`function(x, c, cr, rows, columns, add)`: rows and columns from `x`, whose rows are `step` apart, to `c`, added
    to what is there where `add` says so. Masked loads and stores must be declared."""
    type, size = TYPES[name]
    vector, suffix = f"<{lanes} x {type}>", f"v{lanes}{name}.p0"
    masked = f"i32 {size}, <{lanes} x i1> %mask"
    return f"""
define internal void {function}(
    ptr %x, ptr %c, i64 %cr, i64 %rows, i64 %columns, i1 %add) noinline nounwind {{
start:
  br label %row
row:
  %r = phi i64 [ 0, %start ], [ %r1, %ended ]
  %from = mul i64 %r, {step}
  %x.row = getelementptr {type}, ptr %x, i64 %from
  %to = mul i64 %r, %cr
  %c.row = getelementptr {type}, ptr %c, i64 %to
  br label %some
some:
  %j = phi i64 [ 0, %row ], [ %j1, %write ]
  %here = sub i64 %columns, %j
{mask_text(lanes, "%here")}
  %x.at = getelementptr {type}, ptr %x.row, i64 %j
  %new = load {vector}, ptr %x.at, align {size}
  %c.at = getelementptr {type}, ptr %c.row, i64 %j
  br i1 %add, label %sum, label %write
sum:
  %old = call {vector} @llvm.masked.load.{suffix}(ptr %c.at, {masked}, {vector} zeroinitializer)
  %both = fadd {vector} %old, %new
  br label %write
write:
  %value = phi {vector} [ %new, %some ], [ %both, %sum ]
  call void @llvm.masked.store.{suffix}({vector} %value, ptr %c.at, {masked})
  %j1 = add i64 %j, {lanes}
  %more = icmp slt i64 %j1, %columns
  br i1 %more, label %some, label %ended
ended:
  %r1 = add i64 %r, 1
  %again = icmp slt i64 %r1, %rows
  br i1 %again, label %row, label %done
done:
  ret void
}}"""


def plain_text(name: str) -> str:
    """`@tj_plain_T(m, n, k, A, ar, ac, B, br, bc, C, cr)`: C = A B for m, n, k of at least 1, element by element, for
    where there is no memory to pack operands."""
    type, _ = TYPES[name]
    return f"""
declare {type} @llvm.fmuladd.{name}({type}, {type}, {type})
define internal void @tj_plain_{name}({PARAMS}) nounwind {{
start:
  br label %row
row:
  %i = phi i64 [ 0, %start ], [ %i1, %row.end ]
  %skip.a = mul i64 %i, %ar
  %row.a = getelementptr {type}, ptr %a, i64 %skip.a
  %skip.c = mul i64 %i, %cr
  %row.c = getelementptr {type}, ptr %c, i64 %skip.c
  br label %column
column:
  %j = phi i64 [ 0, %row ], [ %j1, %column.end ]
  %skip.b = mul i64 %j, %bc
  %column.b = getelementptr {type}, ptr %b, i64 %skip.b
  br label %term
term:
  %p = phi i64 [ 0, %column ], [ %p1, %term ]
  %sum = phi {type} [ 0.0, %column ], [ %sum1, %term ]
  %step.a = mul i64 %p, %ac
  %at.a = getelementptr {type}, ptr %row.a, i64 %step.a
  %x = load {type}, ptr %at.a
  %step.b = mul i64 %p, %br
  %at.b = getelementptr {type}, ptr %column.b, i64 %step.b
  %y = load {type}, ptr %at.b
  %sum1 = call {type} @llvm.fmuladd.{name}({type} %x, {type} %y, {type} %sum)
  %p1 = add i64 %p, 1
  %more.p = icmp slt i64 %p1, %k
  br i1 %more.p, label %term, label %column.end
column.end:
  %at.c = getelementptr {type}, ptr %row.c, i64 %j
  store {type} %sum1, ptr %at.c
  %j1 = add i64 %j, 1
  %more.j = icmp slt i64 %j1, %n
  br i1 %more.j, label %column, label %row.end
row.end:
  %i1 = add i64 %i, 1
  %more.i = icmp slt i64 %i1, %m
  br i1 %more.i, label %row, label %done
done:
  ret void
}}
"""
