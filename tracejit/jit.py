"""PyTorch's `torch.jit` names, for programs that were written for its script compiler.

`script` and `trace` are tracejit's. Marks that tell that compiler what to leave out or keep (`ignore`, `unused`,
`export`, `interface`, `Final`) change nothing: a script compiles what it calls, and refuses what it cannot.
"""

from __future__ import annotations

import builtins
import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Generic, TypeVar

from tracejit.eager.hints import is_instance_of as isinstance
from tracejit.eager.hints import is_scripting, is_tracing
from tracejit.nn import Module
from tracejit.saving import load as _load
from tracejit.saving import save as _save
from tracejit.scripted import ScriptedFunction as ScriptFunction
from tracejit.scripted import script
from tracejit.scripted import trace as _trace

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")

__all__ = [
    "Attribute",
    "Error",
    "Final",
    "Future",
    "ScriptFunction",
    "ScriptModule",
    "annotate",
    "export",
    "fork",
    "freeze",
    "ignore",
    "interface",
    "is_scripting",
    "is_tracing",
    "isinstance",
    "load",
    "optimize_for_inference",
    "save",
    "script",
    "script_if_tracing",
    "script_method",
    "trace",
    "unused",
    "wait",
]


class _OfModules(type):
    """Every module is an instance of `ScriptModule`, as is what `script` makes of one."""

    def __instancecheck__(cls, instance: Any) -> bool:
        return builtins.isinstance(instance, Module) if cls is ScriptModule else super().__instancecheck__(instance)


class ScriptModule(Module, metaclass=_OfModules):
    """A module whose methods may be scripts."""

    def __init__(self, optimize: bool | None = None) -> None:
        super().__init__()


script_method = script

#: What a script raises keeps its class: `ValueError` where plain Python has one.
Error = Exception

#: Names of `torch.jit` that are not here, and what takes their place.
_ELSEWHERE = {
    "CompilationUnit": "functions with @tj.script",
    "trace_module": "trace(module, example_inputs)",
}


def __getattr__(name: str) -> Any:
    instead = f": use {_ELSEWHERE[name]}" if name in _ELSEWHERE else ""
    raise AttributeError(f"module 'tracejit.jit' has no attribute '{name}'{instead}")


def annotate(the_type: Any, the_value: T) -> T:
    """The value: scripts find types by themselves."""
    return the_value


def _unwrap_optional(x: T | None) -> T:  # pyright: ignore[reportUnusedFunction]
    """What may be None, where it is not; an AssertionError where it is."""
    assert x is not None, "Unwrapping null optional"
    return x


class Future(Generic[T]):
    """The result of a `fork`."""

    def __init__(self, result: T) -> None:
        self._result = result

    def wait(self) -> T:
        """The result."""
        return self._result

    def value(self) -> T:
        """The result."""
        return self._result

    def done(self) -> bool:
        """Whether the result is there."""
        return True


def fork(func: Callable[..., T], *args: Any, **kwargs: Any) -> Future[T]:
    """Call a function whose result is waited for later. It runs at once: kernels of a script share threads anyway."""
    return Future(func(*args, **kwargs))


def wait(future: Future[T]) -> T:
    """The result of a fork."""
    return future.wait()


def trace(
    func: Callable[..., Any],
    example_inputs: Any = (),
    *,
    check_trace: bool = True,
    check_inputs: Sequence[Any] = (),
    strict: bool = True,
    example_kwarg_inputs: Mapping[str, Any] | None = None,
) -> Any:
    """`tj.trace` with PyTorch's arguments: a tuple of examples, or one, and those by keyword. With `check_trace` the
    recorded function is called on copies of them, and of each of `check_inputs`, so that errors of the calls are errors
    here. Containers may be results whatever `strict` says."""
    named = dict(example_kwarg_inputs or {})
    traced = _trace(func, *_several(example_inputs), **named)
    if check_trace:
        for given in (example_inputs, *check_inputs):
            traced(*copy.deepcopy(_several(given)), **copy.deepcopy(named))
    return traced


def _several(inputs: Any) -> tuple[Any, ...]:
    return tuple(inputs) if builtins.isinstance(inputs, tuple | list) else (inputs,)


def _mark(fn: F) -> F:
    return fn


export = interface = unused = script_if_tracing = _mark


def ignore(drop: Any = False, **options: Any) -> Any:
    """A mark, with brackets or without."""
    return drop if callable(drop) else _mark


def Attribute(value: T, type: Any) -> T:
    """The value: attributes of scripted modules need no types."""
    return value


def freeze(mod: Any, preserved_attrs: Sequence[str] | None = None, optimize_numerics: bool = True) -> Any:
    """A script of a copy of a module: later changes of the module are not the copy's, and its parameters ask for no
    gradients. All attributes are preserved, numerics are as ever. RuntimeError where it is in training mode."""
    if mod.training:
        raise RuntimeError("freeze() takes a module in evaluation mode: call eval() first")
    frozen = script(copy.deepcopy(mod))
    frozen.requires_grad_(False)
    return frozen


def optimize_for_inference(mod: Any, other_methods: Sequence[str] | None = None) -> Any:
    """The frozen module, which is compiled for inference as it is; `mod` is put into evaluation mode."""
    return freeze(mod.eval(), other_methods)


def save(
    m: Any, f: Any, example_args: Sequence[Any] | None = None, _extra_files: Mapping[str, str | bytes] | None = None
) -> None:
    """Write a script or scripted module to a path or an open file: what it was compiled for so far, or with
    `example_args`, which are not run, what a call with these needs. RuntimeError where it cannot be saved or written.

    The file has graphs as text, weights as safetensors, and no code. `_extra_files` are further contents by name.
    """
    _save(m, f, example_args, _extra_files)


def load(
    f: Any, map_location: Any = None, _extra_files: dict[str, Any] | None = None, _restore_shapes: bool = False
) -> Any:
    """What `save` wrote, from a path or an open file, as something to call: it needs no source, and executes nothing of
    the file. A call that was not saved is a TypeError that lists those that were. `_extra_files` gets the contents of
    the names that it has. RuntimeError for what is no such file or damaged."""
    return _load(f, map_location, _extra_files)
