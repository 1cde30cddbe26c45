"""`ScriptedFunction`: what `@script` makes of a Python function.

A call is served natively when one of the installed specialisations fits (`runtime/dispatch.py`). Every other call
comes to `slow_call`: it finds the specialisation by the arguments' specs and guards, lowers and compiles it if it is
new, and runs it through the tape where gradients are asked for.
"""

from __future__ import annotations

import copy
import functools
import inspect
import sys
import types
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tracejit import config
from tracejit.codegen.loop_ir import ReportSite
from tracejit.eager.modes import MODE
from tracejit.errors import NotDifferentiable, ScriptError, Span
from tracejit.frontend.boundary.signature import (
    CONVERSION,
    Access,
    ArraySpec,
    Spec,
    StaticSpec,
    holds_numbers,
    matches,
    refined,
    spec_of,
)
from tracejit.frontend.first_call import called_with
from tracejit.frontend.function import Lowered, lower_function
from tracejit.frontend.restarts import MustTell, NeedsItems, NeedsSizes, NeedsStatic
from tracejit.frontend.syntax.source import FunctionSource, function_source, things_read
from tracejit.frontend.syntax.subset import check_subset
from tracejit.ir.types import Order, is_differentiable
from tracejit.locks import Lock, cached_property
from tracejit.runtime import cache as disk
from tracejit.runtime.dispatch import FastCallable, is_decided, is_due, make_ahead
from tracejit.scripted.calls import inputs_of, run
from tracejit.scripted.compiler import (
    Compiled,
    compile_graph,
    compiling,
    prepare_engine,
    without_collection,
)
from tracejit.scripted.copies import refuse_copies
from tracejit.scripted.device_calls import DeviceCalls
from tracejit.scripted.fastpath import CallPattern, fast_specialisation
from tracejit.scripted.kept import Kept, checked_place, entry, with_live_values
from tracejit.scripted.node import (
    DifferentiableGraph,
    raw_value,
)
from tracejit.scripted.options import Options
from tracejit.scripted.overlap import require_disjoint, same_arrays
from tracejit.scripted.results import has_tensor
from tracejit.signatures import signature_of


@dataclass(eq=False)
class Specialisation:
    """One lowering of a function for certain argument specs."""

    lowered: Lowered
    parameters: tuple[Spec, ...]
    aliased: bool = False  #: arguments are the same array
    kept: Kept | None = None  #: its entry on the disk
    #: Calls the native path was asked to serve, on the tape or not.
    patterns: set[tuple[CallPattern, bool]] = field(default_factory=set[tuple[CallPattern, bool]])
    was_called: bool = False  #: or a call of it began
    differentiable: dict[tuple[int, ...], DifferentiableGraph] = field(
        default_factory=dict[tuple[int, ...], DifferentiableGraph]
    )

    @property
    def layouts(self) -> tuple[Order, ...]:
        """The orders in memory of graph parameters."""
        return tuple(i.spec.order if isinstance(i.spec, ArraySpec) else "C" for i in self.lowered.inputs)

    @cached_property
    def compiled(self) -> Compiled:
        """The plain forward."""

        def make() -> Compiled:
            return compile_graph(self.lowered.graph, self.layouts, runs=self.was_called)

        return make() if self.kept is None else self.kept.compiled("plain", make)

    @cached_property
    def wanted(self) -> tuple[int, ...]:
        """The inputs that ask for gradients."""
        params = zip(self.lowered.inputs, self.lowered.graph.param_types, strict=True)
        return tuple(
            k
            for k, (i, type) in enumerate(params)
            if isinstance(i.spec, ArraySpec) and i.spec.requires_grad and is_differentiable(type)
        )

    @cached_property
    def tensors(self) -> bool:
        """Whether results are Tensors."""
        return has_tensor(self.lowered)

    @property
    def may_report(self) -> bool:
        """Whether an error may leave changes to parts of objects, which Python must make."""
        sites = self.compiled.interface.prints if self.lowered.reports else ()
        return any(isinstance(site, ReportSite) for site in sites)

    def guards_hold(self, arguments: Sequence[Any]) -> bool:
        """Whether outer values are what was compiled in, and hidden arrays have the same dtype and rank."""
        for access, spec in self.lowered.guards.items():
            if not matches(spec, access.fetch(arguments)):
                return False
        return all(
            matches(i.spec, i.access.fetch(arguments)) for i in self.lowered.inputs if i.hidden or i.access.root < 0
        )

    def changed_floats(self, arguments: Sequence[Any]) -> set[Access]:
        """Outer floats that are others now: they are run-time values from then on (a learning rate on a schedule)."""
        guards = (
            (a, spec.value, a.fetch(arguments))
            for a, spec in self.lowered.guards.items()
            if isinstance(spec, StaticSpec)
        )
        return {
            a for a, before, now in guards if isinstance(before, float) and type(now) is type(before) and before != now
        }

    def runs_baseline(self, arguments: Sequence[Any]) -> bool:
        """Whether a call goes to code that better one is made for."""
        if self.wanted:
            return False
        return self.compiled.runs_baseline([raw_value(x) for x in inputs_of(self, arguments)])

    def with_gradients(self, wanted: tuple[int, ...]) -> DifferentiableGraph:
        """The graph that is recorded when these inputs ask for gradients."""
        if wanted not in self.differentiable:
            self.differentiable[wanted] = DifferentiableGraph(self.lowered.graph, wanted, self.layouts, self.kept)
        return self.differentiable[wanted]


