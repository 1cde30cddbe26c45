"""The decorator `@script`."""

from __future__ import annotations

import dataclasses
import functools
import types
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tracejit.eager.hooks import BACKWARD_TABLES, FORWARD_TABLES, MODULE_HOOKS
from tracejit.errors import Span
from tracejit.frontend.functions.names import is_numpys
from tracejit.scripted.function import BoundScript, ScriptedFunction
from tracejit.scripted.options import Options


def script(fn: Any = None, **options: Any) -> Any:
    """Compile a function, method, lambda, partial function, `nn.Module` or an object with `__call__`. A class, list or
    dict stays as it is: scripts compile what they use of it.

    Use as `@script`, `@script(fastmath=True)` or `script(fn)`. Options: `parallel`, `fastmath`, `boundscheck`, `cache`,
    `static` (names of parameters whose values are compiled in), `memory` (bytes, or text such as "64MB": what loops may
    keep for a derivative; the rest is computed again), `copies`, `fallback`. Without `boundscheck` an index out of
    range reads or writes whatever lies there. With `copies="error"` a copy of a whole array that plain NumPy would not
    make at that line is a `ScriptError`.
    Raises `ScriptError` for what is outside the language: when decorated where it can be seen then, else at the
    first call.
    """
    unknown = options.keys() - {f.name for f in dataclasses.fields(Options)}
    if unknown:
        known = ", ".join(f.name for f in dataclasses.fields(Options))
        raise TypeError(f"script() has no option {min(unknown)!r}; there are {known}")
    made = Options(**options)
    if fn is None:
        return lambda f: script(f, **options)
    if type(fn) is ScriptedFunction and options:
        return ScriptedFunction(fn.__tracejit_function__, made)
    if isinstance(fn, ScriptedFunction | BoundScript) or issubclass(type(fn), ScriptedModule):
        return fn
    if isinstance(fn, staticmethod | classmethod):
        return type(fn)(script(fn.__func__, **options))
    if isinstance(fn, types.MethodType):
        return ScriptedFunction(fn.__func__, made).__get__(fn.__self__)
    if isinstance(fn, type) and is_from_python(fn):
        if hasattr(fn, "state_dict"):
            raise TypeError(f"script() takes a module, not its class: script({fn.__name__}(...))")
        return fn
    if not isinstance(fn, types.FunctionType) and isinstance(_forward_of(fn), types.FunctionType):
        return ScriptedModule(fn, made)
    if isinstance(fn, list | dict):
        return fn
    if not callable(fn):
        raise TypeError(f"script() takes a function or a module, not {type(fn).__name__}")
    kind, call = type(fn), type(fn).__call__
    if issubclass(kind, functools.partial | functools._lru_cache_wrapper) or is_own(kind):
        return ScriptedFunction(calling(fn), made)
    if isinstance(call, types.FunctionType | ScriptedFunction):
        return script(call, **options).__get__(fn)
    return ScriptedFunction(fn, made)


def is_own(cls: type) -> bool:
    """Whether a class is tracejit's: scripts know what calls of its objects mean, such as `tj.custom_vjp`'s."""
    return cls.__module__.startswith("tracejit.")


def calling(fn: Any) -> Any:
    """A plain function that calls what has no source to compile: a function of NumPy or tracejit, a method, a module, a
    function with its own derivative, a partial function."""

    def call(*args: Any, **kwargs: Any) -> Any:
        return fn(*args, **kwargs)

    call.__name__ = getattr(fn, "__name__", type(fn).__name__)
    call.__tracejit_place__ = _place_of(fn)  # type: ignore[attr-defined]
    return call


def _place_of(fn: Any) -> Span:
    """Where the Python function is that a call of something leads to; only its name where that has no source."""
    while not isinstance(fn, types.FunctionType) or is_numpys(fn):
        inner = getattr(fn, "func" if isinstance(fn, functools.partial) else "__wrapped__", None)
        inner = getattr(fn, "__func__", None) if inner is None else inner
        if inner is None:
            return Span(f"<{getattr(fn, '__name__', type(fn).__name__)}>", 1)
        fn = inner
    return Span(fn.__code__.co_filename, fn.__code__.co_firstlineno, function=fn.__name__)


def _called(module: Any, *args: Any, **kwargs: Any) -> Any:
    """What is compiled of a module with hooks, or with a `forward` of its own."""
    return module(*args, **kwargs)


