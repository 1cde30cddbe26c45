"""Graphs made of op samples, for the generic tests: one op application each, or all samples of an op in one graph.

Tensor operands become parameters with named sizes (equal sizes have equal names; 0 and 1 stay literal, as in a
specialisation) or with literal sizes (`exact`). Host scalars become parameters, except in `exact` graphs, where
integers are constants, so that shapes are known.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import ml_dtypes  # noqa: F401  (registers bfloat16 with NumPy)
import numpy as np

from tracejit.ir.builder import Builder, EagerBuilder, Handle
from tracejit.ir.core import Graph, Value
from tracejit.ir.opdef import OpDef, Pointwise, Sample, Update, flatten
from tracejit.ir.types import BY_NUMPY_NAME, DType, ScalarType, TensorType
from tracejit.ops.products import with_sizes

EAGER = EagerBuilder(np)


def samples_of(defn: OpDef, seed: int = 7) -> list[Sample]:
    """The op's samples, the same ones every time."""
    assert defn.samples is not None
    return [normal(s) for s in defn.samples(np.random.default_rng(seed))]


def normal(sample: Sample) -> Sample:
    """The sample with host scalars as NumPy scalars of their dtype, as the interpreter holds them."""

    def one(x: Any) -> Any:
        if isinstance(x, tuple):
            return tuple(one(y) for y in x)
        if isinstance(x, bool):
            return np.bool_(x)
        if isinstance(x, int):
            return np.int64(x)
        return np.float64(x) if isinstance(x, float) else x

    return Sample(tuple(one(x) for x in sample.operands), sample.attrs)


def dtype_of(x: Any) -> DType:
    """The dtype of an array or NumPy scalar."""
    return BY_NUMPY_NAME[x.dtype.name]


def forms(defn: OpDef) -> tuple[str, ...]:
    """Which graphs of an op are worth making: literal sizes matter where shapes are computed."""
    elementwise = isinstance(defn.lower, Pointwise) and defn.lower.own_index
    return ("named",) if elementwise else ("named", "exact")


@dataclass
class OpGraph:
    """A graph under construction, with the inputs it is to be run on."""

    exact: bool = False
    b: Builder = field(default_factory=Builder)
    params: list[Value] = field(default_factory=list[Value])
    inputs: list[Any] = field(default_factory=list[Any])
    results: list[Value] = field(default_factory=list[Value])

    def operand(self, x: Any) -> Any:
        """A handle for an operand (a tuple of them for a group)."""
        if isinstance(x, tuple):
            return tuple(self.operand(y) for y in x)
        if isinstance(x, np.generic) and self.exact and x.dtype.kind == "i":
            return self.b.wrap(self.b.constant(x.item(), ScalarType(dtype_of(x))))
        if isinstance(x, np.generic):
            type: Any = ScalarType(dtype_of(x))
        else:
            type = TensorType(dtype_of(x), tuple(n if self.exact or n < 2 else f"n{n}" for n in x.shape))
        value = Value(type, "x")
        self.params.append(value)
        self.inputs.append(x)
        return self.b.wrap(value)

    def cotangent(self, x: Any, result: Any) -> Any:
        """A handle for a cotangent, which has the sizes of the result."""
        made = self.operand(x)
        return made if self.b.is_scalar(made) else with_sizes(self.b, made, self.b.shape(result))

    def apply(self, defn: OpDef, sample: Sample) -> tuple[list[Any], tuple[Any, ...]]:
        """Add one application; gives its operand handles (grouped) and result handles."""
        operands = [self.operand(x) for x in sample.operands]
        values = self.b.emit(defn, [h.value for h in flatten(operands)], sample.attrs)
        self.results.extend(values)
        return operands, tuple(self.b.wrap(v) for v in values)

    def graph(self, name: str) -> Graph:
        """The finished graph."""
        return Graph(name, self.b.block(self.params, self.results))


def one_op_graph(defn: OpDef, sample: Sample, form: str) -> OpGraph:
    """A graph that applies the op once."""
    made = OpGraph(exact=form == "exact")
    made.apply(defn, sample)
    return made


def eager_results(defn: OpDef, sample: Sample) -> tuple[Any, ...]:
    """What the eager rule gives, as a tuple; rank-0 tensors, unlike host scalars, as arrays."""
    assert defn.eager is not None
    found = defn.eager(np, *sample.operands, **sample.attrs)
    found = found if isinstance(found, tuple) else (found,)
    types = [value.type for value in one_op_graph(defn, sample, "named").results]
    return tuple(np.asarray(x) if isinstance(t, TensorType) else x for x, t in zip(found, types, strict=True))


# -- derivatives ----------------------------------------------------------------------------------------------


def is_active(x: Any) -> bool:
    """Whether an operand or result can carry a cotangent."""
    return not isinstance(x, tuple) and dtype_of(np.asarray(x)).is_inexact


def cotangents_of(results: Sequence[Any], seed: int = 3) -> tuple[Any, ...]:
    """A random cotangent for each result, None for those that have none."""
    rng = np.random.default_rng(seed)

    def one(x: Any) -> Any:
        if not is_active(x):
            return None
        x = np.asarray(x) if not isinstance(x, np.generic) else x
        random = np.asarray(rng.uniform(-1, 1, size=x.shape))
        if x.dtype.kind == "c":
            random = random + 1j * rng.uniform(-1, 1, size=x.shape)
        return random.astype(x.dtype)[()] if isinstance(x, np.generic) else random.astype(x.dtype)

    return tuple(one(x) for x in results)


