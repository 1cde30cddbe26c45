"""L-BFGS (Liu and Nocedal 1989), with steps along its directions that satisfy the strong Wolfe conditions if asked for
(Nocedal and Wright, Numerical Optimization, algorithms 3.5 and 3.6). Works on eager tensors; the loss may be a script.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import tracejit as tj
from tracejit.nn.utils import parameters_to_vector, vector_to_parameters
from tracejit.optim.optimizer import Optimizer


class Point(NamedTuple):
    """What is known of a step of length t along a direction."""

    t: float
    loss: float
    gradient: Any  #: of all parameters, as a vector
    slope: float  #: of the loss along the direction


class LBFGS(Optimizer):
    """p += t * d with d = -H g, where H is the inverse Hessian that the last `history_size` changes of p and g suggest.

    `step(closure)` makes up to `max_iter` steps, each of length `lr` (the first one shorter), or of a length found by
    `line_search_fn="strong_wolfe"`. It ends where no element of g is above `tolerance_grad`, where loss or parameters
    change by less than `tolerance_change`, or after `max_eval` calls (5 / 4 of `max_iter`) of the closure, which
    computes the loss and its gradients. There is one group of parameters.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1.0,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ) -> None:
        if line_search_fn not in (None, "strong_wolfe"):
            raise ValueError(f"line_search_fn is None or 'strong_wolfe', not {line_search_fn!r}")
        defaults = {
            "lr": lr,
            "max_iter": max_iter,
            "max_eval": max_iter * 5 // 4 if max_eval is None else max_eval,
            "tolerance_grad": tolerance_grad,
            "tolerance_change": tolerance_change,
            "history_size": history_size,
            "line_search_fn": line_search_fn,
        }
        super().__init__(params, defaults)
        if len(self.param_groups) != 1:
            raise ValueError("LBFGS takes one group of parameters")

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Up to `max_iter` steps; gives what the closure gave before them."""
        if closure is None:
            raise TypeError("LBFGS.step() takes a function that computes the loss and its gradients")
        settings = self.param_groups[0]
        state = self.state[settings["params"][0]]
        if not state:
            state.update({"steps": 0, "changes": [], "scale": 1.0})
        evaluations = 0

        def evaluate() -> tuple[Any, Any]:
            nonlocal evaluations
            evaluations += 1
            with tj.enable_grad():
                loss = closure()
            return loss, self._gradient()

        with tj.no_grad():
            first, gradient = evaluate()
            loss = float(first)
            for _ in range(settings["max_iter"]):
                if float(tj.abs(gradient).max()) <= settings["tolerance_grad"]:
                    break
                direction = _direction(state, gradient)
                slope = float(tj.dot(gradient, direction))
                if slope > -settings["tolerance_change"]:
                    break
                before = Point(0.0, loss, gradient, slope)
                after = self._moved(evaluate, before, direction, settings, is_first=not state["steps"])
                state["steps"] += 1
                change = direction * after.t
                _remember(state, change, after.gradient - gradient, settings["history_size"])
                moved, gained = float(tj.abs(change).max()), abs(after.loss - loss)
                loss, gradient = after.loss, after.gradient
                small = settings["tolerance_change"]
                if moved <= small or gained < small or evaluations >= settings["max_eval"]:
                    break
        return first

    def _gradient(self) -> Any:
        """The gradients of all parameters as a vector."""
        return parameters_to_vector(tj.zeros_like(p) if p.grad is None else p.grad for p in self._parameters())

    def _moved(
        self,
        evaluate: Callable[[], tuple[Any, Any]],
        before: Point,
        direction: Any,
        settings: dict[str, Any],
        is_first: bool,
    ) -> Point:
        """The point that a step reaches; the parameters are there."""
        start = parameters_to_vector(self._parameters())

        def go_to(t: float) -> None:
            vector_to_parameters(start + direction * t, self._parameters())

        def at(t: float) -> Point:
            go_to(t)
            loss, gradient = evaluate()
            return Point(t, float(loss), gradient, float(tj.dot(gradient, direction)))

        t = settings["lr"]
        if is_first:
            t *= min(1.0, 1.0 / float(tj.abs(before.gradient).sum()))
        if settings["line_search_fn"] is None:
            return at(t)
        found = strong_wolfe(at, before, t)
        go_to(found.t)
        return found


def _direction(state: dict[str, Any], gradient: Any) -> Any:
    """-H g by the two loops over the remembered changes."""
    q, factors = -gradient, []
    for s, y, curvature in reversed(state["changes"]):
        factor = float(tj.dot(s, q)) / curvature
        factors.append(factor)
        q = q - y * factor
    q = q * state["scale"]
    for (s, y, curvature), factor in zip(state["changes"], reversed(factors), strict=True):
        q = q + s * (factor - float(tj.dot(y, q)) / curvature)
    return q


def _remember(state: dict[str, Any], s: Any, y: Any, history: int) -> None:
    """Keep a change of the parameters and that of the gradient, where the loss is curved along it."""
    curvature = float(tj.dot(y, s))
    if curvature > 1e-10:
        state["changes"] = [*state["changes"], (s, y, curvature)][-history:]
        state["scale"] = curvature / float(tj.dot(y, y))


# -- the length of a step ---------------------------------------------------------------------------------------

#: How much of the decrease that the first slope promises a step must bring, and how much flatter it must end.
_DECREASE, _FLATTER = 1e-4, 0.9
#: How many lengths are tried.
_TRIALS = 25


def strong_wolfe(at: Callable[[float], Point], start: Point, t: float) -> Point:
    """A step that decreases the loss enough and ends where its slope is small, or the best that was found."""
    before, best = start, start
    for trial in range(_TRIALS):
        now = at(t)
        best = min(best, now, key=lambda p: p.loss if math.isfinite(p.loss) else math.inf)
        if not _decreases(now, start) or (trial and now.loss >= before.loss):
            return _between(at, start, before, now, _TRIALS - trial)
        if abs(now.slope) <= -_FLATTER * start.slope:
            return now
        if now.slope >= 0:
            return _between(at, start, now, before, _TRIALS - trial)
        least, most = now.t + 0.01 * (now.t - before.t), 10 * now.t
        t = min(max(_lowest(before, now, (least + most) / 2), least), most)
        before = now
    return best


def _decreases(point: Point, start: Point) -> bool:
    return math.isfinite(point.loss) and point.loss <= start.loss + _DECREASE * point.t * start.slope


def _between(at: Callable[[float], Point], start: Point, low: Point, high: Point, trials: int) -> Point:
    """A step between two, of which `low` has the lower loss and points towards `high`."""
    for _ in range(trials):
        width = high.t - low.t
        if abs(width) * abs(start.slope) < 1e-12 * max(1.0, abs(start.loss)):
            break
        t = _lowest(low, high, low.t + width / 2)
        inside = (t - low.t) / width
        now = at(t if 0.1 <= inside <= 0.9 else low.t + width / 2)
        if not _decreases(now, start) or now.loss >= low.loss:
            high = now
            continue
        if abs(now.slope) <= -_FLATTER * start.slope:
            return now
        if now.slope * width >= 0:
            high = low
        low = now
    return low


def _lowest(a: Point, b: Point, instead: float) -> float:
    """Where the cubic through two points with their slopes is lowest; `instead` where it is nowhere."""
    if not (math.isfinite(a.loss) and math.isfinite(b.loss)) or a.t == b.t:
        return instead
    mean = a.slope + b.slope - 3 * (a.loss - b.loss) / (a.t - b.t)
    square = mean * mean - a.slope * b.slope
    if square < 0:
        return instead
    root = math.copysign(math.sqrt(square), b.t - a.t)
    below = b.slope - a.slope + 2 * root
    return instead if below == 0 else b.t - (b.t - a.t) * (b.slope + root - mean) / below
