"""A graph through all transforms and code generation to something that runs.

`compile_graph` is the one way from a graph to native code: scripts, derivatives of scripts, traces and exports use it.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from tracejit import config
from tracejit.codegen.llvm.baseline import BUDGET
from tracejit.codegen.llvm.printer import loops
from tracejit.codegen.loop_ir import Program
from tracejit.codegen.lowering.entry import lower
from tracejit.codegen.products.gemm import DTYPES
from tracejit.codegen.text import print_program
from tracejit.errors import ScriptError, Span
from tracejit.ir.core import Graph, Op, walk
from tracejit.ir.opdef import MATRICES
from tracejit.ir.types import Order, TensorType, rows_first
from tracejit.locks import cached_property
from tracejit.runtime.cache import digest
from tracejit.runtime.errands import Errand, meanwhile, short_turns
from tracejit.transforms import pipeline

if TYPE_CHECKING:
    from tracejit.runtime.cpu import Begun, NativeFunction

#: The second call waits for better code where the baseline code has so many bytes: for some tenths of a second.
WAITED_FOR = 1 << 16

#: What makes `fn.graph`: one name for sizes found equal, derivatives spelt out, then simplified.
SIMPLIFY = ("early-checks", "unify-sizes", "sink-broadcasts", "checkpoint-loops", "expand-gradient", *pipeline.LEVEL1)

pipeline.load((*SIMPLIFY, *pipeline.LEVEL2))


@contextmanager
def without_collection() -> Iterator[None]:
    """No search for garbage cycles: compiling makes many objects and hardly any cycle."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@contextmanager
def compiling(place: Callable[[], Span | None]) -> Iterator[None]:
    """No search for garbage cycles. What is nested deeper than Python's recursion limit allows is a `ScriptError` at
    the place."""
    with without_collection():
        try:
            yield
        except RecursionError:
            if _depth() > sys.getrecursionlimit() // 2:  # callers have left little room
                raise
            raise ScriptError(
                "expressions or statements are nested too deeply to be compiled under Python's recursion limit of "
                f"{sys.getrecursionlimit()}",
                place(),
                instead="split the longest expression or chain of elif, or call sys.setrecursionlimit before",
            ) from None


def _depth() -> int:
    frame, depth = sys._getframe(), 0
    while frame is not None:
        frame, depth = frame.f_back, depth + 1
    return depth


def _place(graph: Graph) -> Span | None:
    return next((op.span for op in walk(graph.body) if op.span is not None), None)


@dataclass(eq=False)
class Compiled:
    """A compiled graph. `graph` is simplified and not yet fused, `final` is after all transforms; `layouts[i]`:
    parameter i is in C order."""

    stages: pipeline.Stages
    graph: Graph
    final: Graph
    program: Program
    layouts: tuple[Order, ...]
    _begun: Begun | None = None  #: what compiles its kernels while it is lowered
    _was_called: bool = field(default=False, init=False)  #: by its baseline code
    _better: Errand | None = field(default=None, init=False)  #: a thread's work, which makes `native`

    @property
    def interface(self) -> Program:
        """The program, of which a caller takes no more than what goes in and out and how it fails."""
        return self.program

    @property
    def device(self) -> str:
        """What it was compiled for."""
        return self.graph.device

    @cached_property
    def has_loops(self) -> bool:
        """Whether host code has loops or functions of its own."""
        return loops(self.program)

    @cached_property
    def content(self) -> str:
        """A digest of the program."""
        return digest("program", print_program(self.program))

    @cached_property
    def native(self) -> NativeFunction:
        """The native function of this process."""
        from tracejit.runtime.cpu import compile_program

        try:
            with compiling(lambda: _place(self.graph)):
                return compile_program(
                    self.interface,
                    key=self.content,
                    keep=self._is_kept,
                    whole=lambda: self.program,
                    begun=self.take_begun,
                )
        finally:
            self.stop()

    def stop(self) -> None:
        """Leave what was begun."""
        if (begun := self._begun) is not None:
            self._begun = None
            begun.work.stop()

    def take_begun(self) -> Begun | None:
        """What compiles the kernels, for who compiles the rest. In a forked child what the parent began has no
        thread."""
        begun, self._begun = self._begun, None
        return begun if begun is not None and begun.is_here else None

    @cached_property
    def baseline(self) -> NativeFunction | None:
        """Native code that is there at once, if there is to be some: for calls until `native` is."""
        from tracejit.runtime.cpu import compile_baseline

        if "native" in self.__dict__ or self.device == "cuda" or not config.get("baseline"):
            return None
        if config.logs("llvm") or config.logs("asm"):  # what is asked for is shown when it is made
            return None
        with compiling(lambda: _place(self.graph)):
            return compile_baseline(self.interface, key=self.content, keep=self._is_kept, whole=lambda: self.program)

    def runs_baseline(self, inputs: Sequence[Any]) -> bool:
        """Whether a call goes to the baseline code: the first one, and others while a thread makes a long `native`; not
        where loops over the arrays among the inputs would take too long."""
        if "native" in self.__dict__:
            return False
        if self._was_called:
            is_ahead = self._better is not None and self._better.is_ahead
            return is_ahead and self.baseline is not None and self.baseline.size > WAITED_FOR
        size = sum(x.size for x in inputs if isinstance(x, np.ndarray))
        return size < BUDGET and self.baseline is not None

    def _by_baseline(self, inputs: Sequence[Any]) -> list[Any] | None:
        """The results of such a call; None where it takes too long."""
        from tracejit.runtime.cpu import TooLong

        assert self.baseline is not None
        is_first, self._was_called = not self._was_called, True
        try:
            made = self.baseline.call(inputs)
        except TooLong:
            self._better = None
            return None
        if is_first:
            self._better = meanwhile(lambda: self.native)
        return made

    @property
    def _is_kept(self) -> bool:
        return bool(self.graph.policy.get("cache", True))

    @cached_property
    def _run(self) -> Callable[..., Sequence[Any]]:
        """What runs it on its inputs, given one by one."""
        if self.device == "cuda":
            from tracejit.runtime.cuda import compile_program

            program = compile_program(self.program)
            return lambda *inputs: program.call(inputs)
        from tracejit.scripted.entries import DirectCall

        return DirectCall(self.native, self.has_loops)

    def __call__(self, inputs: Sequence[Any]) -> list[Any]:
        """Run on arrays and numbers in parameter order; `inout` parameters are written. Raises as the program does."""
        try:
            made = self._by_baseline(inputs) if self.runs_baseline(inputs) else None
            return list(self._run(*inputs)) if made is None else made
        except Exception as error:
            failed = _raised(error)
            if failed is None:
                raise
        raise failed from None

    @property
    def n_results(self) -> int:
        """How many results the caller gets (the final versions of `inout` parameters excluded)."""
        return len(self.graph.results) - len(self.graph.inout)


