"""Names from outside the function: closures, globals, attributes of objects; hidden inputs and guards.

An array found there is a hidden input, fetched anew at every call. Any other value is compiled in and guarded: a
call that finds it changed compiles again.
"""

from __future__ import annotations

import ast
import builtins
import dataclasses
import enum
import functools
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from tracejit.devices import is_array
from tracejit.eager.tensor import Tensor
from tracejit.errors import ScriptError
from tracejit.frontend.boundary.signature import (
    CHANGEABLE,
    CONVERSION,
    MISSING,
    Access,
    ArraySpec,
    OwnContainer,
    Spec,
    StaticSpec,
    TreeSpec,
    constant_access,
    contents,
    refined,
    require_dtype,
    require_plain,
    spec_of,
    tree_children,
)
from tracejit.frontend.containers import tables
from tracejit.frontend.context import Context
from tracejit.frontend.instances.heap import Contents
from tracejit.frontend.instances.local_classes import MADE
from tracejit.frontend.kinds import NumberKind, TupleKind
from tracejit.frontend.restarts import AttributeVaries, FoundLate
from tracejit.frontend.tensors.devices import require_outer
from tracejit.frontend.values import (
    ArrayView,
    DictValue,
    FrontValue,
    GrowingList,
    ListValue,
    Mutable,
    Number,
    ObjectValue,
    SequenceValue,
    SharedList,
    SharedObject,
    Size,
    Static,
    TupleValue,
    dict_class,
    root_of,
)
from tracejit.ir.types import BY_NUMPY_NAME
from tracejit.messages import escape

if TYPE_CHECKING:
    from tracejit.frontend.functions.recursion import Known

_FIXED_MODULES = ("numpy", "math", "tracejit", "builtins", "cmath", "operator")


#: What has the attributes of its class only, which stay.
_VALUES = (int, float, complex, str, bytes, type(None), range, slice, np.generic, np.dtype, np.ufunc)


def _is_fixed(owner: Any) -> bool:
    """Whether an object is a module whose names are taken to stay what they are."""
    return isinstance(owner, types.ModuleType) and owner.__name__.split(".")[0] in _FIXED_MODULES


def _is_fixed_class(cls: type) -> bool:
    """Whether a class is one whose attributes are taken to stay what they are."""
    return cls.__module__.split(".")[0] in _FIXED_MODULES


def is_number(value: Any) -> bool:
    """Whether a value is a number that can be a run-time one: Python's, but no bool, or NumPy's."""
    return type(value) in (int, float, complex) or (isinstance(value, np.number) and value.dtype.name in BY_NUMPY_NAME)


