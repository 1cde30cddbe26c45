"""`tj.trace`: a function recorded by running it, compiled and called as a script is."""

from __future__ import annotations

import ast
import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tracejit import config
from tracejit.eager.tensor import Tensor
from tracejit.frontend.boundary.signature import Access, Spec
from tracejit.frontend.function import Lowered
from tracejit.frontend.syntax.source import FunctionSource
from tracejit.frontend.tracing.trace import lower_trace
from tracejit.frontend.tracing.tracer import Tracer
from tracejit.frontend.values import FrontValue
from tracejit.linalg import trace as matrix_trace
from tracejit.locks import cached_property
from tracejit.runtime.dispatch import all_slow
from tracejit.scripted.function import ScriptedFunction
from tracejit.signatures import signature_of


def trace(fn: Any, *example_args: Any, **example_kwargs: Any) -> Any:
    """Record what `fn` does with arguments like the examples; gives a compiled function with the same parameters.

    `fn` is any callable: a function, method, `nn.Module`. It runs as plain Python on traced values: nothing is
    computed, and Python's own control flow is recorded as it ran. Sizes and numbers stay run-time values, unless Python
    needs them (`range(x.shape[0])`, `if n > 3`): then they are compiled in, and a call with others is traced again, as
    is a call with other dtypes or ranks. Tensors, parameters and arrays from outside are inputs, read anew at each
    call. The result is called, differentiated, inspected and exported like a script.

    Raises `ScriptError` where Python needs what depends on the data of an array (`if x.sum() > 0`, `float(x)`).

    Of a matrix, `trace` is the sum of its diagonal, as in NumPy and PyTorch.
    """
    if isinstance(fn, Tensor):
        return matrix_trace(fn, *example_args, **example_kwargs)
    made = TracedFunction(fn)
    if not config.get("disable"):
        made.graph_for(*example_args, **example_kwargs)
    return made


class TracedFunction(ScriptedFunction):
    """What `trace` gives; a `ScriptedFunction` whose graphs come from running the function."""

    takes_numbers = False  # Python runs over them

    def __init__(self, fn: Callable[..., Any]) -> None:
        if not callable(fn):
            raise TypeError(f"trace() takes something to call, not {type(fn).__name__}")
        self.traced: Callable[..., Any] = fn.traced if isinstance(fn, TracedFunction) else fn

        def call(*args: Any, **kwargs: Any) -> Any:
            return self.traced(*args, **kwargs)

        call.__signature__ = _signature(self.traced)  # type: ignore[attr-defined]
        for name in ("__name__", "__qualname__", "__doc__", "__module__"):
            setattr(call, name, getattr(self.traced, name, type(self.traced).__name__))
        call.__wrapped__ = self.traced  # type: ignore[attr-defined]
        super().__init__(call)

    @cached_property
    def source(self) -> FunctionSource:
        """A stand-in: the function may be anything callable, and its text does not matter."""
        code = getattr(inspect.unwrap(self.traced), "__code__", None)
        node = ast.parse("def traced(): pass").body[0]
        assert isinstance(node, ast.FunctionDef)
        node.lineno = 1 if code is None else code.co_firstlineno
        filename = "<traced>" if code is None else code.co_filename
        return FunctionSource(node, filename, self.__name__, {}, {}, self.__tracejit_function__)

    def __repr__(self) -> str:
        return f"<traced function {self.__name__}>"

    def lower(self, parameters: Sequence[tuple[str, Access, Spec]], aliases: dict[Access, Access]) -> Lowered:
        """The function run on traced values for parameters of these specs."""
        with all_slow():  # a scripted function that is called on outer arrays only is recorded too
            return lower_trace(
                self.traced,
                self.signature,
                self.source,
                parameters,
                name=self.__name__,
                aliases=aliases,
                policy=self.options.policy,
            )

    def __tracejit_lower__(
        self, calls: Any, args: list[FrontValue], kwargs: Mapping[str, FrontValue], node: ast.AST
    ) -> FrontValue:
        """A call inside a script, or inside another trace: recorded there."""
        tracer = Tracer(calls)
        shown = [tracer.show(a) for a in args]
        with all_slow():
            return tracer.run(self.traced, shown, {k: tracer.show(v) for k, v in kwargs.items()})


def _signature(fn: Callable[..., Any]) -> inspect.Signature:
    """The parameters of something callable; those of `forward` for a module."""
    forward = getattr(fn, "forward", None)
    target = forward if forward is not None and not inspect.isfunction(fn) else fn
    try:
        return signature_of(functools.partial(target) if isinstance(target, type) else target)
    except (TypeError, ValueError):
        return signature_of(lambda *args: None)