class ScriptedModule:
    """An `nn.Module` whose `forward` is compiled; parameters and buffers are inputs, all else is the module's."""

    def __init__(self, module: Any, options: Options) -> None:
        if "_parameters" not in vars(module):
            kind = type(module).__name__
            if not hasattr(type(module), "state_dict"):
                raise TypeError(f"{kind} has a forward but is no tj.nn.Module: script the method forward")
            raise RuntimeError(f"{kind} is not initialised: its __init__ calls super().__init__() first")
        self.__dict__["module"] = module
        self.__dict__["script"] = ScriptedFunction(_compiled_of(module), options)

    @property
    def __class__(self) -> type:  # type: ignore[override]
        """That of the module, so that it may be part of another module."""
        return type(self.__dict__["module"])

    @property
    def __tracejit_module__(self) -> Any:
        return self.__dict__["module"]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        module = self.__dict__["module"]
        compiled = self.__dict__["script"]
        if _has_hooks(module, BACKWARD_TABLES):
            kind = type(module).__name__
            raise RuntimeError(f"{kind} has backward hooks, which its compiled forward cannot run: remove them first")
        wanted = _compiled_of(module)
        if wanted is not compiled.__tracejit_function__:
            compiled = self.__dict__["script"] = ScriptedFunction(wanted, compiled.options)
        return compiled(module, *args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        module, compiled = self.__dict__["module"], self.__dict__["script"]
        if name in _INSPECTION and not hasattr(module, name):
            return getattr(compiled, name)
        found = getattr(module, name)
        return self._instead(found) if name in _GIVE_SELF else found

    def _instead(self, method: Callable[..., Any]) -> Callable[..., Any]:
        """A method that gives its module, which is this one here."""

        @functools.wraps(method)
        def call(*args: Any, **kwargs: Any) -> Any:
            made = method(*args, **kwargs)
            return self if made is self.__dict__["module"] else made

        return call

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self.__dict__["module"], name, value)

    def __delattr__(self, name: str) -> None:
        delattr(self.__dict__["module"], name)

    def __getitem__(self, key: Any) -> Any:
        return self.__dict__["module"][key]

    def __iter__(self) -> Iterator[Any]:
        return iter(self.__dict__["module"])

    def __contains__(self, item: object) -> bool:
        return item in self.__dict__["module"]

    def __len__(self) -> int:
        return len(self.__dict__["module"])

    def __bool__(self) -> bool:
        return bool(self.__dict__["module"])

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        return ScriptedModule, (self.__dict__["module"], self.__dict__["script"].options)

    def graph_for(self, *args: Any, **kwargs: Any) -> str:
        """The graph for these arguments, as IR text; nothing is run."""
        return self.__dict__["script"].graph_for(self.__dict__["module"], *args, **kwargs)

    def explain(self, *args: Any, **kwargs: Any) -> str:
        """What became of the module for these arguments."""
        return self.__dict__["script"].explain(self.__dict__["module"], *args, **kwargs)

    def save(self, file: Any, example_args: Sequence[Any] | None = None) -> None:
        """Write what was compiled so far, or what a call with the examples needs: see `tracejit.jit.save`."""
        import tracejit as tj

        tj.jit.save(self, file, example_args)

    def __dir__(self) -> list[str]:
        return sorted({*dir(self.__dict__["module"]), *object.__dir__(self), *_INSPECTION})

    def __repr__(self) -> str:
        return f"script({self.__dict__['module']!r})"


#: Methods of modules that give the module itself.
_GIVE_SELF = frozenset(("train", "eval", "apply", "to", "float", "double", "half", "cpu", "cuda", "requires_grad_"))
_INSPECTION = frozenset(("graph", "ir", "llvm", "asm", "cuda", "compiles", "save_html", "last", "options"))


def _forward_of(module: Any) -> Any:
    """The plain `forward` of a module's class; None where there is none."""
    forward = getattr(type(module), "forward", None)
    return getattr(forward, "__tracejit_function__", forward)


def _compiled_of(module: Any) -> Any:
    """What to compile of a module as it is now."""
    return _called if "forward" in vars(module) or _has_hooks(module, FORWARD_TABLES) else _forward_of(module)


def _has_hooks(module: Any, tables: tuple[str, ...]) -> bool:
    return MODULE_HOOKS.count > 0 and any(getattr(module, name, None) for name in tables)


def is_from_python(cls: type) -> bool:
    """Whether a class was written in Python, not built in."""
    return bool(cls.__flags__ & _HEAP_TYPE) and "__module__" in vars(cls)


_HEAP_TYPE = 1 << 9
