"""Run a generated program as plain Python, by the interpreter and compiled, and compare all that can be seen.

How far a program is compiled is its `Depth`. Results, changed arguments and the kind of exceptions must agree;
gradients must agree with central differences. A disagreement is a `Mismatch`. Programs whose outcome hangs on the last
bits of a number are not judged.
"""

from __future__ import annotations

import enum
import importlib.util
import itertools
import re
import traceback
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from tests.programs.compare import Outcome, same
from tests.programs.placed import host, on_gpu
from tracejit.errors import ScriptError
from tracejit.ir.core import Graph
from tracejit.ir.interpreter import run
from tracejit.ir.types import is_differentiable
from tracejit.ir.verifier import verify
from tracejit.scripted import ScriptedFunction, script
from tracejit.scripted.compiler import compile_graph, transformed
from tracejit.scripted.function import Specialisation
from tracejit.scripted.results import ResultBuilder
from tracejit.transforms.derivatives.jvp import jvp_graph
from tracejit.transforms.expand_gradient import value_and_grad_graph

TOLERANCE = 1e-9
_numbers = itertools.count()


class Mismatch(AssertionError):
    """Compiled code does not do what plain Python does. `stage` says which comparison failed."""

    def __init__(self, stage: str, detail: str) -> None:
        super().__init__(f"{stage}: {detail}")
        self.stage = stage


class Depth(enum.IntEnum):
    """How far a program is compiled. The first two stages run by the interpreter, many times as many as natively."""

    GRAPH = 0  #: what the front end and differentiation give
    FINAL = 1  #: what all transforms make of that
    NATIVE = 2  #: machine code, and the interpreter


@dataclass(frozen=True)
class Variant:
    """Shape and layout of the arguments of a call."""

    n: int = 5
    p: int = 3
    aliased: bool = False  #: `b` is `a`
    strided: bool = False
    dtype: str = "float64"


#: Calls of one program: the first two run the same compiled code.
ORDINARY = (Variant(), Variant(n=3, p=4))
SPECIAL = (
    Variant(aliased=True),
    Variant(strided=True),
    Variant(n=1),
    Variant(n=2, p=1),
    Variant(n=0),
    Variant(dtype="float32"),
)


def load(source: str, folder: Path) -> ModuleType:
    """Import a module's text from a file in `folder`, so that its source can be found."""
    name = f"program_{next(_numbers)}"
    path = folder / f"{name}.py"
    path.write_text(source)
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def arguments(seed: int, variant: Variant, shift: float = 0.0, direction: int = 0) -> list[Any]:
    """Arguments `(a, b, m, q, x, y, k)`, moved by `shift` along a random direction."""
    rng, along = np.random.default_rng(seed), np.random.default_rng((seed, direction))

    def floats(*shape: int) -> np.ndarray:
        stretch = 2 if variant.strided and shape else 1
        base = rng.normal(size=(*shape[:-1], shape[-1] * stretch))[..., ::stretch]
        base += shift * along.normal(size=base.shape)
        return base.astype(variant.dtype) if variant.dtype != "float64" else base

    a, b, m = floats(variant.n), floats(variant.n), floats(variant.p, variant.n)
    x, y = (float(v + shift * along.normal()) for v in rng.normal(size=2))
    return [a, a if variant.aliased else b, m, rng.integers(0, 5, variant.n), x, y, int(rng.integers(0, 6))]


def observe(fn: Callable[..., Any], own: Sequence[Any]) -> Outcome:
    """Call a function; the arguments keep what it wrote."""
    result, error = None, None
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            result = fn(*own)
        except Exception as raised:
            error = raised
    return Outcome(result, own, "", error)


def interpret(found: Specialisation, own: Sequence[Any], graph: Graph, execute: Callable[..., Any] = run) -> Any:
    """Run a graph of a specialisation by `execute`; the arguments are written as a call would."""
    lowered = found.lowered
    inputs = [i.access.fetch(own) for i in lowered.inputs]
    results = [x.copy() if isinstance(x, np.ndarray) else x for x in execute(graph, inputs)]  # one may be an input
    n_user = len(results) - len(lowered.graph.inout)
    for i, final in zip(lowered.graph.inout, results[n_user:], strict=True):
        np.copyto(inputs[i], final)
    return ResultBuilder(lowered, own, results[:n_user], found.tensors).build(lowered.result)


