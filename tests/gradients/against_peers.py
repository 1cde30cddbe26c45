"""`python -m tests.gradients.against_peers torch|jax`: derivatives of functions and layers against a peer's.

Every expression of `torch_expressions.py` or `jax_expressions.py` is a function of float64 arrays in both libraries.
Its value, its gradient and the gradient of a weighting of that are compared: on the eager tape, and compiled (reverse
mode, forward mode, forward over reverse). Runs where the peer is installed, as `make grad-peers` does.
"""

from __future__ import annotations

import argparse
import functools
import importlib
import importlib.util
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

import tracejit as tj


def weights(shape: Sequence[int]) -> np.ndarray[Any, Any]:
    """Numbers of that shape that weigh results, slopes and directions."""
    return np.cos(1 + 1.7 * np.arange(int(np.prod(shape)))).reshape(tuple(shape))


def module(library: str, head: str, expressions: Sequence[tuple[str, list[str]]], folder: Path) -> ModuleType:
    """The functions, written with one library."""
    name = f"{library}_functions"
    path = folder / f"{name}.py"
    text = [head]
    for n, (expression, names) in enumerate(expressions):
        text.append(f"\ndef value_{n}({', '.join(names)}):\n    return {expression}\n")
    path.write_text("".join(text))
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    made = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


class Tape:
    """Value, gradient and second derivative by a library's eager tape."""

    def __init__(self, library: Any, make: Callable[[Any], Any], function: Any, arrays: Sequence[Any]) -> None:
        variables = [make(x) for x in arrays]
        result = function(*variables)
        self.value = numbers(result)
        loss = (result * library.as_tensor(weights(result.shape))).sum()
        slopes = library.autograd.grad(loss, variables, create_graph=True, allow_unused=True)
        self.slopes = [zeros_or(s, x) for s, x in zip(slopes, arrays, strict=True)]
        moving = [(s * library.as_tensor(weights(s.shape))).sum() for s in slopes if s is not None and s.requires_grad]
        self.second = self.slopes_of(library, sum(moving), variables, arrays) if moving else [0 * x for x in arrays]

    def slopes_of(self, library: Any, total: Any, variables: Sequence[Any], arrays: Sequence[Any]) -> list[Any] | None:
        """The derivative of the weighted slopes; None where there is none (PyTorch lacks some)."""
        try:
            found = library.autograd.grad(total, variables, allow_unused=True)
        except RuntimeError:
            return None
        return [zeros_or(s, x) for s, x in zip(found, arrays, strict=True)]


class Jax:
    """Value, gradient and second derivative by JAX, reverse over reverse."""

    def __init__(self, function: Any, arrays: Sequence[Any]) -> None:
        import jax

        jax.config.update("jax_enable_x64", True)
        peer: Any = jax

        def slopes(*given: Any) -> Any:
            result, pullback = peer.vjp(function, *given)
            return pullback(peer.numpy.asarray(weights(result.shape)))

        self.value = np.asarray(function(*map(peer.numpy.asarray, arrays)))
        self.slopes = list(map(np.asarray, slopes(*arrays)))
        _, pullback = peer.vjp(slopes, *arrays)
        self.second = list(map(np.asarray, pullback(tuple(peer.numpy.asarray(weights(x.shape)) for x in arrays))))


def numbers(x: Any) -> np.ndarray[Any, Any]:
    """A tensor of either library as an array."""
    return np.asarray(x.detach().clone().tolist()).reshape(tuple(x.shape))


def zeros_or(slope: Any, like: Any) -> np.ndarray[Any, Any]:
    """A derivative as an array; None is zero."""
    return np.zeros(np.shape(like)) if slope is None else numbers(slope)


def compiled(function: Any, arrays: Sequence[Any]) -> Iterator[tuple[str, list[Any]]]:
    """What compiled code gives: the value, its slopes, its tangent, and the tangent of its slopes."""
    tensors = [tj.tensor(x) for x in arrays]
    along = [tj.tensor(weights(x.shape)) for x in arrays]
    result, pullback = tj.vjp(function, *tensors)
    scale = tj.tensor(weights(result.shape))
    yield "value", [numbers(result)]
    yield "reverse mode", [zeros_or(s, x) for s, x in zip(pullback(scale), arrays, strict=True)]
    _, tangent = tj.jvp(function, tuple(tensors), tuple(along))
    yield "forward mode", [np.sum(numbers(tangent) * weights(tangent.shape))]

    def slopes(*given: Any) -> Any:
        return tj.vjp(function, *given)[1](scale)

    _, moved = tj.jvp(slopes, tuple(tensors), tuple(along))
    yield "forward over reverse", [zeros_or(s, x) for s, x in zip(moved, arrays, strict=True)]


def differences(ours: Any, expected: Tape | Jax, arrays: Sequence[Any]) -> Iterator[str]:
    """How the derivatives of one function differ from the peer's."""

    def agree(what: str, found: Sequence[Any] | None, expected: Sequence[Any] | None) -> Iterator[str]:
        if found is None and expected is not None:
            yield f"{what}: there is none"
        for a, b in zip(found or (), expected or found or (), strict=True):
            if np.shape(a) != np.shape(b) or not np.allclose(a, b, rtol=1e-6, atol=1e-8, equal_nan=False):
                yield f"{what}: {np.ravel(a)[:6]}, expected {np.ravel(b)[:6]}"

    tape = Tape(_Tracejit, lambda x: tj.tensor(x, requires_grad=True), ours, arrays)
    yield from agree("tape, value", [tape.value], [expected.value])
    yield from agree("tape", tape.slopes, expected.slopes)
    yield from agree("tape, second derivative", tape.second, expected.second)
    directional = sum(np.sum(s * weights(s.shape)) for s in expected.slopes)
    wanted = ([expected.value], expected.slopes, [directional], expected.second)
    for (what, found), values in zip(compiled(ours, arrays), wanted, strict=True):
        yield from agree(f"compiled, {what}", found, values)


class _Tracejit:
    """tracejit under the names that `Tape` uses."""

    autograd = tj.autograd
    as_tensor = staticmethod(tj.tensor)


def peer_of(library: str) -> tuple[ModuleType, dict[str, str], Callable[[Any, Sequence[Any]], Tape | Jax]]:
    """The table of expressions, the head of both modules, and what computes the expected derivatives."""
    table = importlib.import_module(f"tests.gradients.{library}_expressions")
    heads = {name: table.PRELUDES[name] + table.SHARED for name in ("tracejit", library)}
    if library == "jax":
        return table, heads, Jax
    torch = importlib.import_module("torch")
    return table, heads, functools.partial(Tape, torch, lambda x: torch.tensor(x, requires_grad=True))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("peer", choices=("torch", "jax"))
    parser.add_argument("only", nargs="*", help="parts of expressions; without any, all run")
    given = parser.parse_args()
    table, heads, peer = peer_of(given.peer)
    wrong = count = 0
    with tempfile.TemporaryDirectory() as folder:
        ours, theirs = (module(name, head, table.EXPRESSIONS, Path(folder)) for name, head in heads.items())
        for n, (expression, names) in enumerate(table.EXPRESSIONS):
            if given.only and not any(part in expression for part in given.only):
                continue
            arrays = [table.inputs()[name] for name in names]
            expected = peer(getattr(theirs, f"value_{n}"), arrays)
            found = list(differences(getattr(ours, f"value_{n}"), expected, arrays))
            count, wrong = count + 1, wrong + bool(found)
            for line in found:
                print(f"{expression}: {line}", flush=True)
    print(f"{count} expressions, {wrong} differ")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
