"""A Python function run on traced values -> a graph, its inputs, its results: the twin of `lower_function`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tracejit import pytree
from tracejit.errors import error_class
from tracejit.frontend.boundary.signature import Access, Spec
from tracejit.frontend.context import Context
from tracejit.frontend.control.trips import Growing
from tracejit.frontend.derivatives.gradients import NeedsEntry
from tracejit.frontend.function import Lowered, Lowering, any_size_wanted
from tracejit.frontend.functions.recursion import Again, Known
from tracejit.frontend.restarts import NeedsDevice, NeedsTensors, NeedsWrites
from tracejit.frontend.syntax.source import FunctionSource
from tracejit.frontend.tracing.surroundings import guard_surroundings
from tracejit.frontend.tracing.tracer import Tracer
from tracejit.frontend.values import FrontValue, Static


class TraceContext(Context):
    """An error that is certain is raised at once, as the same line does outside of a trace."""

    def always_raise(self, kind: str, message: str) -> None:
        if self.level:
            super().always_raise(kind, message)
        else:
            raise error_class(kind)(message.format())


def lower_trace(
    fn: Callable[..., Any],
    signature: inspect.Signature,
    source: FunctionSource,
    parameters: Sequence[tuple[str, Access, Spec]],
    *,
    name: str,
    aliases: Mapping[Access, Access],
    policy: Mapping[str, Any],
) -> Lowered:
    """Run `fn` on traced values for parameters of these specs. Raises what it raises, and `ScriptError` for what needs
    the data of an array."""
    known = Known()
    while True:
        try:
            return _Tracing(fn, signature, source, aliases, policy, known).run(name, parameters)
        except Again:
            continue
        except NeedsTensors:
            known.tensors = True
        except NeedsDevice as found:
            known.device = found.device
        except NeedsEntry as found:
            known.entries.add(found.access)
        except NeedsWrites:
            known.notes_writes = True


class _Tracing(Lowering):
    context = TraceContext

    def __init__(
        self,
        fn: Callable[..., Any],
        signature: inspect.Signature,
        source: FunctionSource,
        aliases: Mapping[Access, Access],
        policy: Mapping[str, Any],
        known: Known,
    ) -> None:
        super().__init__(source, aliases, any_size_wanted(), policy, True, Growing(), known)
        self.fn = fn
        self.signature = signature
        self.ctx.exact_sizes = True

    def body(self) -> FrontValue:
        tracer = Tracer(self.calls)
        env = self.ctx.frame.env
        shown = {name: tracer.show(v) for name, v in env.items()}
        before = pytree.flatten(shown)
        args, kwargs = call_arguments(self.signature, shown)
        result = tracer.run(self.fn, args, kwargs)
        after = pytree.flatten(shown)
        if before[1] != after[1] or any(a is not b for a, b in zip(before[0], after[0], strict=True)):
            tracer.refuse_use("a container that is an argument was changed in a trace", "return a new one")
        guard_surroundings(self.statics, self.fn, [s.value for s in env.values() if isinstance(s, Static)])
        return result


def call_arguments(signature: inspect.Signature, values: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    """Values by parameter name as a call passes them."""
    bound = inspect.BoundArguments(signature, dict(values))  # type: ignore[arg-type]
    return list(bound.args), dict(bound.kwargs)