class Comparison:
    """The comparisons of one program."""

    execute = staticmethod(run)  #: `(graph, inputs) -> results`, for what is not compiled

    def __init__(self, fn: Callable[..., Any], seed: int, depth: Depth = Depth.NATIVE, device: str = "cpu") -> None:
        self.fn = fn
        self.seed = seed
        self.depth = depth
        self.device = device  #: where `compiled` runs; on a GPU nothing else is compared
        self.scripted: ScriptedFunction = script(fn)
        self.judged = 0  #: gradients that could be judged
        self._graphs: dict[Graph, Graph] = {}

    def values(self, variant: Variant) -> None:
        """Compare one call; raises `Mismatch`."""
        plain = observe(self.fn, arguments(self.seed, variant))
        try:
            found = self.scripted.specialise(self.placed(variant))
        except ScriptError as error:
            raise Mismatch("refused", str(error)) from error
        if self.device == "cuda":
            for _ in range(2):  # the second call is found by its key
                compiled = observe(self.scripted, self.placed(variant))
                if compiled.error is not None and is_for_cpu(compiled.error):
                    return
                compiled = Outcome(host(compiled.result), host(compiled.arguments), "", compiled.error)
                self.agree("on the GPU", plain, compiled, variant, writes=True)
            return
        if not variant.aliased:
            graph = self.reached(found.lowered.graph)
            interpreted = observe(
                lambda *own: interpret(found, own, graph, self.execute), arguments(self.seed, variant)
            )
            self.agree("interpreter", plain, interpreted, variant, writes=plain.error is None)
        if self.depth == Depth.NATIVE:
            compiled = observe(self.scripted, arguments(self.seed, variant))
            self.agree("compiled", plain, compiled, variant, writes=True)

    def placed(self, variant: Variant) -> list[Any]:
        """The arguments on the device."""
        own = arguments(self.seed, variant)
        return on_gpu(own) if self.device == "cuda" else own

    def reached(self, graph: Graph) -> Graph:
        """What the interpreter runs in place of a graph."""
        if graph not in self._graphs:
            verify(graph, "its making")
            self._graphs[graph] = transformed(graph)[1] if self.depth == Depth.FINAL else graph
        return self._graphs[graph]

    def runner(self, graph: Graph) -> Callable[[Sequence[Any]], Sequence[Any]]:
        """What runs a graph, natively or not."""
        if self.depth == Depth.NATIVE:
            return compile_graph(graph)
        reached = self.reached(graph)
        return lambda given: self.execute(reached, given)

    def agree(self, stage: str, plain: Outcome, other: Outcome, variant: Variant, writes: bool) -> None:
        problem = difference(plain, other, variant, writes)
        if problem is not None and not self.is_fragile(plain, variant):
            raise Mismatch(stage, f"{problem} with {variant}") from other.error

    def is_fragile(self, plain: Outcome, variant: Variant) -> bool:
        """Whether a change of the arguments by a few last bits changes the outcome visibly."""
        size = 1e-6 if variant.dtype == "float32" else 1e-12
        for direction in range(4):
            moved = observe(self.fn, arguments(self.seed, variant, size, direction))
            if difference(plain, moved, variant, writes=True, tolerance=1e4 * size) is not None:
                return True
        return False

    # -- gradients --------------------------------------------------------------------------------------------

    def gradient(self, variant: Variant) -> None:
        """Compare the compiled derivative along a random direction with differences."""
        expected = self.differences(variant)
        if expected is None:
            return
        self.judged += 1
        own = self.placed(variant)
        lowered = self.scripted.specialise(own).lowered
        if not lowered.graph.results:  # the result is a constant
            return
        wanted = [i for i, p in enumerate(lowered.graph.params) if is_differentiable(p.type)]
        given = [i.access.fetch(own) for i in lowered.inputs]
        found = [host(x) for x in self.runner(value_and_grad_graph(lowered.graph, wanted))(given)]
        base, moved = arguments(self.seed, variant), arguments(self.seed, variant, 1.0)
        roots = [lowered.inputs[i].access.root for i in wanted]
        along = [np.asarray(moved[root]) - np.asarray(base[root]) for root in roots]
        slopes = found[1 : 1 + len(wanted)]
        total = sum(float(np.sum(np.asarray(g) * t)) for g, t in zip(slopes, along, strict=True))
        if not np.isclose(total, expected, rtol=1e-4, atol=1e-5):
            raise Mismatch("gradient", f"compiled {total!r}, differences {expected!r} with {variant}")
        if self.seed % 4 or self.device == "cuda":  # forward mode of a quarter
            return
        own = arguments(self.seed, variant)
        pushed = self.runner(jvp_graph(lowered.graph, wanted))
        given = [t if t.ndim else t.item() for t in along]
        tangent = float(pushed([*(i.access.fetch(own) for i in lowered.inputs), *given])[1])
        if not np.isclose(tangent, total, rtol=1e-7, atol=1e-9):
            raise Mismatch("forward mode", f"{tangent!r}, by reverse mode {total!r} with {variant}")

    def differences(self, variant: Variant) -> float | None:
        """The derivative along the direction by differences; None near a kink, a jump or an exception."""
        values: dict[float, float] = {}
        for step in (-2e-5, -1e-5, 0.0, 1e-5, 2e-5):
            outcome = observe(self.fn, arguments(self.seed, variant, step))
            if not isinstance(outcome.result, float) or not np.isfinite(outcome.result):
                return None
            values[step] = float(outcome.result)
        forward = (values[1e-5] - values[0.0]) / 1e-5
        backward = (values[0.0] - values[-1e-5]) / 1e-5
        narrow = (values[1e-5] - values[-1e-5]) / 2e-5
        wide = (values[2e-5] - values[-2e-5]) / 4e-5
        smooth = np.isclose(narrow, wide, rtol=1e-5, atol=1e-6) and np.isclose(forward, backward, rtol=1e-2, atol=1e-2)
        return narrow if smooth else None