class ScriptedFunction(FastCallable):
    """A compiled Python function; call it as the function itself.

    `compiles` counts specialisations. `graph`, `ir(stage)`, `llvm`, `asm`, `cuda` show the last one that was used.
    """

    runs_plain = True  #: whether `TRACEJIT_DISABLE` has it run as plain Python
    takes_numbers = True  #: whether lists of many numbers are run-time values as long as nothing needs their items

    def __init__(self, fn: Callable[..., Any], options: Options | None = None) -> None:
        super().__init__()
        functools.update_wrapper(self, fn)
        self.__tracejit_function__ = fn
        self.options = options or Options()
        for name in self.options.static:
            if name not in self._names:
                raise TypeError(f"static: {fn.__name__}() has no parameter {name!r}")
        self._cache: dict[Any, list[Specialisation]] = {}
        self._static: set[Access] = set()
        self._sizes: set[tuple[Access, int]] = set()
        self._varying: set[Access] = set()  #: floats from outside that were found changed
        self._takes_numbers = self.takes_numbers
        self._lock = Lock()
        self._device_calls: DeviceCalls | None = None
        self._last: Specialisation | None = None
        self._eager = False
        self.compiles = 0
        if not self._is_plain:
            self._require_source()

    def _require_source(self) -> None:
        """Refuse what has no source or is outside the language, or fall back to plain Python as the options say."""
        fn = self.__tracejit_function__
        seen = checked_place(fn) if self.options.cache and not _stages_wanted() else None
        if seen is not None and disk.has(seen):
            return
        try:
            _ = self.source
            if seen is not None:
                disk.store(seen, b"")
        except ScriptError as error:
            if not self.options.fallback or not isinstance(self.__tracejit_function__, types.FunctionType):
                raise error.with_traceback(None) from None
            self._fall_back(error)

    def _place(self) -> Span | None:
        code = getattr(self.__tracejit_function__, "__code__", None)
        return None if code is None else Span(code.co_filename, code.co_firstlineno, function=code.co_name)

    @property
    def _is_plain(self) -> bool:
        """Whether calls run plain Python: nothing is read or refused then."""
        return self.runs_plain and config.get("disable")

    @cached_property
    def source(self) -> FunctionSource:
        """The function's syntax tree and names. Raises `ScriptError` where there are none, or for what can be seen to
        be outside the language."""
        with compiling(self._place):
            found = function_source(self.__tracejit_function__)
            check_subset(found)
        return found

    @cached_property
    def signature(self) -> inspect.Signature:
        """The function's own parameters, not those of one that it wraps."""
        return signature_of(self.__tracejit_function__, follow_wrapped=False)

    @cached_property
    def _names(self) -> tuple[str, ...]:
        return tuple(self.signature.parameters)

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return self if instance is None else BoundScript(self, instance)

    def __repr__(self) -> str:
        return f"<scripted function {self.__name__}>"

    def __reduce__(self) -> str:
        """By name, as functions are."""
        return self.__qualname__

    def __copy__(self) -> ScriptedFunction:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> ScriptedFunction:
        return self

    # -- calls ------------------------------------------------------------------------------------------------

    def slow_call(self, *args: Any, **kwargs: Any) -> Any:
        """A call that no installed specialisation serves."""
        if MODE.tracer is not None:
            return MODE.tracer.function(self, args, kwargs)
        if self._device_calls is not None:
            known = self._device_calls.find(args, kwargs)
            if known is not None:
                self._last = known[0].specialisation
                return known[0].run(known[1])
        if self._eager or self._is_plain:
            return self.__tracejit_function__(*args, **kwargs)
        arguments = self.bind(args, kwargs)
        prepare_engine()
        try:
            found = self.specialise(arguments)
        except ScriptError as error:
            if not self.options.fallback:
                raise error.with_traceback(None) from None
            self._fall_back(error)
            return self.__tracejit_function__(*args, **kwargs)
        except NotDifferentiable as error:
            raise error.with_traceback(None) from None
        if found.lowered.graph.device != "cpu":
            self._remember(found, arguments)
            return self.run_chosen(found, arguments)
        is_recorded, was_called = bool(found.wanted) and not found.lowered.gradients, found.was_called
        found.was_called = True
        enters = is_decided() or (was_called and (is_due() or not is_recorded))
        if enters and not found.runs_baseline(arguments):
            # a first result waits neither for the native path of later ones nor for their code, nor do first gradients
            self._install(found, CallPattern(len(args), tuple(kwargs)))
        result = self.run_chosen(found, arguments)
        if was_called or not is_recorded:
            make_ahead()
        return result

    def _remember(self, found: Specialisation, arguments: Sequence[Any]) -> None:
        """Find such calls with arrays of a GPU at once from now on."""
        with self._lock:
            if self._device_calls is None:
                self._device_calls = DeviceCalls(self)
            if self._refined:
                self._device_calls.exactly()
            self._device_calls.remember(found, arguments)

    def _fall_back(self, error: ScriptError) -> None:
        self._eager = True
        warnings.warn(f"{self.__name__} runs as plain Python: {error.reason}", RuntimeWarning, stacklevel=user_level())

    def bind(self, args: Sequence[Any], kwargs: dict[str, Any]) -> list[Any]:
        """Arguments in parameter order, defaults filled in; `*args` is a tuple, `**kwargs` a dict."""
        try:
            bound = self.signature.bind(*args, **kwargs)
        except TypeError as error:
            raise self._misfit(args, kwargs) or TypeError(f"{self.__name__}() {error}") from None
        bound.apply_defaults()
        return list(bound.arguments.values())

    def _misfit(self, args: Sequence[Any], kwargs: dict[str, Any]) -> TypeError | None:
        """Python's own error for arguments that do not fit, which names a wrong keyword before a missing argument."""

        def stub() -> None: ...

        stub.__name__ = self.__qualname__
        stub.__signature__ = self.signature  # type: ignore[attr-defined]
        try:
            inspect.getcallargs(stub, *args, **kwargs)
        except TypeError as error:
            return error.with_traceback(None)
        return None

    def specialise(self, arguments: Sequence[Any]) -> Specialisation:
        """The specialisation for these arguments, lowered now if there is none."""
        with self._lock, without_collection():
            while True:
                try:
                    return self._specialise(arguments)
                except NeedsStatic as request:
                    self._static.add(request.access)
                    self._varying.discard(request.access)
                except NeedsSizes as request:
                    self._sizes |= request.sizes
                except NeedsItems:
                    self._takes_numbers = False

    def _specialise(self, arguments: Sequence[Any]) -> Specialisation:
        specs = tuple(self._spec(i, value) for i, value in enumerate(arguments))
        made = self._specialised(specs, {}, arguments)
        aliases = same_arrays(arguments, specs) if made.lowered.graph.inout else {}
        return self._specialised(specs, aliases, arguments) if aliases else made

    def _specialised(
        self, specs: tuple[Spec, ...], aliases: dict[Access, Access], arguments: Sequence[Any]
    ) -> Specialisation:
        """The specialisation for these specs, where `aliases` are the same arrays as others."""
        key = (specs, tuple(sorted((a.root, b.root) for a, b in aliases.items())))
        for known in self._cache.get(key, ()):
            if known.guards_hold(arguments):
                self._last = known
                return known
        for known in self._cache.get(key, ()):
            self._varying |= known.changed_floats(arguments) - self._static
        kept = self._entry(specs, aliases)
        made = None if kept is None else self._found(kept, specs, bool(aliases), arguments)
        made = made or self._lowered(kept, specs, aliases, arguments)
        self._cache.setdefault(key, []).append(made)
        self.compiles += 1
        self._last = made
        return made

    def _lowered(
        self,
        kept: Kept | None,
        specs: tuple[Spec, ...],
        aliases: dict[Access, Access],
        arguments: Sequence[Any],
    ) -> Specialisation:
        """A new specialisation; kept on the disk where that may be."""
        parameters = [(n, Access(i), s) for i, (n, s) in enumerate(zip(self._names, specs, strict=True))]
        with called_with(arguments), compiling(self._place), things_read() as read:
            try:
                lowered = self.with_items_told(parameters, aliases)
            except MustTell as request:
                if kept is not None:
                    kept.keep_request(request)
                raise
        config.log("frontend", f"@{self.__name__} specialisation {self.compiles + 1}", lambda: str(lowered.graph))
        made = Specialisation(lowered, specs, bool(aliases))
        if self.options.copies == "error":
            refuse_copies(made.compiled.final)
        if kept is not None and kept.keep_lowered(lowered, read.values()):
            made.kept = kept
        return made

    def _found(
        self, kept: Kept, specs: tuple[Spec, ...], aliased: bool, arguments: Sequence[Any]
    ) -> Specialisation | None:
        """The specialisation that another process kept, where what it was made by is the same here."""
        for lowered in kept.lowerings():
            made = Specialisation(lowered, specs, aliased, kept)
            if made.guards_hold(arguments):
                lowered.guards = with_live_values(lowered.guards, arguments)
                return made
        return None

    def _entry(self, specs: tuple[Spec, ...], aliases: dict[Access, Access]) -> Kept | None:
        """Where on the disk such a specialisation is kept; None where it is not."""
        if not self.options.cache or self.options.copies == "error" or self.kept_parts is None or _stages_wanted():
            return None
        return entry(self, specs, aliases, self._varying)

    @property
    def kept_parts(self) -> tuple[Any, ...] | None:
        """What a lowering is made of beside the arguments: nothing is kept on the disk of a kind of function that does
        not say it."""
        if type(self) is not ScriptedFunction:
            return None
        return self.__tracejit_function__, self.options.described

    def with_items_told(self, parameters: Sequence[tuple[str, Access, Spec]], aliases: dict[Access, Access]) -> Lowered:
        """`lower`; what cannot be lowered with lists of many numbers as run-time values perhaps can with each number
        told."""
        try:
            return self.lower(parameters, aliases)
        except ScriptError:
            if any(holds_numbers(spec) for _, _, spec in parameters):
                raise NeedsItems from None
            raise

    def lower(self, parameters: Sequence[tuple[str, Access, Spec]], aliases: dict[Access, Access]) -> Lowered:
        """The function for parameters of these specs; `aliases`: arrays that are the same as an earlier one."""
        return lower_function(
            self.source,
            parameters,
            name=self.__name__,
            aliases=aliases,
            policy=self.options.policy,
            boundscheck=self.options.boundscheck,
            varying=self._varying,
        )

    def _spec(self, index: int, value: Any) -> Spec:
        if self._names[index] in self.options.static:
            return StaticSpec(value)
        try:
            spec = spec_of(value, numbers=self._takes_numbers)
            return refined(spec, Access(index), value, self._static, self._sizes) if self._refined else spec
        except TypeError as error:
            reason, instead = f"argument {self._names[index]!r}: {error}", getattr(error, "instead", CONVERSION)
            raise ScriptError(reason, self.source.span(self.source.node), instead=instead) from None

    @property
    def _refined(self) -> bool:
        """Whether numbers or sizes are compiled in."""
        return bool(self._static or self._sizes)

    def _install(self, made: Specialisation, pattern: CallPattern) -> None:
        """Let the native call path serve such calls, where it can express the specialisation."""
        recorded = MODE.enabled and bool(made.wanted) and not made.lowered.gradients
        with self._lock:
            if (pattern, recorded) in made.patterns or made.aliased:
                return
            made.patterns.add((pattern, recorded))
            around = functools.partial(run, made, self._names)
            native = fast_specialisation(made, self.signature, pattern, recorded, around)
            if native is not None:
                self.install(native)

    def run_chosen(self, found: Specialisation, arguments: Sequence[Any]) -> Any:
        """Run a specialisation and make the call's result."""
        require_disjoint(found.lowered, inputs_of(found, arguments), self._names)
        return run(found, self._names, arguments)

    # -- looking inside ---------------------------------------------------------------------------------------

    @property
    def last(self) -> Specialisation:
        """The specialisation that was used last."""
        if self._last is None:
            raise RuntimeError(f"{self.__name__} has not been called yet: call it, or use graph_for(*args)")
        return self._last

    @property
    def graph(self) -> str:
        """The graph of the last specialisation as IR text (`ir.parser.parse` reads it): simplified, not yet fused."""
        return str(self.last.compiled.graph)

    def graph_for(self, *args: Any, **kwargs: Any) -> str:
        """The graph for these arguments, as IR text; nothing is run."""
        return str(self.specialise(self.bind(args, kwargs)).compiled.graph)

    def ir(self, stage: str = "frontend") -> str:
        """The graph after a stage, as text: `frontend`, or `after:` and a transform (`after:fuse`)."""
        return self.last.compiled.stages.text(stage)

    @property
    def llvm(self) -> str:
        """The LLVM IR of the last specialisation, before its passes."""
        return self.last.compiled.native.llvm

    @property
    def asm(self) -> str:
        """The assembly of the last specialisation."""
        return self.last.compiled.native.asm

    @property
    def cuda(self) -> str:
        """The kernels of the last specialisation as CUDA C."""
        from tracejit.codegen.cuda.printer import print_kernels
        from tracejit.codegen.cuda.schedule import schedule
        from tracejit.codegen.lowering.entry import lower
        from tracejit.transforms import pipeline

        final = pipeline.run(self.last.compiled.graph, pipeline.level2("cuda"))
        return print_kernels(schedule(lower(final, "cuda", self.last.layouts)).program)

    def explain(self, *args: Any, **kwargs: Any) -> str:
        """What became of the function for these arguments (none: those of the last call): kernels, what was fused and
        why not, copies and why, memory, guards, checks. Nothing is run."""
        from tracejit.scripted.explain import explanation

        return explanation(self, self._specialisation_for(args, kwargs))

    def save(self, file: Any, example_args: Sequence[Any] | None = None) -> None:
        """Write what was compiled so far, or what a call with the examples needs: see `tracejit.jit.save`."""
        import tracejit as tj

        tj.jit.save(self, file, example_args)

    def save_html(self, path: str | Path) -> None:
        """Write source, report and every stage of the last specialisation as one HTML page."""
        from tracejit.scripted.explain import write_page

        write_page(self, self.last, path)

    def _specialisation_for(self, args: Sequence[Any], kwargs: dict[str, Any]) -> Specialisation:
        if not args and not kwargs and self._last is not None:
            return self._last
        return self.specialise(self.bind(args, kwargs))


