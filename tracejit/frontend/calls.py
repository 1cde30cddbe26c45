"""Calls and attributes: which function a call means, argument binding, inlining of Python functions."""

from __future__ import annotations

import ast
import functools
import types
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from tracejit.devices import Device
from tracejit.eager.function import Function, custom_vjp
from tracejit.errors import ScriptError
from tracejit.frontend.arith import Arithmetic
from tracejit.frontend.boundary.signature import constant_access
from tracejit.frontend.boundary.statics import Statics
from tracejit.frontend.containers import (
    collected_generators,
    generators,
    iterators,
    long_tuples,
    methods,
    pooled_tables,
    ranges,
    resumable,
    shared_lists,
)
from tracejit.frontend.containers.key_order import certain, in_order, takes_names
from tracejit.frontend.containers.placed_arrays import release, takes_items
from tracejit.frontend.containers.tables import OUTLINED, container_class, is_table, set_method, standing
from tracejit.frontend.context import Context, Frame, of_standard
from tracejit.frontend.control.choices import as_number, each, letter
from tracejit.frontend.control.dependence import compiled_in, decided_by
from tracejit.frontend.control.optionals import given_alone, require_value
from tracejit.frontend.control.unreachable import Unreachable
from tracejit.frontend.derivatives import autograd_calls as autograd_calls  # registers what it defines
from tracejit.frontend.derivatives.custom import lower_custom_vjp, lower_function
from tracejit.frontend.derivatives.gradients import Gradients
from tracejit.frontend.derivatives.made_leaves import constructed
from tracejit.frontend.functions import builtin_calls, dispatching, handlers, remembering, sequence_calls, starred
from tracejit.frontend.functions.arguments import is_range
from tracejit.frontend.functions.binding import bound
from tracejit.frontend.functions.builtin_arguments import (
    is_builtin,
    require_arguments,
)
from tracejit.frontend.functions.names import eager_only, host_random, is_numpys, name_of, not_known, resolve
from tracejit.frontend.functions.pure import has_same_hash, is_pure_builtin, runs_nothing
from tracejit.frontend.instances import class_calls, module_parts, variants
from tracejit.frontend.instances import copies as copies  # registers what it defines
from tracejit.frontend.instances.objects import Objects
from tracejit.frontend.restarts import note_maker
from tracejit.frontend.syntax.desugar import desugar
from tracejit.frontend.syntax.scopes import annotate, names_bound
from tracejit.frontend.syntax.source import PROCESS, FunctionNode, FunctionSource, function_source, note_read
from tracejit.frontend.syntax.subset import check_subset
from tracejit.frontend.tensors import arrays, attributes, creation, elements, ufuncs
from tracejit.frontend.tensors import joining as joining  # registers what it defines
from tracejit.frontend.tensors import numpy_objects as numpy_objects  # registers what it defines
from tracejit.frontend.tensors import tensor_views as tensor_views  # registers what it defines
from tracejit.frontend.tensors import turned_views as turned_views  # registers what it defines
from tracejit.frontend.tensors import windows as windows  # registers what it defines
from tracejit.frontend.tensors.grids import grid_subscript
from tracejit.frontend.tensors.indexing import Indexing
from tracejit.frontend.texts import made_texts, text
from tracejit.frontend.values import (
    ArrayView,
    BoundFunction,
    BoundMethod,
    ChoiceValue,
    Closure,
    DictValue,
    FrontValue,
    GeneratorValue,
    GrowingList,
    ListValue,
    MessageValue,
    Number,
    ObjectValue,
    OptionalValue,
    SequenceValue,
    SharedList,
    SharedObject,
    SharedText,
    SharedVariant,
    SliceValue,
    Static,
    SuperValue,
    Transformed,
    TupleValue,
    describe,
    spread,
    type_name,
)
from tracejit.frontend.written import replacement
from tracejit.messages import escape

if TYPE_CHECKING:
    from tracejit.frontend.derivatives.custom import CustomBlock
    from tracejit.frontend.expressions import Expressions
    from tracejit.frontend.statements import Statements