def difference(
    plain: Outcome, other: Outcome, variant: Variant, writes: bool, tolerance: float = TOLERANCE
) -> str | None:
    """What differs between two runs, or None."""
    if variant.dtype == "float32":  # where dtypes meet they are promoted, so only values are compared
        tolerance = max(tolerance, 1e-4)
        plain, other = (Outcome(widened(o.result), widened(o.arguments), o.output, o.error) for o in (plain, other))
    if plain.error is not None or other.error is not None:
        if plain.error is None or other.error is None or not isinstance(other.error, type(plain.error)):
            return f"plain Python: {plain.error!r} {plain.result!r}, here: {other.error!r} {other.result!r}"
    elif not same(met(plain.result, other.result), other.result, tolerance):
        return f"plain Python gives {plain.result!r}, here {other.result!r}"
    if writes:
        for i, (x, y) in enumerate(zip(plain.arguments, other.arguments, strict=True)):
            if not same(x, y, tolerance):
                return f"argument {i} is {x!r} in plain Python, {y!r} here"
    return None


def met(x: Any, y: Any) -> Any:
    """x with integer arrays as floats where y has these: the dtypes of two paths promote where they meet."""
    if isinstance(x, tuple | list) and isinstance(y, tuple | list) and len(x) == len(y):
        return type(x)(met(v, w) for v, w in zip(x, y, strict=True))
    kinds = [v.dtype.kind if isinstance(v, np.ndarray) else "" for v in (x, y)]
    return x.astype(y.dtype) if kinds == ["i", "f"] else x


def widened(x: Any) -> Any:
    """The value with its floats as float64."""
    if isinstance(x, tuple | list):
        return type(x)(widened(v) for v in x)
    if isinstance(x, np.float32):
        return np.float64(x)
    return np.asarray(x, np.float64) if getattr(x, "dtype", None) in (np.float32, np.float64) else x


@dataclass(frozen=True)
class Failure:
    """What went wrong with a program; equal `key`s are most likely one bug."""

    key: str
    error: Exception


def judge(
    source: str, seed: int, gradient: bool, folder: Path, depth: Depth = Depth.NATIVE, device: str = "cpu"
) -> Failure | None:
    """Compare all calls of a program; the first failure, or None."""
    variants = [*ORDINARY, *(SPECIAL[seed // 4 % len(SPECIAL) :][:1] if seed % 4 == 0 else ())]
    try:
        comparison = Comparison(load(source, folder).program, seed, depth, device)
        for variant in variants:
            comparison.values(variant)
        if gradient:
            comparison.gradient(ORDINARY[0])
    except Mismatch as error:
        return Failure(f"{error.stage} {_brief(error.__cause__)}", error)
    except Exception as error:
        if device == "cuda" and is_for_cpu(error):
            return None
        place = traceback.extract_tb(error.__traceback__)[-1]
        return Failure(f"crash {_brief(error)} in {Path(place.filename).name}:{place.name}", error)
    return None


def is_for_cpu(error: Exception) -> bool:
    """Whether a program is refused on a GPU."""
    return isinstance(error, ScriptError) and "on the CPU only" in str(error)


def _brief(error: BaseException | None) -> str:
    """Kind and first words of an error, without names and numbers."""
    if error is None:
        return ""
    first = re.sub(r"%?\b\w*\d[\w.]*|'[^']*'|%\w+|\[[^]]*\]", "_", str(error).split("\n")[0])
    return f"{type(error).__name__}: {first[:80]}"
