"""What the printers of matrix products share: dtypes, arguments and how chunks of a parallel loop get them, masks."""

from __future__ import annotations

from tracejit.records import record

#: LLVM types and bytes of the dtypes that have products.
TYPES = {"f32": ("float", 4), "f64": ("double", 8)}

#: The arguments of C = A @ B: sizes, and matrices with the steps of their rows and columns; C's columns are contiguous.
PARAMS = "i64 %m, i64 %n, i64 %k, ptr %a, i64 %ar, i64 %ac, ptr %b, i64 %br, i64 %bc, ptr %c, i64 %cr"


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
