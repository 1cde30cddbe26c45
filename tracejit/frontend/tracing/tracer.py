"""The tracer of `tj.trace`: records what a Python function does with traced values into a graph.

The function runs as plain Python. Every operation on a traced tensor, and on any Tensor, comes here and is lowered by
the same code that lowers it in a script, so views, in-place writes, promotion and errors are the same. What Python
itself decides (which branch, how many iterations) is taken as run. A size or number argument that decides it is
compiled in and guarded; the values of arrays cannot decide anything.
"""

from __future__ import annotations

import ast
import builtins
import contextlib
import itertools
import os
import sys
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from tracejit.eager.modes import MODE
from tracejit.eager.tensor import Tensor
from tracejit.frontend.arith import COMPARISONS
from tracejit.frontend.augmented import update_view
from tracejit.frontend.boundary.signature import constant_access, is_data_object, tree_children
from tracejit.frontend.context import Context, Frame
from tracejit.frontend.control.dependence import compiled_in, decided_by
from tracejit.frontend.functions.names import elementwise_names, resolve
from tracejit.frontend.restarts import NeedsSizes, NeedsStatic
from tracejit.frontend.syntax.source import FunctionSource
from tracejit.frontend.tensors.array_facts import GRADIENTS, note_asked
from tracejit.frontend.tensors.index_items import index_item, is_view_index
from tracejit.frontend.tracing.traced import TracedNumber, TracedTensor
from tracejit.frontend.values import (
    ArrayView,
    DictValue,
    FrontValue,
    ListValue,
    Number,
    ObjectValue,
    SliceValue,
    Static,
    TupleValue,
    describe,
)

if TYPE_CHECKING:
    from tracejit.frontend.calls import Calls

_PACKAGE = f"{Path(__file__).resolve().parents[2]}{os.sep}"

#: Python's binary operators by the word in their method names.
OPERATORS = {
    "add": "add", "sub": "sub", "mul": "mul", "truediv": "div", "floordiv": "floordiv", "mod": "mod", "pow": "pow",
    "matmul": "matmul", "and": "bitand", "or": "bitor", "xor": "bitxor", "lshift": "shl", "rshift": "shr",
}  # fmt: skip
UNARY = {"neg": "neg", "pos": "pos", "invert": "bitnot"}
#: Methods that give the values away, and what to do instead.
_VALUES = {
    "numpy": "use the tensor itself",
    "tolist": "index the tensor",
    "__array__": "use np functions that tracejit knows, or tj functions",
    "__dlpack__": "use the tensor itself",
    "__contains__": "use (x == value).any() as an array",
    "__deepcopy__": "use x.clone()",
    "__copy__": "use x.clone()",
    "data =": "use x.copy_(value)",
    "register_hook": "write a tj.autograd.Function",
    "retain_grad": "use tj.grad",
    "requires_grad_": "ask for gradients outside the trace",
}