def _raised(error: Exception) -> BaseException | None:
    """What plain Python would have raised where a program failed; None for other errors."""
    from tracejit.runtime.cpu import NativeFailure
    from tracejit.runtime.failure import failure

    return failure(error.site, error.payload) if isinstance(error, NativeFailure) else None


def prepare_engine() -> None:
    """Let what native code needs be made while a function is lowered."""
    from tracejit.runtime.engine import prepare, support

    prepare(support)


def prepare_products(graph: Graph) -> None:
    """Let what products of matrices need be made while a graph that has some is lowered."""
    from tracejit.runtime.engine import prepare, products_ahead

    if graph.device != "cpu":
        return
    parts: dict[str, set[str]] = {}
    in_loops = {inner for op in walk(graph.body) if op.name == "loop" for inner in op.block("body").ops}
    for op in walk(graph.body):
        if (made := _product(op)) is not None and (name := str(made.dtype)) in DTYPES:
            is_line, found = 1 in made.shape[-2:], parts.setdefault(name, set())
            if op in in_loops:
                found.add("laid")
            if not is_line:
                found.add("panels")
            elif op not in in_loops:  # a row needs nothing else where a loop lays out what it is multiplied by
                found.add("line")
    for name, found in parts.items():
        prepare(products_ahead(name, tuple(part for part in _LIKELY if part in found)))


#: Parts of products that are compiled ahead, the most likely to be needed at once first.
_LIKELY = ("laid", "panels", "line")


def _product(op: Op) -> TensorType | None:
    """The type of a product of matrices."""
    made = op.results[0].type if op.defn.lower is MATRICES else None
    return made if isinstance(made, TensorType) else None


def prepare_lists(graph: Graph) -> None:
    """Let what lists need be made while a graph that has some, behind all transforms, is lowered."""
    from tracejit.runtime.engine import lists, prepare

    if graph.device == "cpu" and any(op.name.startswith("list_") for op in walk(graph.body)):
        prepare(lists)


def simplify(graph: Graph) -> tuple[Graph, pipeline.Stages]:
    """The graph with derivatives spelt out and level-1 transforms run."""
    stages = pipeline.Stages(graph)
    return pipeline.run(graph, SIMPLIFY, stages), stages


def transformed(graph: Graph) -> tuple[Graph, Graph, pipeline.Stages]:
    """The simplified graph, and what code generation takes: the graph after all transforms for its device."""
    simplified, stages = simplify(graph)
    return simplified, pipeline.run(simplified, pipeline.level2(graph.device), stages), stages


def compile_graph(graph: Graph, layouts: Sequence[Order] | None = None, *, runs: bool = False) -> Compiled:
    """Compile a graph for its device; `runs`: to run it at once. Raises `NotDifferentiable` for gradients that cannot
    be had."""
    layouts = tuple(layouts) if layouts is not None else rows_first(len(graph.params))
    prepare_products(graph)
    with compiling(lambda: _place(graph)):
        simplified, final, stages = transformed(graph)
        prepare_lists(final)
        program, begun = _lowered(graph, final, layouts, runs=runs)
    config.log("passes", f"@{graph.name} as a loop program", lambda: print_program(program))
    return Compiled(stages, simplified, final, program, layouts, begun)


def _lowered(graph: Graph, final: Graph, layouts: Sequence[Order], *, runs: bool) -> tuple[Program, Begun | None]:
    """The program of a graph, and what compiles its kernels meanwhile where it runs and other threads may be used."""
    if not runs or graph.device != "cpu" or config.get("num_threads") == 1:
        return lower(final, graph.device, layouts), None
    from tracejit.runtime.cpu import Begun

    begun = Begun(graph)
    try:
        with short_turns():
            program = lower(final, graph.device, layouts, begun.kernel)
            begun.all_came()
    except BaseException:
        begun.work.stop()
        raise
    return program, begun