class Statics:
    """Resolves outer names; collects guards. `add_input(access, spec)` makes a hidden input of an array, `add_number`
    of a number at one of the accesses `known.varying`."""

    def __init__(
        self,
        ctx: Context,
        add_input: Callable[[Access, Any], ArrayView],
        add_number: Callable[[Access, Any], FrontValue],
        known: Known,
    ) -> None:
        self.ctx = ctx
        self.add_input = add_input
        self.add_number = add_number
        self.known = known
        self.guards: dict[Access, Spec] = {}
        self.arrays: dict[int, ArrayView] = {}
        self.keep: list[Any] = []
        self.constants: list[Any] = []  #: objects that the script makes while it is compiled, and may not change
        self.outer: dict[int, ObjectValue] = {}  #: objects from outside: the attributes that the script sets
        self.given: dict[Mutable, Contents] = {}  #: dicts and objects of the caller, with what they hold at the start
        #: lists of the caller, and dicts with keys known at run time only, with what they or their bases hold at first
        self.lists: list[tuple[Access, tuple[Any, ...], FrontValue]] = []
        self.containers: dict[int, FrontValue] = {}
        #: makes a growing list of items
        self.grow: Callable[[Sequence[FrontValue] | SequenceValue, object], GrowingList]
        #: makes a dict with keys known at run time only
        self.table: Callable[[Mapping[Any, FrontValue]], ObjectValue | SharedObject]
        self.in_pool: Callable[[FrontValue], FrontValue]  #: puts a list where other lists may hold it
        self.pools: dict[object, tuple[Any, ...]] = {}  #: what pools held when the arguments were there
        self.original: dict[int, dict[str, FrontValue]] = {}  #: owner -> what those were before

    def outer_name(self, node: ast.AST, name: str) -> FrontValue:
        """A name that is not local: closure cell, global or builtin."""
        source = self.ctx.frame.source
        cell = source.closure.get(name)
        if cell is not None:
            try:
                value = cell.cell_contents
            except ValueError:
                text = (
                    f"cannot access free variable {name!r} where it is not associated with a value in enclosing scope"
                )
                self.missing(constant_access(cell).step("cell"), "NameError", text)
            return self.guarded(value, constant_access(cell).step("cell"))
        if name in source.globals and source.is_library:
            return Static(source.globals[name])
        if name in source.globals:
            return self.guarded(source.globals[name], constant_access(source.globals).step("item", name))
        if hasattr(builtins, name):
            return Static(getattr(builtins, name))
        self.missing(constant_access(source.globals).step("item", name), "NameError", f"name {name!r} is not defined")

    def missing(self, access: Access, kind: str, message: str) -> NoReturn:
        """What is not there raises where it is read, for as long as it is not there."""
        self.guards[access] = StaticSpec(MISSING)
        self.ctx.check_false(kind, message)

    def guarded(self, value: Any, access: Access) -> FrontValue:
        """An outer value: arrays become hidden inputs, others are guarded."""
        if isinstance(value, Tensor) or is_array(value):
            return self.hidden(value, access)
        if _is_fixed(value):
            return Static(value)
        if access in self.known.varying and is_number(value):
            return self.add_number(access, spec_of(value))
        if isinstance(value, list | dict) or (isinstance(value, tuple) and self.holds_changing(value)):
            return self.container(value, access)
        try:
            require_dtype(value)
        except TypeError as error:
            raise ScriptError(str(error), self.ctx.b.span, instead="use np.float64") from None
        self.guards[access] = StaticSpec(value)
        self.guard_contents(value, access)
        self.keep.append(value)
        return Static(value)

    def guard_contents(self, value: Any, access: Access) -> None:
        """Rely on what a changeable compile-time object holds."""
        if isinstance(value, CHANGEABLE):
            self.guards[access.step("contents")] = StaticSpec(contents(value))

    def hidden(self, value: Any, access: Access) -> ArrayView:
        """An array as an input of the graph; one array reached by two ways is one input."""
        found = self.arrays.get(id(value))
        if found is None:
            try:
                spec = spec_of(value)
            except TypeError as error:
                raise ScriptError(str(error), self.ctx.b.span, instead=CONVERSION) from None
            if (
                self.ctx.any_size or self.ctx.exact_sizes
            ):  # an exported program embeds the array, a trace relies on them
                spec = dataclasses.replace(spec, dims=tuple(value.shape))  # type: ignore[type-var]
            assert isinstance(spec, ArraySpec)
            require_outer(self.ctx, spec)
            spec = refined(spec, access, value, (), self.known.sizes)
            found = self.arrays[id(value)] = self.add_input(access, spec)
            self.keep.append(value)
        return found

    def holds_changing(self, value: tuple[Any, ...]) -> bool:
        """Whether a tuple holds what may change while it stays the same: arrays and containers."""
        changing = (Tensor, list, dict, *CHANGEABLE)
        return any(
            self.holds_changing(v) if isinstance(v, tuple) else isinstance(v, changing) or is_array(v) for v in value
        )

    def container(self, value: Any, access: Access) -> FrontValue:
        """A list, dict or tuple from outside: its parts, each guarded or a hidden input."""
        if id(value) in self.containers:
            return self.containers[id(value)]
        made = self.containers[id(value)] = self.new_container(value, access)
        self.keep.append(value)
        return made

    def new_container(self, value: Any, access: Access) -> FrontValue:
        try:
            require_plain(value)
        except OwnContainer as error:
            raise ScriptError(str(error), self.ctx.b.span, instead=error.instead) from None
        keys, children = tree_children(value)
        self.guards[access] = TreeSpec(type(value), keys, ())
        kind = "item" if isinstance(value, dict) else "tuple" if isinstance(value, tuple) else "list"
        items = [self.guarded(c, access.step(kind, k)) for k, c in zip(keys, children, strict=True)]
        if isinstance(value, dict):
            if self.ctx.level and ("dict", ("outside", access)) in self.ctx.growing:
                raise FoundLate(value, access)
            return self.of_outside(DictValue(dict(zip(keys, items, strict=True)), access, cls=dict_class(type(value))))
        if isinstance(value, tuple):
            return TupleValue(tuple(items), type(value) if hasattr(value, "_fields") else None)
        if self.ctx.level and ("outside", access) in self.ctx.growing:
            raise FoundLate(value, access)
        return self.list_of_outside(items, access)

    def items(self, owner: Any) -> tuple[Any, ...]:
        """The items of a compile-time container (a `ModuleList`, an Enum class), guarded as a whole."""
        found = tuple(owner)
        self.guards[constant_access(owner).step("iterate")] = StaticSpec(found)
        self.keep.append(found)
        return found

    def attribute(self, owner: Any, name: str, node: ast.AST) -> FrontValue:
        """An attribute of a compile-time object."""
        owner = (self.varying_of(owner, name) if isinstance(owner, type) else None) or owner
        known = self.outer.get(id(owner))
        if known is not None and name in known.fields:
            return known.fields[name]
        if _is_fixed(owner):
            return self.of_object(self.get(owner, name, node))
        if (isinstance(owner, type) and _is_fixed_class(owner)) or isinstance(
            owner, np.dtype | np.generic | np.ufunc | types.BuiltinFunctionType | str | enum.EnumType
        ):
            return self.of_object(self.get(owner, name, node))
        value = self.get(owner, name, node)
        access = constant_access(owner).step("attribute", name)
        if isinstance(value, types.MethodType) and value.__self__ is owner:
            self.rely(value.__func__, access.step("attribute", "__func__"))  # the method itself is made at every read
            return Static(value)
        return self.guarded(value, access)

    def rely(self, value: Any, access: Access) -> None:
        """Compile in a value: a call that finds another one compiles again."""
        self.guards[access] = StaticSpec(value)
        self.keep.append(value)

    def enums_method(self, value: Any, name: str) -> types.FunctionType | None:
        """The function behind a method that all members of an Enum share; None for what is no such method."""
        found = self.member(type(value), name) if isinstance(value, enum.Enum) else None
        return found if isinstance(found, types.FunctionType) else None

    def relied(self, owner: Any, name: str) -> Any:
        """What an attribute of a compile-time object holds, compiled in."""
        value = getattr(owner, name)
        self.rely(value, constant_access(owner).step("attribute", name))
        return value

    def member(self, cls: type, name: str, instance: Access | None = None) -> Any:
        """An attribute as it stands in a class, `MISSING` if there is none; relied on where it is the user's, who may
        set another one in the class, or in the instance of which `instance` is given."""
        home = next((base for base in cls.__mro__ if name in vars(base)), None)
        if home is None:
            return MISSING
        found, held = vars(home)[name], getattr(cls, name, MISSING)
        if _is_fixed_class(home) or self.varies(home, name):
            return found
        access = constant_access(cls).step("attribute", name)
        if instance is not None and isinstance(found, types.FunctionType):
            self.rely(found, instance.step("attribute", name).step("attribute", "__func__"))
        elif isinstance(held, types.MethodType):
            self.rely(held.__func__, access.step("attribute", "__func__"))
        elif held is not MISSING and held is getattr(cls, name):
            self.rely(held, access)
        return found

    def varies(self, cls: type, name: str) -> bool:
        """Whether a class has a number of this name that the script sets."""
        return constant_access(cls).step("attribute", name) in self.known.varying

    def varying_of(self, cls: type, name: str) -> type | None:
        """The class in which a number that the script sets stands, of those that one looks through; None for others."""
        home = next((base for base in cls.__mro__ if name in vars(base)), None)
        return home if home is not None and self.varies(home, name) else None

    def getter(self, owner: Any, name: str) -> types.FunctionType | None:
        """The function of a property of a compile-time object; None where the name is no property."""
        if isinstance(owner, type | types.ModuleType):
            return None
        found = self.member(type(owner), name)
        if not isinstance(found, property) or not isinstance(found.fget, types.FunctionType):
            return None
        self.guard_class(owner)
        return found.fget

    def guard_class(self, owner: Any) -> None:
        """Rely on the class of a compile-time object whose class may be set."""
        if hasattr(owner, "__dict__") and not isinstance(owner, type | types.ModuleType | types.FunctionType):
            self.rely(type(owner), constant_access(owner).step("attribute", "__class__"))

    def defaults(self, fn: Any) -> tuple[list[FrontValue], dict[str, FrontValue | None]]:
        """The defaults of a function's parameters, by position and by keyword."""

        def default(value: Any, name: str, kind: str, key: object) -> FrontValue:
            if not self.holds_changing((value,)):
                return self.of_object(value)
            return self.guarded(value, constant_access(fn).step("attribute", name).step(kind, key))

        return (
            [default(v, "__defaults__", "tuple", i) for i, v in enumerate(fn.__defaults__ or ())],
            {k: default(v, "__kwdefaults__", "item", k) for k, v in (fn.__kwdefaults__ or {}).items()},
        )

    def get(self, owner: Any, name: str, node: ast.AST) -> Any:
        try:
            return getattr(owner, name)
        except AttributeError as error:
            self.ctx.at(node)
            text = escape(str(error))
            self.missing(constant_access(owner).step("attribute", name), "AttributeError", text)

    def guard_has(self, x: FrontValue, name: str) -> None:
        """Rely on whether a compile-time object or one of the caller's has an attribute."""
        if isinstance(x, ObjectValue) and (instance := self.lacking(x, name)) is not None:
            self.guards[instance.step("has", name)] = StaticSpec(hasattr(x.cls, name))
        elif isinstance(x, Static) and not _is_fixed(x.value) and not isinstance(x.value, _VALUES):
            self.guards[constant_access(x.value).step("has", name)] = StaticSpec(hasattr(x.value, name))

    def is_made_up(self, owner: Any, name: str) -> bool:
        """Whether it takes the `__getattr__` of a compile-time object's class to tell of an attribute; relied on."""
        maker = MISSING if hasattr(type(owner), name) else self.member(type(owner), "__getattr__")
        is_users = isinstance(maker, types.FunctionType) and not hasattr(type(owner), "state_dict")
        return is_users and self.lacks(owner, name)

    def is_made(self, owner: Any, name: str) -> bool:
        """Whether a function of an object's class makes an attribute that the object has not, when it is read."""
        is_cached = isinstance(getattr(type(owner), name, None), functools.cached_property)
        return (is_cached and self.lacks(owner, name)) or self.is_made_up(owner, name)

    def lacks(self, owner: Any, name: str) -> bool:
        """Whether a compile-time object has no attribute of its own by that name; relied on."""
        known, own = self.outer.get(id(owner)), getattr(owner, "__dict__", None)
        if own is None or name in own or (known is not None and name in known.fields):
            return False
        self.guards[constant_access(owner).step("attribute", "__dict__").step("item", name)] = StaticSpec(MISSING)
        return True

    def lacking(self, x: FrontValue, name: str) -> Access | None:
        """The access of an object of the caller that came without an attribute of its own by that name; else None."""
        if not isinstance(x, ObjectValue) or x not in self.given or name in self.given[x]:
            return None
        return x.access

    def not_imported(self, module: types.ModuleType, name: str) -> NoReturn:
        """A module has nothing of the name that is imported from it."""
        text = f"cannot import name {name!r} from {module.__name__!r}"
        self.missing(constant_access(module).step("attribute", name), "ImportError", text)

    def can_be_set(self, cls: type, name: str) -> bool:
        """Whether a script may set an attribute of a class: a number that stands there."""
        is_lasting = type(cls) is type and not _is_fixed_class(cls) and cls not in MADE
        return is_lasting and is_number(vars(cls).get(name))

    def set_attribute(self, owner: Any, name: str, value: FrontValue, node: ast.AST) -> None:
        """`owner.name = value` for an object from outside."""
        if any(owner is made for made in self.constants):
            reason = f"a {type(owner).__name__} that a script makes stays as it is"
            self.ctx.refuse(node, reason, "give it its settings when it is made, or make it outside")
        access = constant_access(owner).step("attribute", name)
        known = self.outer.get(id(owner))
        if known is None:
            known = self.outer[id(owner)] = ObjectValue(type(owner), {}, constant_access(owner))
            self.keep.append(owner)
            self.ctx.heap.add_outer(known, ("outside", id(owner)))
        if name not in known.fields:
            found = MISSING if self.is_made(owner, name) else getattr(owner, name, MISSING)
            if is_number(found) and access not in self.known.varying:
                if access in self.guards or isinstance(owner, type):  # it was read, and compiled in
                    raise AttributeVaries(access)
                self.known.varying.add(access)
            if found is not MISSING:
                original = self.original.setdefault(id(owner), {})
                original[name] = self.attribute(owner, name, node)
                self.ctx.heap.met(known, name, original[name])
        self.ctx.set_part(known, name, value, node)

    def lasting(self, made: Static) -> Static:
        """An object that the script makes while it is compiled: it is the same one in each call."""
        self.keep.append(made.value)
        self.constants.append(made.value)
        return made

    @property
    def written(self) -> set[tuple[int, str]]:
        """The attributes of objects from outside that were set, by the object's id and name."""
        return {(owner, name) for owner, o in self.outer.items() for name in o.fields}

    def numbers_of_outside(self, columns: Sequence[ArrayView], in_tuples: bool, access: Access) -> FrontValue:
        """A list of many numbers, or of tuples of them, that the caller has, given as arrays."""

        def item(i: Size) -> FrontValue:
            parts = tuple(Number(self.ctx.element(column, (i,)).value, weak=True) for column in columns)
            return TupleValue(parts) if in_tuples else parts[0]

        kinds = tuple(NumberKind(column.dtype, weak=True) for column in columns)
        self.ctx.growing.setdefault(("outside", access), TupleKind(kinds, tuple) if in_tuples else kinds[0])
        return self.list_of_outside(SequenceValue(columns[0].lengths[0], item), access)

    def list_of_outside(self, items: Sequence[FrontValue] | SequenceValue, access: Access) -> FrontValue:
        """A list that the caller has; one that changes at run time grows from the start."""
        key = ("outside", access)
        made: FrontValue
        start: tuple[Any, ...]
        if isinstance(items, SequenceValue) or key in self.ctx.growing:
            made = self.grow(items, key)
            start = tuple(self.ctx.storage.bases[c] for c in made.storages)
        else:
            made, start = ListValue(list(items), 0, frozenset((key,))), tuple(items)
        made = self.in_pool(made)
        self.lists.append((access, start, made))
        self.ctx.merged_lists.given.append((access, made))
        return made

    def note_pools(self) -> None:
        """The arguments are all there: what pools hold from now on, the script put there."""
        self.pools = {root: self.held(pool) for root, pool in self.ctx.pools.items()}

    def held(self, pool: ObjectValue) -> tuple[Any, ...]:
        """The memory of a pool, or of a dict, as it is now."""
        lists = (x for x in pool.fields.values() if isinstance(x, GrowingList))
        return tuple(self.ctx.storage.bases[c] for x in lists for c in x.storages)

    def in_the_pool(self, pool: ObjectValue) -> tuple[Access, ...]:
        """Where the caller has the lists of a pool that are its own: the first ones in the pool."""
        return tuple(a for a, _, made in self.lists if isinstance(made, SharedList) and made.pool is pool)

    def changed_lists(self) -> Iterator[tuple[Access, FrontValue]]:
        """The lists, and dicts with keys known at run time only, of the caller that hold something else now."""
        for access, start, made in self.lists:
            if isinstance(made, SharedList):
                if self.held(made.pool) != self.pools.get(root_of(made)):
                    yield access, made
                continue
            if isinstance(made, ObjectValue):
                if self.held(made) != start:
                    yield access, made
                continue
            now = made.items if isinstance(made, ListValue) else ()
            if isinstance(made, GrowingList):
                now = [self.ctx.storage.bases[c] for c in made.storages]
            if len(now) != len(start) or any(a is not b for a, b in zip(start, now, strict=True)):
                yield access, made

    def access_of(self, value: FrontValue) -> Access | None:
        """Where the caller's own list, or dict with keys known at run time only, is found that a value is."""
        for access, _, made in self.lists:
            same = isinstance(value, GrowingList) and isinstance(made, GrowingList) and value.storages == made.storages
            if value is made or same:
                return access
        return None

    def table_of_outside(self, value: DictValue) -> ObjectValue | None:
        """A dict that the caller has, as one of keys that are known at run time only where the script makes it so."""
        place = ("outside", value.access)
        if not tables.can_be_of_outside(value):
            return None
        value.keys = frozenset((place,))
        if not self.ctx.growing.covers(("dict", place)):
            return None
        made = self.table(value.items)
        if isinstance(made, SharedObject):
            reason = "a dict of the caller goes into a list whose length changes"
            raise ScriptError(reason, self.ctx.b.span, instead="make the dict in the script")
        assert value.access is not None
        self.lists.append((value.access, self.held(made), made))
        return made

    def of_outside(self, value: Any) -> Any:
        """A dict or object that the caller has."""
        if isinstance(value, DictValue) and (made := self.table_of_outside(value)) is not None:
            return made
        self.given[value] = value.contents
        return self.ctx.heap.add_outer(value, ("outside", value.access))

    @staticmethod
    def of_object(value: Any) -> FrontValue:
        """A compile-time object that needs no guard."""
        return Static(value)