_DEPTH = 60


assert builtin_calls and class_calls and sequence_calls  # they register handlers


class Calls:
    """Lowers calls and attribute accesses."""

    statics: Statics
    gradients: Gradients

    def __init__(
        self, ctx: Context, arith: Arithmetic, indexing: Indexing, expressions: Expressions, statements: Statements
    ) -> None:
        self.ctx = ctx
        self.arith = arith
        self.indexing = indexing
        self.expressions = expressions
        self.statements = statements
        self.lists = statements.lists
        self.objects = arith.objects = Objects(self)
        self.rules: dict[custom_vjp, str | None] = {}  #: functions whose forward or backward is being lowered
        self.custom_blocks: list[CustomBlock] = []  #: blocks of `custom` ops around this place, outermost first
        self._locals: dict[int, frozenset[str]] = {}

    # -- names and objects ------------------------------------------------------------------------------------

    def outer_name(self, node: ast.AST, name: str) -> FrontValue:
        """A name that no statement of this function binds."""
        return self.statics.outer_name(node, name)

    def locals_of(self, node: FunctionNode) -> frozenset[str]:
        """Names the function binds, so that reading one too early is an UnboundLocalError."""
        found = self._locals.get(id(node))
        if found is None:
            body = node.body if isinstance(node, ast.FunctionDef) else []
            names: set[str] = set()
            for s in body:
                names |= names_bound(s)
            found = self._locals[id(node)] = frozenset(names)
        return found

    def of_object(self, value: Any) -> FrontValue:
        """A compile-time object as a front-end value."""
        return Static(value)

    def operand_array(self, value: FrontValue, node: ast.AST, dtype: Any = None) -> FrontValue:
        """A sequence of numbers or arrays as an array, of that dtype where one is given; others unchanged."""
        if isinstance(value, SequenceValue) and value.range is not None and dtype is None:
            return arrays.function(self, "arange", ranges.bounds(self.ctx, value), {}, node)
        value = spread(value)
        is_list = is_range(value) or isinstance(value, TupleValue | ListValue | GrowingList | SharedList)
        return self.array_of(value, dtype, node) if is_list else value

    def as_operand(self, value: FrontValue, absent: str = "unsupported operand: this is None here") -> FrontValue:
        """A compile-time array inside the program (a NumPy constant) as a hidden input; others unchanged, but for what
        may be None: that is refused, or a TypeError `absent`."""
        if isinstance(value, OptionalValue):
            return require_value(self.ctx, value, message=absent)
        if isinstance(value, Static) and isinstance(value.value, np.ndarray):
            return self.statics.hidden(value.value, constant_access(value.value))
        return as_number(self.ctx.b, value)

    def kept(self, value: FrontValue) -> FrontValue:
        """A value that is put somewhere as it is, perhaps None; else as an operand."""
        return value if isinstance(value, OptionalValue | ChoiceValue) else self.as_operand(value)

    # -- attributes -------------------------------------------------------------------------------------------

    def attribute(self, base: FrontValue, name: str, node: ast.AST) -> FrontValue:
        """`base.name`."""
        self.ctx.at(node)
        if name == "__class__" and not isinstance(base, Static | OptionalValue | ChoiceValue | SuperValue):
            return self.call_object(type, [base], {}, node)
        match base:
            case ArrayView() | Number() if (made := attributes.attribute(self, base, name, node)) is not None:
                return made
            case ArrayView() | Number():
                arrays.require_method(self, base, name, node)
                return BoundMethod(base, name)
            case MessageValue() | ChoiceValue(_, (Static(str()), *_)):
                return BoundMethod(base, name)
            case SliceValue() if name in ("start", "stop", "step"):
                return getattr(base, name) or Static(None)
            case TupleValue(cls=None) | ListValue() | GrowingList() | DictValue():
                kind = container_class(base)
                if not hasattr(kind, name):
                    self.ctx.check_false("AttributeError", f"'{kind.__name__}' object has no attribute '{name}'")
                return BoundMethod(base, name)
            case TupleValue(items, cls) if cls is not None:
                fields = getattr(cls, "_fields", ())
                return items[fields.index(name)] if name in fields else self.objects.member(base, cls, name, node)
            case SharedList() | SharedText():
                return shared_lists.attribute(self, base, name, node)
            case OptionalValue():
                absent = f"'NoneType' object has no attribute '{name}'"
                return self.attribute(require_value(self.ctx, base, "AttributeError", absent), name, node)
            case ChoiceValue(_, options):
                if (method := self.statics.enums_method(options[0].value, name)) is not None:
                    return BoundFunction(Static(method), (base,))
                return each(self.expressions, base, lambda o: self.attribute(o, name, node), node)
            case ObjectValue() | SharedObject():
                return self.objects.attribute(base, name, node)
            case SharedVariant():
                return variants.each(self, base, lambda o: self.attribute(o, name, node), node)
            case SuperValue():
                return self.objects.super_attribute(base, name, node)
            case Static(value):
                getter = self.statics.getter(value, name)
                if getter is not None:
                    return self.call_value(Static(getter), [base], {}, node)
                if not isinstance(value, type | types.ModuleType):
                    made = attributes.of_outer(self, base, name, node)
                    return self.statics.attribute(value, name, node) if made is None else made
                return self.statics.attribute(value, name, node)
            case SequenceValue(range=(_, _, _)) if name in ranges.PARTS:
                return ranges.bounds(self.ctx, base)[ranges.PARTS.index(name)]
            case Closure(source) if name == "__name__" and not getattr(source.node, "decorator_list", ()):
                return Static(getattr(source.node, "name", "<lambda>"))  # `functools.wraps` would give it another
            case _:
                if isinstance(base, GeneratorValue):
                    resumable.ask(self.ctx, base)
                self.ctx.refuse(node, f"{describe(base)} has no attribute {name!r} in a script", "leave it out")

    def set_attribute(self, base: FrontValue, name: str, value: FrontValue, node: ast.AST) -> None:
        """`base.name = value`."""
        match base:
            case ObjectValue() | SharedObject():
                self.objects.set_attribute(base, name, value, node)
            case SharedVariant():
                variants.each(self, base, lambda o: self.set_attribute(o, name, value, node) or Static(None), node)
            case Static(type() as owner) if self.statics.can_be_set(owner, name):
                self.statics.set_attribute(owner, name, value, node)
            case Static(owner) if not isinstance(owner, types.ModuleType | type):
                self.objects.set_outer(owner, name, value, node)
            case ArrayView() if attributes.set_attribute(self, base, name, value, node):
                pass
            case OptionalValue():
                absent = f"'NoneType' object has no attribute '{name}'"
                self.set_attribute(require_value(self.ctx, base, "AttributeError", absent), name, value, node)
            case TupleValue(_, cls) if cls is not None:
                absent = f"'{cls.__name__}' object has no attribute '{name}'"
                self.ctx.check_false("AttributeError", "can't set attribute" if hasattr(cls, name) else absent)
            case _:
                self.ctx.refuse(node, f"an attribute of {describe(base)} cannot be set", "use a variable")

    # -- calls ------------------------------------------------------------------------------------------------

    def call(self, node: ast.Call) -> FrontValue:
        """A call expression."""
        fn = attributes.called(self, node.func)
        if isinstance(fn, Static) and (found := iterators.as_written(self, fn.value, node)) is not None:
            return found
        held = set(self.ctx.storage.held) if takes_items(self.ctx, fn, node.args) else None
        spread = starred.spread(self, fn, node)
        fn, args = (fn, iterators.arguments(self, fn, node.args)) if spread is None else (spread.fn, [*spread.args])
        kwargs: dict[str, FrontValue] = {}
        for keyword in node.keywords:
            made = self.expressions.value(keyword.value)
            if keyword.arg is not None:
                kwargs[keyword.arg] = made
            elif isinstance(made := pooled_tables.contents(self, made, node), DictValue):
                of = certain if takes_names(fn) else in_order
                kwargs.update(of(self.ctx, made, node))
            elif is_table(made):
                reason = "a dict whose keys are known at run time only cannot be spread into arguments"
                self.ctx.refuse(node, reason, "name the arguments: f(a=d['a'])")
            else:
                self.arith.mismatch(TypeError(f"argument after ** must be a mapping, not {type_name(made)}"), node)
        if spread is not None:
            args = starred.arguments(self, spread, kwargs, node)
        self.ctx.at(node)
        made = self.call_value(fn, elements.all_current(self.ctx, args, kwargs), kwargs, node)
        if held is not None and spread is None:
            release(self.ctx, node.args, args, held)
        return made

    def call_value(
        self, fn: FrontValue, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST
    ) -> FrontValue:
        """Call a front-end value."""
        match fn:
            case Closure():
                return self.inline(fn.source, args, kwargs, node, fn)
            case BoundMethod(receiver, name):
                return self.method(receiver, name, args, kwargs, node)
            case BoundFunction(inner, first, named):
                return self.call_value(inner, [*first, *args], {**dict(named), **kwargs}, node)
            case OptionalValue():
                absent = "'NoneType' object is not callable"
                return self.call_value(require_value(self.ctx, fn, message=absent), args, kwargs, node)
            case ChoiceValue():
                return each(self.expressions, fn, lambda o: self.call_value(o, args, kwargs, node), node)
            case ObjectValue() | SharedObject() | TupleValue():
                return self.objects.call(fn, args, kwargs, node)
            case SharedVariant():
                return variants.each(self, fn, lambda o: self.call_value(o, args, kwargs, node), node)
            case Transformed():
                return self.gradients.call(fn, args, kwargs, node)
            case Static(value):
                return elements.note_maker(self.ctx, value, args, self.call_object(value, args, kwargs, node))
            case _:
                return self.arith.mismatch(TypeError(f"'{type_name(fn)}' object is not callable"), node)

    def method(
        self, receiver: FrontValue, name: str, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST
    ) -> FrontValue:
        if isinstance(receiver, ArrayView | Number):
            return arrays.method(self, receiver, name, args, kwargs, node)
        if isinstance(receiver, SharedVariant):
            return variants.method(self, receiver, name, args, kwargs, node)
        if isinstance(receiver, ChoiceValue):
            return each(self.expressions, receiver, lambda o: text.method(self, o, name, args, kwargs, node), node)
        if isinstance(receiver, MessageValue):
            return text.method(self, receiver, name, args, kwargs, node)
        if isinstance(receiver, SuperValue):
            return self.objects.super_init(receiver, args, node)
        return methods.container_method(self, receiver, name, args, kwargs, node)

    def call_object(self, fn: Any, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST) -> FrontValue:
        """Call a compile-time Python object."""
        fn, args = generators.passed(self, fn, args, kwargs, node)
        args = given_alone(self.ctx, fn, args)
        special = None if isinstance(fn, type) else getattr(fn, "__tracejit_lower__", None)
        if special is not None:
            return special(self, args, kwargs, node)
        if (reason := host_random(fn)) is not None:
            self.ctx.refuse(node, *reason)
        if any(fn is f for f in (int, float, ord, len)) and len(args) == 1 and isinstance(args[0], ChoiceValue):
            return each(self.expressions, args[0], lambda o: self.call_object(fn, [o], kwargs, node), node)
        own = self.own_derivative(fn, args, kwargs, node)
        if own is not None:
            return own
        if not isinstance(fn, type) and (is_numpys(fn) or getattr(fn, "__module__", "") == "math"):
            require_arguments(self, fn, args, kwargs, node)
        handler = handlers.HANDLERS.get(_identity(fn)) or creation.HANDLERS.get(_identity(fn))
        if handler is not None:
            if is_builtin(fn):
                require_arguments(self, fn, args, kwargs, node)
            return handler(self, args, kwargs, node)
        if isinstance(fn, types.BuiltinMethodType) and isinstance(fn.__self__, str):
            return text.method(self, Static(fn.__self__), fn.__name__, args, kwargs, node)
        if isinstance(fn, types.MethodDescriptorType) and args and type_name(args[0]) == fn.__objclass__.__name__:
            return self.call_value(self.attribute(args[0], fn.__name__, node), args[1:], kwargs, node)
        if isinstance(fn, types.BuiltinMethodType) and isinstance(fn.__self__, set):
            return set_method(self, fn.__self__, fn.__name__, args, kwargs, node)
        ufunc = getattr(fn, "__self__", None)
        if isinstance(ufunc, np.ufunc):
            return ufuncs.ufunc_method(self, ufunc, fn.__name__, args, kwargs, node)
        if isinstance(fn, remembering.CACHED):
            return remembering.cached(self, fn, args, kwargs, node)
        if fn is hash and len(args) == 1 and isinstance(args[0], Static):
            return self.call_now(fn, args, kwargs, node)
        if ufuncs.has_options(fn, args, kwargs):
            return ufuncs.with_options(self, fn, args, kwargs, node)
        if (written := replacement(fn)) is not None:
            return self.inline(function_source(written), args, kwargs, node, None)
        known = None if isinstance(fn, type) else resolve(fn)
        if known is not None and arrays.is_available(known):
            args = [long_tuples.items_of(self, a, node) for a in args]
            made = arrays.function(self, known, args, kwargs, node, numpys=is_numpys(fn))
            note_maker(self.ctx, made, is_numpys(fn))
            return made
        if (reason := eager_only(fn)) is not None:
            self.ctx.refuse(node, *reason)
        script = getattr(fn, "__tracejit_function__", None)
        if script is not None:
            bound = getattr(fn, "__tracejit_self__", None)
            return self.call_object(script, args if bound is None else [Static(bound), *args], kwargs, node)
        if isinstance(fn, functools.partial):
            return self.call_value(self.bound(fn, node), args, kwargs, node)
        if module_parts.lists_parts(fn):
            return module_parts.parts(self, fn, args, kwargs, node)
        if isinstance(fn, types.MethodType):
            return self.call_object(fn.__func__, [Static(fn.__self__), *args], kwargs, node)
        if dispatching.is_dispatching(fn):
            return dispatching.dispatched(self, fn, args, kwargs, node)
        if isinstance(fn, types.FunctionType) and not is_numpys(fn):
            return self.inline(self.source_of(fn, node), args, kwargs, node, None)
        if isinstance(fn, type):
            return self.construct(fn, args, kwargs, node)
        if (made := module_parts.forward(self, fn, args, kwargs, node)) is not None:
            return made
        call = self.statics.member(type(fn), "__call__")
        if isinstance(call, types.FunctionType):
            return self.call_object(call, [Static(fn), *args], kwargs, node)
        if all(isinstance(a, Static) for a in [*args, *kwargs.values()]) and is_pure_builtin(fn):
            return self.call_now(fn, args, kwargs, node)
        if not callable(fn):
            return self.arith.mismatch(TypeError(f"'{type(fn).__name__}' object is not callable"), node)
        self.ctx.refuse(node, *not_known(fn))

    def bound(self, fn: functools.partial[Any], node: ast.AST) -> BoundFunction:
        """A `functools.partial` from outside."""
        first = self.attribute(Static(fn), "args", node)
        named = self.attribute(Static(fn), "keywords", node)
        items = first.items if isinstance(first, TupleValue) else map(Static, fn.args)
        pairs = (
            named.items.items() if isinstance(named, DictValue) else ((k, Static(v)) for k, v in fn.keywords.items())
        )
        return BoundFunction(self.attribute(Static(fn), "func", node), tuple(items), tuple(pairs))

    def own_derivative(
        self, fn: Any, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST
    ) -> FrontValue | None:
        """A call of a function with a derivative of its own; None for others."""
        function = fn.__self__ if isinstance(fn, types.MethodType) and fn.__name__ == "apply" else None
        rule = function if isinstance(function, type) and issubclass(function, Function) else None
        if rule is None and not isinstance(fn, custom_vjp):
            return None
        if kwargs:
            self.ctx.refuse(node, f"{name_of(fn)} takes positional arguments in a script", "name none of them")
        if rule is not None:
            return lower_function(rule, self, args, node)
        assert isinstance(fn, custom_vjp)
        return lower_custom_vjp(fn, self, args, node)

    def call_now(self, fn: Any, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST) -> FrontValue:
        """A pure function of compile-time objects. An array that it gives is one of the program's own, at each call."""
        given = [a.value for a in args]  # type: ignore[union-attr]
        if fn is not id and (unsettled := [g for g in given if not runs_nothing(fn, g)]):
            cls = type(unsettled[0]).__name__
            self.ctx.refuse(node, f"{name_of(fn)}() would run a method of {cls} while compiling", "call the method")
        if fn is id or (fn is hash and not all(map(has_same_hash, given))):
            note_read(PROCESS)
        try:
            made = fn(*given, **{k: v.value for k, v in kwargs.items()})  # type: ignore[union-attr]
        except Exception as error:
            self.met(error, node)
        if not isinstance(made, np.ndarray) or made.dtype.kind not in "biufc":
            return Static(made)
        array = self.as_operand(Static(made))
        return arrays.function(self, "copy", [array], {}, node) if made.flags.writeable else array

    def met(self, error: Exception, node: ast.AST) -> NoReturn:
        """An error of compile-time objects is raised when its line is reached."""
        if isinstance(error, KeyError):
            self.arith.mismatch(error, node)
        self.ctx.check_false(type(error).__name__, escape(str(error)))

    def construct(self, cls: type, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST) -> FrontValue:
        """An instance of a class."""
        if (made := constructed(self, cls, args, kwargs, node)) is not None:
            return made
        if (made := self.objects.construct(standing(cls) or cls, args, kwargs, node)) is not None:
            return made
        known = all(isinstance(a, Static) for a in [*args, *kwargs.values()])
        if known and (cls is Device or is_pure_builtin(cls)):
            return self.call_now(cls, args, kwargs, node)
        if known and module_parts.is_settings(cls):
            made = self.call_now(cls, args, kwargs, node)
            assert isinstance(made, Static)
            return self.statics.lasting(made)
        reason = f"{cls.__name__} objects cannot be made in a script"
        self.ctx.refuse(node, reason, "make it outside, and pass it as an argument")

    # -- inlining ---------------------------------------------------------------------------------------------

    def source_of(self, fn: types.FunctionType, node: ast.AST) -> FunctionSource:
        source = None
        try:
            source = function_source(fn)
            check_subset(source, may_yield=True)
        except ScriptError as error:
            if source is None:
                self.ctx.refuse(node, error.reason, error.instead)
            if source.is_standard:
                self.ctx.refuse(node, *of_standard(source, error.reason))
            raise
        return source

    def inline(
        self,
        source: FunctionSource,
        args: list[FrontValue],
        kwargs: dict[str, FrontValue],
        node: ast.AST,
        closure: Closure | None,
    ) -> FrontValue:
        """Lower a Python function's body here; its result is the call's value."""
        callers = list(self.ctx.frames())
        recursion = self.ctx.recursion
        assert recursion is not None
        if len(callers) > _DEPTH:
            self.ctx.refuse(node, f"calls are nested more than {_DEPTH} deep", "call fewer functions in each other")
        if recursion.is_recursive(source) or source.function in OUTLINED:
            return recursion.invoke(self, source, bound(self, source, args, kwargs, node, closure), node, closure)
        if source.node in recursion.known.collected:
            return collected_generators.called(self, source, args, kwargs, node, closure)
        recursion.look_for(source, args, callers)
        env = bound(self, source, args, kwargs, node, closure)
        if generators.is_generator(source.node):
            generator = GeneratorValue(source, env, closure, self.ctx.loops)
            return resumable.made(self, generator, node) if source.node in recursion.known.resumable else generator
        outer, path = self.ctx.frame, self.ctx.path
        site = None if source.is_users else outer.span(node)
        self.ctx.frame = Frame(source, env, outer, None if closure is None else closure.frame, site=site)
        self.ctx.path = (*path, node)
        try:
            alive = self.run(source)
            result = self.ctx.frame.result
        finally:
            self.ctx.frame, self.ctx.path = outer, path
        if not alive or result is None:
            raise Unreachable
        self.ctx.at(node)
        return result

    def run(self, source: FunctionSource) -> bool:
        """Lower a function's statements in the current frame."""
        node = source.node
        body: list[ast.stmt] = (
            node.body if isinstance(node, ast.FunctionDef) else [ast.copy_location(ast.Return(node.body), node.body)]
        )
        statements = desugar(body, node)
        annotate(statements)
        return self.statements.block(statements)

    # -- what other parts ask for -------------------------------------------------------------------------------

    def is_instance(self, value: FrontValue, cls: FrontValue, node: ast.AST) -> bool:
        """Whether a value is an instance of a class, or of one of a tuple of classes."""
        return class_calls.is_instance(self, value, self.static(cls, node, "the class"))

    def both(self, x: FrontValue, y: FrontValue, node: ast.AST) -> FrontValue:
        """`x and y` of two conditions."""
        a, b = self.arith.truth(x, node), self.arith.truth(y, node)
        if isinstance(a, bool):
            return y if a else Static(False)
        if isinstance(b, bool):
            return x if b else Static(False)
        return Number(self.ctx.b.emit("logical_and", (a, b))[0], weak=True)

    def static_subscript(self, value: Any, index: FrontValue, node: ast.AST) -> FrontValue:
        """Indexing a compile-time object."""
        if (made := grid_subscript(self, value, index, node)) is not None:
            return made
        if isinstance(value, str) and (made := made_texts.subscripted(self, value, index, node)) is not None:
            return made
        if isinstance(index, SliceValue):
            bounds = index.start, index.stop, index.step
            index = Static(slice(*(None if p is None else self.static(p, node, "a slice bound") for p in bounds)))
        if (made := module_parts.parameter(self, Static(value), index, node)) is not None:
            return made
        if isinstance(index, Static):
            try:
                return self.of_object(value[index.value])
            except Exception as error:
                self.met(error, node)
        if isinstance(value, str) and isinstance(index, Number) and not self.ctx.loops_to_unroll():
            return letter(self, value, index, node)
        module_list = getattr(value, "__getitem__", None)
        if module_list is None:
            self.arith.mismatch(TypeError(f"'{type(value).__name__}' object is not subscriptable"), node)
        return self.static_subscript(value, Static(self.static(index, node, "this index")), node)

    def array_of(self, value: FrontValue, dtype: Any, node: ast.AST) -> ArrayView:
        """A nested list of numbers as an array."""
        return creation.array_of(self, value, dtype, node)

    def static(self, value: FrontValue, node: ast.AST, what: str) -> Any:
        """A compile-time object that a call needs (an axis, a dtype, a flag)."""
        match value:
            case Static(obj):
                return obj
            case TupleValue(items) | ListValue(items):
                return tuple(self.static(i, node, what) for i in items)
            case Number() if (found := self.ctx.static_request(value.value)) is not None:
                raise found
            case Number() if value.weak and not (decided := decided_by(self.ctx, value.value)).by_data:
                return compiled_in(decided)
            case _:
                self.ctx.require_known(
                    node,
                    f"{what} must be known when the function is compiled, not {describe(value)}",
                    "write it as a literal, or pass it as an argument of its own",
                )


Handler = Callable[[Calls, list[FrontValue], dict[str, FrontValue], ast.AST], FrontValue]


def _identity(fn: Any) -> Any:
    """A key for handler tables: the object itself where it is hashable."""
    return fn if isinstance(fn, Hashable) else id(fn)
