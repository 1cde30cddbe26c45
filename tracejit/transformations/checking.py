"""`check`: one function computed and differentiated in every way there is, and the differences."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tracejit import autograd, pytree
from tracejit.eager.random import drawing_from, random_state, restore
from tracejit.eager.tensor import Tensor, wrap
from tracejit.errors import NotDifferentiable
from tracejit.records import record
from tracejit.transformations.base import scripted
from tracejit.transformations.calls import jvp, vjp

#: A function that is smooth bends over half a step by a quarter of what it does over the step; at a kink by a half.
_CURVED = 0.4


@record
class Difference:
    """Two ways that do not agree: what was compared, where, and how far they are apart."""

    what: str
    place: str
    largest: float
    first: Any
    second: Any

    def __str__(self) -> str:
        return f"{self.what}: {self.place} differs by {self.largest:.3g}\n    {self.first!r}\n    {self.second!r}"


@dataclass(slots=True)
class Report:
    """What `check` found. True when everything agrees; `str` lists the comparisons and the differences."""

    compared: list[str] = field(default_factory=list[str])
    differences: list[Difference] = field(default_factory=list[Difference])
    skipped: list[str] = field(default_factory=list[str])

    @property
    def ok(self) -> bool:
        return not self.differences

    def __bool__(self) -> bool:
        return self.ok

    def __str__(self) -> str:
        lines = [f"agree: {what}" for what in self.compared if what not in {d.what for d in self.differences}]
        return "\n".join([*lines, *map(str, self.differences), *(f"skipped: {s}" for s in self.skipped)])


def check(fn: Any, *args: Any, rtol: float = 1e-5, atol: float = 1e-7) -> Report:
    """Compare `fn(*args)` eager and compiled, and its derivative by reverse mode, forward mode, the eager tape (where
    all floats are Tensors) and central differences (in the arguments' own precision: of float32 they are good to about
    three digits, so use float64).

    Derivatives are compared along one random direction, and for a random weighting of the results that are finite. At a
    kink, a jump or the end of the domain there are no differences, and the modes are compared with one another.
    Arguments are not changed, and every run draws the same random numbers. Gives a `Report`; nothing is raised for a
    difference.
    """
    with drawing_from(random_state()):
        return _Check(fn, args, rtol, atol).run()


class _Check:
    def __init__(self, fn: Any, args: Sequence[Any], rtol: float, atol: float) -> None:
        self.compiled = scripted(fn)
        self.plain: Callable[..., Any] = self.compiled.__tracejit_function__
        self.leaves, self.structure = pytree.flatten(tuple(args))
        self.rtol, self.atol = rtol, atol
        self.report = Report()
        self.rng = np.random.default_rng(0)
        self.random_state = random_state()

    def run(self) -> Report:
        """All comparisons."""
        eager, compiled = self.plain(*self.arguments()), self.compiled(*self.arguments())
        self.compare("eager and compiled results", _arrays(eager), _arrays(compiled), self.rtol, self.atol)
        self.along = [self.random_like(x) if _is_float(x) else None for x in self.leaves]
        if not any(x is not None for x in self.along):
            self.report.skipped.append("derivatives: the arguments hold no float")
            return self.report
        self.weights = [self.weight_of(x) if _is_float(x) else None for x in pytree.leaves(compiled)]
        self.compare_slopes(self.slopes())
        return self.report

    def slopes(self) -> dict[str, float]:
        """The slope of the combination along the direction by every mode that gives one."""
        ways: dict[str, tuple[Callable[[], float], type[Exception]]] = {
            "reverse mode": (self.reverse, NotDifferentiable),
            "forward mode": (self.forward, NotDifferentiable),
        }
        if all(isinstance(x, Tensor) for x in self.leaves if _is_float(x)):
            ways["the eager tape"] = (self.tape, RuntimeError)  # where something is written that it needs
        found: dict[str, float] = {}
        for name, (way, refusal) in ways.items():
            try:
                found[name] = way()
            except (NotDifferentiable, refusal) as error:
                self.report.skipped.append(f"{name}: {error}")
        return found

    def compare_slopes(self, slopes: dict[str, float]) -> None:
        """Each slope with central differences; where the function has none, with the first slope."""
        is_double = all(np.asarray(_raw(x)).dtype.itemsize >= 8 for x in self.leaves if _is_float(x))
        step, rtol, atol = (1e-6, self.rtol, 1e3 * self.atol) if is_double else (1e-3, 200 * self.rtol, 2e4 * self.atol)
        below, here, above = (self.combined(s) for s in (-step, 0.0, step))
        expected, what = (above - below) / (2 * step), "central differences"

        def agree(atol: float) -> bool:
            return all(np.isclose(slope, expected, rtol, atol, equal_nan=True) for slope in slopes.values())

        if is_double and np.isfinite(expected):
            size = max(abs(below), abs(above))
            rounding = float(np.spacing(size)) * 8 / step  # what that of the results makes of the differences
            atol += rounding
            if agree(atol) and not agree(rounding + self.atol * size):
                atol = min(atol, rounding + self.atol * size + 4 * self.spread(expected, step))
        if not agree(atol):
            half_below, half_above = (self.combined(s) for s in (-step / 2, step / 2))
            bend, half_bend = below - 2 * here + above, half_below - 2 * here + half_above
            is_smooth = abs(bend) <= step * (rtol * abs(expected) + atol) or abs(half_bend) < _CURVED * abs(bend)
            is_steady = np.isclose((half_above - half_below) / step, expected, rtol, 2 * atol)
            if not (is_smooth and is_steady and np.isfinite(expected)):
                self.report.skipped.append(f"{what}: the function has a kink, a jump or an end at the arguments")
                what, expected = next(iter(slopes.items()))
        for name, slope in slopes.items():
            if name != what:
                self.compare(f"{name} and {what}", [np.asarray(expected)], [np.asarray(slope)], rtol, atol)

    def spread(self, expected: float, step: float) -> float:
        """What central differences are good to: how far those over other steps are from them, inf if there are none."""
        others = [(self.combined(s) - self.combined(-s)) / (2 * s) for s in (step / 2, 2 * step, 4 * step, 64 * step)]
        return float(np.nan_to_num(np.max(np.abs(np.subtract(others, expected))), nan=np.inf))

    def arguments(self, step: float = 0.0) -> Sequence[Any]:
        """The arguments of a run, moved along the direction."""
        restore(self.random_state)
        moved = [copy.deepcopy(x) for x in self.leaves]
        if step:
            for k, along in enumerate(self.along):
                if along is not None:
                    moved[k] = _like(self.leaves[k], _raw(self.leaves[k]) + step * along)
        return self.structure.unflatten(moved)

    def random_like(self, x: Any) -> np.ndarray[Any, Any]:
        return self.rng.normal(size=np.shape(_raw(x))).astype(np.asarray(_raw(x)).dtype)

    def weight_of(self, result: Any) -> np.ndarray[Any, Any]:
        """Random weights, 0 for what is inf or nan."""
        return np.where(np.isfinite(_raw(result)), self.random_like(result), 0)

    def weighted(self, result: Any) -> float:
        """The combination of results, or of their tangents, that is compared."""
        pairs = zip(pytree.leaves(result), self.weights, strict=True)
        with np.errstate(invalid="ignore"):  # inf times 0
            return sum(float(np.sum(_raw(x) * w, where=w != 0)) for x, w in pairs if w is not None and x is not None)

    def combined(self, step: float) -> float:
        """The combination of the results, that far along the direction; nan where there are none, or of other sizes."""
        try:
            return self.weighted(self.plain(*self.arguments(step)))
        except Exception:
            return float("nan")

    def reverse(self) -> float:
        """<pullback of the weights, direction>."""
        out, pullback = vjp(self.compiled, *self.arguments())
        _, structure = pytree.flatten(out)
        slopes = pytree.leaves(pullback(structure.unflatten(self.weights)))
        return self.inner(slopes)

    def forward(self) -> float:
        """<weights, tangent>."""
        _, tangent = jvp(self.compiled, self.arguments(), self.structure.unflatten(self.along))
        return self.weighted(tangent)

    def tape(self) -> float:
        """<gradient on the eager tape, direction>."""
        is_variable = [isinstance(x, Tensor) and _is_float(x) for x in self.leaves]
        asking = [
            x.detach().clone().requires_grad_() if v else x for x, v in zip(self.leaves, is_variable, strict=True)
        ]
        given = [
            x.clone() if v else copy.deepcopy(x) for x, v in zip(asking, is_variable, strict=True)
        ]  # may be written
        restore(self.random_state)
        result = self.plain(*self.structure.unflatten(given))
        pairs = zip(pytree.leaves(result), self.weights, strict=True)
        terms = [(x * wrap(np.asarray(w))).sum() for x, w in pairs if w is not None and isinstance(x, Tensor)]
        terms = [term for term in terms if term.requires_grad]
        if not terms:
            return 0.0
        variables = [x for x, v in zip(asking, is_variable, strict=True) if v]
        slopes = iter(autograd.grad(sum(terms[1:], terms[0]), variables, allow_unused=True))
        return self.inner([next(slopes) if v else None for v in is_variable])

    def inner(self, slopes: Sequence[Any]) -> float:
        pairs = zip(slopes, self.along, strict=True)
        return sum(float(np.sum(_raw(s) * t)) for s, t in pairs if s is not None and t is not None)

    def compare(self, what: str, first: list[Any], second: list[Any], rtol: float, atol: float) -> None:
        """Note one comparison of arrays, and how they differ."""
        self.report.compared.append(what)
        if len(first) != len(second):
            found = Difference(what, "structure", float("inf"), first, second)
            self.report.differences.append(found)
            return
        for i, (x, y) in enumerate(zip(first, second, strict=True)):
            same = x.shape == y.shape and np.allclose(x, y, rtol, atol, equal_nan=True)
            if not same:
                apart = float(np.max(np.abs(x - y))) if x.shape == y.shape and x.size else float("inf")
                place = f"result {i}" if len(first) > 1 else "the result"
                self.report.differences.append(Difference(what, place, apart, x, y))


def _raw(x: Any) -> Any:
    return x._data if isinstance(x, Tensor) else x


def _is_float(x: Any) -> bool:
    return not isinstance(x, str | bytes) and x is not None and np.asarray(_raw(x)).dtype.kind == "f"


def _like(x: Any, moved: Any) -> Any:
    if isinstance(x, Tensor):
        return wrap(np.asarray(moved))
    return np.asarray(moved) if isinstance(x, np.ndarray) else type(x)(moved)


def _arrays(result: Any) -> list[Any]:
    """The numbers of a result."""
    arrays = [np.asarray(_raw(x)) for x in pytree.leaves(result)]
    return [x for x in arrays if x.dtype.kind in "biufc"]