def _stages_wanted() -> bool:
    """Whether settings ask to see or check the stages, which are to be run then."""
    return config.get("verify") or bool(config.get("log") - {"cache"})


def user_level() -> int:
    """The stack level, for warnings, of the innermost caller outside of tracejit."""
    package = __name__.split(".", maxsplit=1)[0]
    frame = sys._getframe(1)
    level = 1
    while frame.f_back is not None and str(frame.f_globals.get("__name__")).split(".")[0] == package:
        frame, level = frame.f_back, level + 1
    return level


class BoundScript:
    """A scripted function bound to an instance: a method."""

    __slots__ = ("__tracejit_self__", "script")

    def __init__(self, script: ScriptedFunction, instance: Any) -> None:
        self.script = script
        self.__tracejit_self__ = instance

    @property
    def __tracejit_function__(self) -> Callable[..., Any]:
        return self.script.__tracejit_function__

    @property
    def __signature__(self) -> inspect.Signature:
        """Without the parameter that the instance is bound to."""
        return signature_of(types.MethodType(self.__tracejit_function__, self.__tracejit_self__), follow_wrapped=False)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.script(self.__tracejit_self__, *args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.script, name)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, BoundScript)
            and self.script is other.script
            and self.__tracejit_self__ is other.__tracejit_self__
        )

    def __hash__(self) -> int:
        return hash((id(self.script), id(self.__tracejit_self__)))

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled as methods are: the instance, and the name of the method."""
        return getattr, (self.__tracejit_self__, self.script.__name__)

    def __deepcopy__(self, memo: dict[int, Any]) -> BoundScript:
        return BoundScript(self.script, copy.deepcopy(self.__tracejit_self__, memo))

    def graph_for(self, *args: Any, **kwargs: Any) -> str:
        """The graph for these arguments, as IR text; nothing is run."""
        return self.script.graph_for(self.__tracejit_self__, *args, **kwargs)

    def explain(self, *args: Any, **kwargs: Any) -> str:
        """What became of the method for these arguments."""
        return self.script.explain(self.__tracejit_self__, *args, **kwargs)
