"""A small writer of LLVM IR text: fresh names, structured `if` and `loop`, C structure fields by name.

For support code written by hand (the call path). Mutable locals are stack slots; the optimiser's first pass
turns them into registers. Values are operand texts (`%t3`, `42`); types are named by the methods.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from ctypes import Structure

from tracejit.runtime.dispatch_tables import offset_of

_TYPES = {"c_long": "i64", "c_longlong": "i64", "c_int": "i32", "c_void_p": "ptr"}


class Emitter:
    """Collects functions and declarations; `module()` is the text."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._slots: list[str] = []
        self._declared: dict[str, str] = {}
        self._globals: list[str] = []
        self._texts: dict[str, str] = {}
        self._names = 0
        self._open = False

    # -- module --------------------------------------------------------------------------------------------

    def external(self, name: str, llvm_type: str) -> str:
        """Declare an external global; gives its operand text."""
        self._globals.append(f"@{name} = external global {llvm_type}")
        return f"@{name}"

    def declare(self, name: str, text: str) -> None:
        """Declare a function that `call` cannot spell (variable arguments)."""
        self._declared[name] = text

    def define(self, name: str, text: str) -> str:
        """Define a global, `text` being everything after `=`; gives its operand text."""
        self._globals.append(f"@{name} = {text}")
        return f"@{name}"

    def constant(self, data: bytes, align: int = 64) -> str:
        """Define constant bytes; gives the operand text of their address."""
        return self.define(
            self._fresh("bytes"), f'private constant [{len(data)} x i8] c"{_escaped(data)}", align {align}'
        )

    def words(self, values: Sequence[int]) -> str:
        """Define a constant array of i64."""
        items = ", ".join(f"i64 {value}" for value in values) or "i64 0"
        return self.define(self._fresh("words"), f"private constant [{max(len(values), 1)} x i64] [{items}], align 8")

    def text(self, text: str) -> str:
        """A constant C string; equal texts share one."""
        if text not in self._texts:
            self._texts[text] = self.constant(text.encode() + b"\0", align=1)
        return self._texts[text]

    @contextmanager
    def function(self, signature: str) -> Iterator[None]:
        """A function definition; `signature` is everything between `define` and the brace."""
        body, self._lines, self._slots = self._lines, [], []
        self._open = True
        yield
        lines, self._lines = self._lines, body
        if self._open:
            lines.append("  unreachable")
        self._lines += [f"define {signature} {{", "entry:", *self._slots, *lines, "}", ""]

    def module(self) -> str:
        """The module's text."""
        return "\n".join([*self._globals, *self._declared.values(), "", *self._lines])

    # -- straight-line code ----------------------------------------------------------------------------------

    def _fresh(self, hint: str) -> str:
        self._names += 1
        return f"{hint}{self._names}"

    def op(self, text: str) -> str:
        """One instruction with a result."""
        name = f"%{self._fresh('t')}"
        self._lines.append(f"  {name} = {text}")
        return name

    def do(self, text: str) -> None:
        """One instruction without a result."""
        self._lines.append(f"  {text}")

    def at(self, base: str, offset: int | str) -> str:
        """`base + offset` bytes."""
        return base if offset == 0 else self.op(f"getelementptr i8, ptr {base}, i64 {offset}")

    def load(self, llvm_type: str, base: str, offset: int | str = 0) -> str:
        return self.op(f"load {llvm_type}, ptr {self.at(base, offset)}")

    def store(self, llvm_type: str, value: str, base: str, offset: int | str = 0) -> None:
        self.do(f"store {llvm_type} {value}, ptr {self.at(base, offset)}")

    def get(self, structure: type[Structure], field: str, base: str) -> str:
        """Read a field of the C structure at `base`."""
        return self.load(_field_type(structure, field), base, offset_of(structure, field))

    def put(self, structure: type[Structure], field: str, base: str, value: str) -> None:
        """Write a field of the C structure at `base`."""
        self.store(_field_type(structure, field), value, base, offset_of(structure, field))

    def element(self, base: str, index: str, size: int) -> str:
        """Address of element `index` of an array of `size`-byte elements."""
        return self.at(base, self.op(f"mul i64 {index}, {size}"))

    def compare(self, how: str, llvm_type: str, a: str, b: str | int) -> str:
        return self.op(f"icmp {how} {llvm_type} {a}, {b}")

    def add(self, a: str, b: str | int) -> str:
        return self.op(f"add i64 {a}, {b}")

    def call(self, result: str, name: str, *args: str, declare: bool = True) -> str:
        """Call `@name` (or a pointer `%t`) with operands written with their types, as in `"ptr %x"`."""
        types = ", ".join(a.split(" ", 1)[0] for a in args)
        if name.startswith("%"):
            callee = name
        else:
            callee = f"@{name}"
            if declare:
                self._declared[name] = f"declare {result} {callee}({types})"
        text = f"call {result} {callee}({', '.join(args)})"
        if result == "void":
            self.do(text)
            return ""
        return self.op(text)

    def variable(self, llvm_type: str, initial: str) -> str:
        """A mutable local; read with `load`, write with `store`."""
        name = f"%{self._fresh('v')}"
        self._slots.append(f"  {name} = alloca {llvm_type}")
        self.store(llvm_type, initial, name)
        return name

    # -- control ---------------------------------------------------------------------------------------------

    def label(self, name: str) -> None:
        """Start a block; falls into it from an open one."""
        if self._open:
            self.do(f"br label %{name}")
        self._lines.append(f"{name}:")
        self._open = True

    def start(self, name: str) -> None:
        """Start a block that is reached by jumps only."""
        self._open = False
        self.label(name)

    def goto(self, name: str) -> None:
        self.do(f"br label %{name}")
        self._open = False

    def leave(self, value: str) -> None:
        """Return `value`, written with its type (or `void`)."""
        self.do(f"ret {value}")
        self._open = False

    @contextmanager
    def when(self, condition: str) -> Iterator[None]:
        """The body runs where the i1 holds; it may leave or jump."""
        then, after = self._fresh("then"), self._fresh("after")
        self.do(f"br i1 {condition}, label %{then}, label %{after}")
        self._open = False
        self.label(then)
        yield
        self.label(after)

    @contextmanager
    def unless(self, condition: str) -> Iterator[None]:
        """The body runs where the i1 does not hold."""
        with self.when(self.op(f"xor i1 {condition}, true")):
            yield

    @contextmanager
    def loop(self) -> Iterator[str]:
        """The body runs until it jumps to the label that this yields."""
        head, after = self._fresh("head"), self._fresh("after")
        self.label(head)
        yield after
        if self._open:
            self.goto(head)
        self.start(after)

    @contextmanager
    def count(self, limit: str) -> Iterator[str]:
        """The body runs for 0 .. limit-1; yields the index."""
        counter = self.variable("i64", "0")
        with self.loop() as after:
            index = self.load("i64", counter)
            with self.unless(self.compare("slt", "i64", index, limit)):
                self.goto(after)
            yield index
            if self._open:
                self.store("i64", self.add(index, 1), counter)

    @contextmanager
    def walk(self, variable: str) -> Iterator[str]:
        """The body runs while the pointer variable is not null and must advance it."""
        with self.loop() as after:
            pointer = self.load("ptr", variable)
            with self.when(self.compare("eq", "ptr", pointer, "null")):
                self.goto(after)
            yield pointer


def _field_type(structure: type[Structure], field: str) -> str:
    kinds = {row[0]: row[1].__name__ for row in structure._fields_}
    return _TYPES[kinds[field]]


_PLAIN = frozenset(range(0x20, 0x7F)) - frozenset(b'"\\')
_SPELLED = [chr(byte) if byte in _PLAIN else f"\\{byte:02X}" for byte in range(256)]


def _escaped(data: bytes) -> str:
    """Bytes as LLVM's string literals spell them."""
    return "".join(map(_SPELLED.__getitem__, data))