class Tracer:
    """Records one run of a function; `lowering` is where to."""

    def __init__(self, calls: Calls) -> None:
        self.calls = calls
        self.ctx: Context = calls.ctx
        self.ended = False
        self.frames: dict[types.CodeType | None, FunctionSource] = {}
        self.around = self.ctx.frame

    def run(self, fn: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> FrontValue:
        """What the function returns, as a front-end value."""
        before, MODE.tracer = MODE.tracer, self
        enabled, MODE.enabled = MODE.enabled, self.ctx.grad_enabled
        try:
            return self.result(fn(*args, **kwargs))
        finally:
            MODE.tracer, MODE.enabled = before, enabled
            self.ctx.frame = self.around
            self.ctx.grad_mode = MODE.enabled if before is not None else None
            self.ended = True

    # -- what is recorded -----------------------------------------------------------------------------------------

    def function(self, fn: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """A call of a library function, a scripted function, or one with a derivative of its own."""
        with self.recording() as node:
            known = resolve(fn)
            if known is not None and known.split(".")[-1] in elementwise_names():
                given = [self.front(a) for a in args]
            else:
                given = [self.in_memory(a) for a in args]
            named = {k: self.front(v) for k, v in kwargs.items()}
            out = kwargs.get("out")
            for target in out if isinstance(out, tuple) else (out,):
                self.require_traced(target, node)
            made = self.calls.call_object(fn, given, named, node)
            return out[0] if isinstance(out, tuple) and len(out) == 1 else self.show(made) if out is None else out

    def method(self, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """A method or operator of a tensor or number, `args[0]`."""
        if name == "__array_ufunc__":
            return self.ufunc(args[1], args[2], args[3:], kwargs)
        if name == "__array_function__":
            return self.function(args[1], args[3], args[4])
        if name in ("__bool__", "__int__", "__float__", "__complex__", "__index__"):
            found = self.known(args[0])
            return getattr(builtins, name.strip("_"), int)(found)
        with self.recording() as node:
            if name in _VALUES:
                shown = name.removesuffix(" =").strip("_")
                self.ctx.refuse(node, f"{shown!r} of a traced tensor is not available in a trace", _VALUES[name])
            return self.lowered(name, args, kwargs, node)

    def lowered(self, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any], node: ast.AST) -> Any:
        """A method or operator as the script's front end lowers it."""
        x, *others = args
        word = name.strip("_") if name.startswith("__") and name.endswith("__") else None
        if word is not None and word.startswith("i") and word[1:] in OPERATORS:
            return self.augmented(OPERATORS[word[1:]], x, others[0], node)
        if word is not None and word not in ("getitem", "setitem"):
            return self.show(self.operated(word, [self.operand(a) for a in args], node))
        base = self.in_memory(x)
        if word == "getitem":
            return self.show(self.item(base, self.index(others[0], node), node))
        if word == "setitem":
            return self.write(base, self.index(others[0], node), others[1], node)
        if name in _PROPERTIES:
            return self.show(self.calls.attribute(base, name, node))
        if name == "grad =":
            self.calls.set_attribute(base, "grad", self.front(others[0]), node)
            return None
        given, named = [self.in_memory(a) for a in others], {k: self.front(v) for k, v in kwargs.items()}
        made = self.calls.call_value(self.calls.attribute(base, name, node), given, named, node)
        return x if name.endswith("_") else self.show(made)

    def ufunc(self, ufunc: Any, method: str, inputs: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """A NumPy ufunc, or one of its methods."""
        return self.function(ufunc if method == "__call__" else getattr(ufunc, method), inputs, kwargs)

    def attribute(self, x: TracedTensor, name: str) -> Any:
        """An attribute of a traced tensor."""
        with self.recording() as node:
            made = self.calls.attribute(self.in_memory(x), name, node)
        if isinstance(made, ArrayView | Number | Static | TupleValue):
            return self.show(made)
        return lambda *args, **kwargs: self.method(name, (x, *args), kwargs)  # pyright: ignore

    def operated(self, word: str, operands: list[FrontValue], node: ast.AST) -> FrontValue:
        """Python's operators but for augmented assignment."""
        expressions, arith = self.calls.expressions, self.calls.arith
        if word in COMPARISONS:
            return expressions.binary(word, *operands, node)  # type: ignore[call-arg]
        if word in UNARY:
            return arith.unary(UNARY[word], operands[0], node)
        if word.removeprefix("r") in (*OPERATORS, "divmod") and word not in (*OPERATORS, "divmod"):
            word, operands = word[1:], operands[::-1]
        if word in OPERATORS:
            return expressions.binary(OPERATORS[word], *operands, node)  # type: ignore[call-arg]
        builtin = getattr(builtins, word, None)
        if builtin is None:
            self.ctx.refuse(node, f"the method '__{word}__' is not available in a trace", "write it otherwise")
        return self.calls.call_object(builtin, operands, {}, node)

    def augmented(self, op: str, target: Any, value: Any, node: ast.AST) -> Any:
        """`target op= value`, in place."""
        view = self.in_memory(target)
        assert isinstance(view, ArrayView)
        self.require_traced(target, node)
        update_view(self.calls.statements, op, view, self.operand(value), node)  # type: ignore[arg-type]
        return target

    def item(self, base: FrontValue, items: list[FrontValue], node: ast.AST) -> FrontValue:
        """`base[items]`; one element of a Tensor is a view of rank 0."""
        assert isinstance(base, ArrayView)
        if self.ctx.tensors and is_view_index(items):
            return self.calls.indexing.view(base, items, node)[0]
        return self.calls.indexing.read(base, items, node)

    def write(self, base: FrontValue, items: list[FrontValue], value: Any, node: ast.AST) -> None:
        """`base[items] = value`."""
        assert isinstance(base, ArrayView)
        made = self.operand(value)
        is_view = isinstance(made, ArrayView) and made.storage == base.storage and is_view_index(items)
        if not is_view or self.calls.indexing.view(base, items, node)[0] != made:
            self.calls.indexing.write(base, items, made, node)
        # else it is `x[i] += y`, which stores what it has just written in place

    def index(self, key: Any, node: ast.AST) -> list[FrontValue]:
        """The items of a subscript."""
        items = key if isinstance(key, tuple) else (key,)
        return [index_item(self.calls, self.front(i), node) for i in items]

    # -- values -----------------------------------------------------------------------------------------------------

    def front(self, value: Any) -> FrontValue:
        """A Python value as a front-end value; Tensors and arrays from outside are hidden inputs."""
        match value:
            case TracedTensor() | TracedNumber():
                if value.tracer is not self:
                    ended = "that has ended" if value.tracer.ended else "around this one"
                    self.refuse_use(f"this value belongs to a trace {ended}", "pass it as an argument, or return it")
                return value.front
            case Tensor() | np.ndarray():
                return self.calls.statics.hidden(value, constant_access(value))
            case slice():
                parts = (value.start, value.stop, value.step)
                return SliceValue(*(None if p is None else self.front(p) for p in parts))
            case tuple():
                return TupleValue(tuple(map(self.front, value)), type(value) if hasattr(value, "_fields") else None)
            case list():
                return ListValue([self.front(v) for v in value], level=self.ctx.level)
            case dict():
                return DictValue({k: self.front(v) for k, v in value.items()})
            case _ if is_data_object(value):
                return ObjectValue(type(value), {k: self.front(v) for k, v in zip(*tree_children(value), strict=True)})
            case _:
                return Static(value)

    def operand(self, value: Any) -> FrontValue:
        """An operand of an operator: lists are arrays."""
        made = self.front(value)
        return self.calls.array_of(made, None, self.ctx_node) if isinstance(made, ListValue) else made

    def in_memory(self, value: Any) -> FrontValue:
        """The front-end value, where a traced tensor that was a plain number gets memory of its own: it may be viewed
        and written."""
        made = self.front(value)
        if isinstance(value, TracedTensor) and isinstance(made, Number):
            made = value.front = self.ctx.fresh(self.ctx.b.emit("broadcast", (made.value,))[0])
        return made

    def show(self, value: FrontValue) -> Any:
        """A front-end value as the traced function sees it."""
        match value:
            case ArrayView() | Number(weak=False):
                return TracedTensor(value, self)
            case Number():
                return TracedNumber(value, self)
            case Static(obj) if hasattr(obj, "__tracejit_lower__") and not callable(obj):
                return lambda *args, **kwargs: self.function(obj, args, kwargs)  # pyright: ignore
            case Static(obj):
                return obj
            case TupleValue(items, cls):
                shown = tuple(map(self.show, items))
                return shown if cls is None else cls(*shown)
            case ListValue(items):
                return [self.show(i) for i in items]
            case DictValue(items):
                return {k: self.show(v) for k, v in items.items()}
            case ObjectValue(cls, fields):
                made = object.__new__(cls)
                for key, part in fields.items():
                    object.__setattr__(made, key, self.show(part))
                return made
            case _:
                self.refuse_use(f"{describe(value)} cannot be used in a trace", "do this inside the scripted function")

    def result(self, value: Any) -> FrontValue:
        """What the function returned; only arrays, numbers, constants and containers of these can be."""
        made = self.front(value)
        for part in _parts(made):
            if isinstance(part, Static) and not isinstance(part.value, _RETURNED):
                name = type(part.value).__name__
                reason = f"a traced function cannot return an object of type {name}"
                self.refuse_use(reason, "return arrays, numbers and containers")
        return made

    def known(self, value: Any) -> Any:
        """The number that Python asks for: known, or decided by sizes and number arguments, which are compiled in."""
        with self.recording() as node:
            front = self.front(value)
            if isinstance(front, ArrayView):
                if front.rank and any(n != 1 for n in front.lengths):
                    raise ValueError("the truth value of a traced tensor is ambiguous; use .any() or .all()")
                front = self.ctx.element(front, [0] * front.rank)
            if isinstance(front, Static):
                return front.value
            assert isinstance(front, Number)
            found = decided_by(self.ctx, front.value)
            if found.by_data:
                self.ctx.refuse(
                    node,
                    "Python needs a value here that depends on the data of a traced tensor",
                    "tj.where(condition, a, b), or @tj.script, which compiles branches and loops on data",
                )
            return compiled_in(found)

    def is_leaf(self, value: TracedTensor) -> bool:
        """Whether the value is an argument."""
        note_asked(GRADIENTS)
        return isinstance(value.front, ArrayView) and value.front.storage in self.calls.gradients.leaves

    def describe(self, value: TracedTensor | TracedNumber) -> str:
        """The kind of a traced value, for messages."""
        return describe(value.front)

    # -- places -----------------------------------------------------------------------------------------------------

    @contextmanager
    def recording(self) -> Iterator[ast.AST]:
        """Record at the user's line: nothing done inside is traced again, and errors show that line."""
        before, MODE.tracer = MODE.tracer, None
        self.ctx.grad_mode = MODE.enabled
        if self.ended:
            MODE.tracer = before
            raise RuntimeError("a value of a trace is used after the trace has ended")
        node = self.ctx_node = self.place()
        self.ctx.at(node)
        try:
            yield node
        except (NeedsStatic, NeedsSizes):
            raise
        except Exception as error:
            raise error.with_traceback(None) from None
        finally:
            MODE.tracer = before

    def place(self) -> ast.AST:
        """A node at the user's place: the innermost line outside of tracejit."""
        frame: types.FrameType | None = sys._getframe(1)
        while frame is not None and _is_ours(frame.f_code.co_filename):
            frame = frame.f_back
        node = ast.Pass()
        code = None if frame is None else frame.f_code
        if frame is not None:
            position = next(itertools.islice(frame.f_code.co_positions(), frame.f_lasti // 2, None), None)
            line, end_line, column, end_column = position or (None, None, None, None)
            node.lineno, node.end_lineno = line or frame.f_lineno, end_line
            node.col_offset, node.end_col_offset = column or 0, end_column
        if code is not None:
            source = self.frames.get(code)
            if source is None:
                base = self.around.source
                source = self.frames[code] = FunctionSource(
                    base.node, code.co_filename, code.co_name, base.globals, base.closure, base.function
                )
            self.ctx.frame = Frame(source, {})
        return node

    def refuse_use(self, reason: str, instead: str) -> NoReturn:
        """The function did something a trace cannot record."""
        node = self.place()
        self.ctx.refuse(node, reason, instead)

    def refuse_values(self) -> NoReturn:
        """The values of a traced tensor were asked for by a way that is not recorded."""
        if self.ended:
            raise RuntimeError("a value of a trace is used after the trace has ended")
        self.refuse_use("this needs the values of a traced tensor", "use functions of tracejit or NumPy on the tensor")

    def require_traced(self, target: Any, node: ast.AST) -> None:
        """Refuse writes to an ndarray: whether it is the caller's, or made anew in every call, is not known here."""
        if type(target) is np.ndarray:
            self.ctx.refuse(node, "an array that is no argument is written in a trace", "make it with tj.zeros(...)")


_PROPERTIES = ("T", "mT", "H", "mH", "real", "imag", "grad", "data")
_RETURNED = (type(None), bool, int, float, complex, str, bytes, np.generic, np.dtype, type(Ellipsis), range)


def _is_ours(filename: str) -> bool:
    return filename.startswith(_PACKAGE) or filename == contextlib.__file__


def _parts(value: FrontValue) -> Iterator[FrontValue]:
    """A value and what it holds."""
    yield value
    match value:
        case TupleValue(items) | ListValue(items):
            inner: Sequence[FrontValue] = tuple(items)
        case DictValue(items):
            inner = tuple(items.values())
        case ObjectValue(_, fields):
            inner = tuple(fields.values())
        case _:
            inner = ()
    for part in inner:
        yield from _parts(part)