def weights_of(defn: OpDef, results: Sequence[Any], seed: int = 3) -> tuple[Any, ...]:
    """Random cotangents; of a result whose vectors are free up to a factor, real weights, which `cotangents` multiplies
    with the result: then what is pulled back does not depend on the factor."""
    found = cotangents_of(results, seed)
    return tuple(g.real.astype(g.dtype) if i in defn.free and g is not None else g for i, g in enumerate(found))


def cotangents(defn: OpDef, weights: Sequence[Any], results: Sequence[Any]) -> tuple[Any, ...]:
    """The cotangents of results that weights stand for (handles or arrays)."""
    pairs = enumerate(zip(weights, results, strict=True))
    return tuple(w * r if i in defn.free and w is not None else w for i, (w, r) in pairs)


def comparable(defn: OpDef, results: Sequence[Any]) -> list[Any]:
    """Results as they can be compared: of free vectors the moduli."""
    return [np.abs(r) if i in defn.free else r for i, r in enumerate(results)]


def pullback(
    b: Any, defn: OpDef, operands: Sequence[Any], results: Sequence[Any], g: Sequence[Any], attrs: dict[str, Any]
) -> list[Any]:
    """The vjp rule applied: one cotangent (or None) per flat operand; updates are applied to zeros."""
    assert callable(defn.vjp)
    single = len(results) == 1
    with np.errstate(all="ignore"):
        given = defn.vjp(b, g[0] if single else tuple(g), *operands, results[0] if single else tuple(results), **attrs)
    flat: list[Any] = []
    for operand, entry in zip(operands, given, strict=True):
        group = isinstance(operand, tuple)
        entries = (entry or (None,) * len(operand)) if group else (entry,)
        for x, each in zip(operand if group else (operand,), entries, strict=True):
            flat.append(each.apply(b.zeros_like(x)) if isinstance(each, Update) else each)
    return flat


def differentiable(defn: OpDef, sample: Sample) -> bool:
    """Whether the sample has an active operand and an active result, and the op a rule."""
    return (
        callable(defn.vjp)
        and any(is_active(x) for x in flatten(sample.operands))
        and any(is_active(r) for r in eager_results(defn, sample))
    )


def add_pullback(made: OpGraph, defn: OpDef, sample: Sample) -> list[int]:
    """Add the op and its vjp rule to a graph; gives which flat operands got a cotangent (a result of the graph)."""
    weights = weights_of(defn, eager_results(defn, sample))
    operands, results = made.apply(defn, sample)
    given = [None if w is None else made.cotangent(w, r) for w, r in zip(weights, results, strict=True)]
    handles = cotangents(defn, given, results)
    found = pullback(made.b, defn, operands, results, handles, sample.attrs)
    places = [i for i, x in enumerate(found) if isinstance(x, Handle)]
    made.results.extend(found[i].value for i in places)
    return places


# -- comparison -----------------------------------------------------------------------------------------------

#: Relative tolerance by dtype: exact for integers and booleans.
TOLERANCE = {
    "float16": 2e-3,
    "bfloat16": 2e-2,
    "float32": 2e-6,
    "float64": 1e-14,
    "complex64": 4e-6,
    "complex128": 1e-13,
}


def assert_same(found: Any, expected: Any, what: str, scale: float = 1.0) -> None:
    """Equal dtypes, shapes and (to rounding) values; nan equals nan."""
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.dtype == expected.dtype, f"{what}: dtype {found.dtype}, expected {expected.dtype}"
    assert found.shape == expected.shape, f"{what}: shape {found.shape}, expected {expected.shape}"
    tolerance = TOLERANCE.get(expected.dtype.name, 0.0) * scale
    if not tolerance:
        np.testing.assert_array_equal(found, expected, err_msg=what)
        return
    if expected.dtype.name in ("float16", "bfloat16"):
        found, expected = found.astype("float32"), expected.astype("float32")
    size = np.max(np.abs(expected), initial=0.0, where=np.isfinite(expected))
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance * float(size), err_msg=what)


Runner = Callable[[Graph, Sequence[Any]], Sequence[Any]]


def check_all_samples(defn: OpDef, runner: Runner, scale: float) -> None:
    """All samples and their vjp rules in one graph, run by `runner`, against the eager rules."""
    for form in forms(defn):
        made, expected, names, free = OpGraph(exact=form == "exact"), [], [], set[int]()
        for number, sample in enumerate(samples_of(defn)):
            what = f"{defn.name} {form} sample {number}"
            results = eager_results(defn, sample)
            free |= {len(expected) + i for i in defn.free}
            expected.extend(results)
            names.extend([what] * len(results))
            if differentiable(defn, sample):
                places = add_pullback(made, defn, sample)
                g = cotangents(defn, weights_of(defn, results), results)
                found = pullback(EAGER, defn, sample.operands, results, g, sample.attrs)
                expected.extend(found[i] for i in places)
                names.extend(f"cotangent {i} of {what}" for i in places)
            else:
                made.apply(defn, sample)
        found = runner(made.graph(defn.name), made.inputs)
        for i, (got, wanted, what) in enumerate(zip(found, expected, names, strict=True)):
            got, wanted = (np.abs(x) if i in free else x for x in (got, wanted))
            assert_same(got, wanted, what, scale)
