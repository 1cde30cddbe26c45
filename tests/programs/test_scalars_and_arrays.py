"""What small programs give: Python numbers, NumPy scalars, or arrays of rank 0; and their values to the last bit."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

import tracejit as tj
import tracejit.nn.functional as F
from tracejit.scripted import script

A = np.arange(6.0).reshape(2, 3)
V = np.arange(1.0, 4.0)
N = V.astype(np.float32)
I = np.array([3, 1, 2])  # noqa: E741
U = np.array([250, 3], np.uint8)
B = np.array([True, False, True])
C = np.array([1 + 2j, 3 - 1j])


def copied_by_a_sign(a):
    b = +a
    b[0] = 9.0
    return a, b


PROGRAMS: dict[str, tuple[Any, ...]] = {
    # tests of whole arrays are Python bools, of elements NumPy's
    "allclose": (lambda a: np.allclose(a, a), V),
    "array_equal": (lambda a: np.array_equal(a, a + 1), V),
    "array_equiv": (lambda a: np.array_equiv(a, a), V),
    "isclose": (lambda a: np.isclose(a[0], 1.0), V),
    "isclose of a float": (lambda x: np.isclose(x, 1.0), 1.5),
    "less": (lambda a: a[0] < 2, N),
    "any": (lambda a: a.any(), N),
    "all": (lambda a: np.all(a > 0), N),
    "python any": (lambda a: any(a > 1), N),
    "isnan": (lambda a: np.isnan(a[0]), V),
    "in": (lambda a: 3 in a, I),
    "not": (lambda a: not a[0], N),
    # arrays of rank 0
    "where of numbers": (lambda x: np.where(x > 0, 1, 2), 1.5),
    "where, known": (lambda: np.where(True, 1, 2),),
    "where of an element": (lambda a: np.where(a[0] > 0, a[0], 2), N),
    "where and more": (lambda a: np.where(a[0] > 0, a[0], 2) + 1, N),
    "cov": (lambda a: np.cov(a), V),
    "cov of two": (lambda a: np.cov(a, a * 2), V),
    "corrcoef": (lambda a: np.corrcoef(a), V),
    "tensordot": (lambda a: np.tensordot(a, a, 1), N),
    "element with an ellipsis": (lambda a: a[0, 0, ...], A),
    "asarray": (lambda a: np.asarray(a[0]), V),
    "squeeze": (lambda a: np.squeeze(a[:1]), V),
    "reshape": (lambda a: a[:1].reshape(()), V),
    "zeros": (lambda: np.zeros(()),),
    # ... of which arithmetic makes scalars
    "exp of rank 0": (lambda a: np.negative(np.array(a[0])), V),
    "zeros and a scalar": (lambda a: np.zeros(()) + a[0], V),
    "rank 0 by a number": (lambda x: np.array(x) * 2, 1.5),
    "rank 0 compared": (lambda x: np.array(x) > 1, 1.5),
    "minus rank 0": (lambda x: -np.array(x), 1.5),
    "plus rank 0": (lambda x: +np.array(x), 1.5),
    "plus is a copy": (lambda a: copied_by_a_sign(a * 1), V),
    # scalars
    "element": (lambda a: a[0], N),
    "integer element": (lambda a: a[0], I),
    "wraps": (lambda a: a[0] + 10, U),
    "wraps in products": (lambda a: a[0] * a[0], U),
    "minus wraps": (lambda a: -a[1], U),
    "int of an element": (lambda a: int(a[0]), N),
    "float of an element": (lambda a: float(a[0]), N),
    "item": (lambda a: a.item(1), N),
    "tolist": (lambda a: a.tolist(), N),
    "max and one": (lambda a: a.max() + 1, N),
    "mean of ints": (lambda a: a.mean(), I),
    "mean of bools": (lambda a: a.mean(), B),
    "sum of bools": (lambda a: a.sum(), B),
    "sum of bytes": (lambda a: a.sum(), U),
    "product of bools": (lambda a: a.prod(), B),
    "python sum": (lambda a: sum(a), U),
    "python sum of none": (lambda a: sum(a), U[:0]),
    "python sum of none and a start": (lambda a: sum(a, 2.5), U[:0]),
    "sum of none": (lambda a: a.sum(), U[:0]),
    "dot": (lambda a: a @ a, N),
    "norm": (lambda a: np.linalg.norm(a), N),
    "count": (lambda a: np.count_nonzero(a), N),
    "argmax": (lambda a: a.argmax(), N),
    "trace": (lambda a: np.trace(a), A),
    "abs of complex": (lambda a: abs(a[0]), C),
    "real": (lambda a: a[0].real, C),
    "round": (lambda a: round(a[0]), N),
    "round to digits": (lambda a: round(a[0], 1), N),
    "floor division": (lambda a: a[0] // 2, I),
    "division": (lambda a: a[0] / 2, I),
    "divmod": (lambda a: divmod(a[0], 2), I),
    "two dtypes": (lambda a, b: a[0] * b[0], U, I.astype(np.int8)),
    "beyond the dtype": (lambda a, x: a[0] * x, N, 1e300),
    "sum of a bool and one": (lambda a: a[0] + 1, B),
    "comparison and one": (lambda x: (x > 1) + 1, 2),
    "sqrt of an int": (lambda x: np.sqrt(x), 2),
    "add of ints": (lambda x, y: np.add(x, y), 1, 2),
    "float32": (lambda x: np.float32(x), 1.5),
    "astype": (lambda a: a[0].astype(np.int32), N),
    "shape": (lambda a: (a.shape, a.size, a.ndim, len(a)), A),
    "einsum": (lambda a: np.einsum("i,i->", a, a), N),
    "full sum keeping axes": (lambda a: a.sum(keepdims=True), V),
    # powers of Python's numbers
    "root": (lambda x: x**0.5, 2.0),
    "root of an int": (lambda x: x**0.5, 2),
    "roots of ints": (lambda n: (math.sqrt(n * n), (n * n) ** 0.5, math.sqrt(n)), -3),
    "logarithm of 0": (lambda n: math.log1p(n) if n < 3 else math.log(n - 5), 5),
    "third root": (lambda x: x ** (1 / 3), 10.0),
    "cube": (lambda x: x**3.0, 0.1),
    "int to a negative power": (lambda x: x**-2, 7),
    "two to a float": (lambda x: 2**x, 0.5),
    "math.pow": (lambda x: math.pow(x, 0.3), 7.7),
    "complex square": (lambda z: z**2, 1 + 2j),
    "complex to a negative power": (lambda z: z**-3, 1 + 2j),
    "complex to 0": (lambda z: z**0, 1 + 2j),
    "complex overflow": (lambda z: z**400, 1e3 + 2j),
    "complex zero to a negative power": (lambda z: z**-2, 0j),
    # new axes of scalars
    "scalars with new axes": (lambda a: (a.sum()[None], (a.sum() * 2)[None, ..., None], a[0][()]), N),
    "an element of a scalar": (lambda a: a.sum()[0], N),
    # containers
    "equal tuples": (lambda a: (a[0], 1) == (a[0], 1), N),
    "unequal tuples": (lambda a: (a[0], 1) != (a[1], 1), N),
    "tuples of one array": (lambda a: (a, 1) == (a, 1), N),
    "tuples of one array and others": (lambda a: (a, 1) == (a, 2), N),
    "tuples of two arrays": (lambda a: (a, 1) == (a * 1, 1), N),
    "text of containers": (lambda a, b, u: str([a[0], (b[0],), {"k": u[0]}]) + repr(a[1]), N, B, U),
}  # fmt: skip


def outcome(fn: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    try:
        with np.errstate(all="ignore"):
            return facts(fn(*arguments))
    except Exception as error:
        return type(error), str(error)


def facts(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return type(value), [facts(v) for v in value]
    return type(value), getattr(value, "dtype", None), getattr(value, "shape", None), repr(value)


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_result_is_what_plain_python_gives(name: str) -> None:
    fn, *arguments = PROGRAMS[name]
    scripted = script(fn)
    expected = outcome(fn, tuple(arguments))
    for _ in range(2):
        assert outcome(scripted, tuple(arguments)) == expected


def test_powers_of_floats_are_those_of_python() -> None:
    power = script(lambda x, y: x**y)
    rng = np.random.default_rng(5)
    for x, y in zip(rng.uniform(0.01, 50.0, 200).tolist(), rng.uniform(-8.0, 8.0, 200).tolist(), strict=True):
        assert power(x, y) == x**y

    def roots(x):
        return [float(value) ** 0.5 for value in x]

    bits = rng.integers(0, 0x7FF0 << 48, 20_000).view(np.float64)  # of every size
    edges = np.array([0.0, -0.0, np.inf, np.nan, 5e-324, 2.0**-901, 2.0**-900, 1.7976931348623157e308])
    x = np.concatenate([bits, rng.random(20_000), np.arange(2_000.0), edges])
    assert (np.array(script(roots)(x)).view(np.int64) == np.array(roots(x)).view(np.int64)).all()


class Pair(NamedTuple):
    a: Any
    n: int


def test_named_tuples_with_one_array_are_equal_without_looking_at_it() -> None:
    scripted = script(lambda a: (Pair(a, 1) == Pair(a, 1), Pair(a, 1) == Pair(a, 2)))
    assert scripted(V) == (True, False)
    with pytest.raises(ValueError, match="ambiguous"):
        script(lambda a: Pair(a, 1) == Pair(a * 1, 1))(V)


def test_conditions_without_values_and_medians_are_methods_of_tensors_too() -> None:
    x = tj.tensor([[3.0, 1.0, 2.0], [4.0, 6.0, 5.0]])
    for fn in (lambda x: tj.where(x > 2), lambda x: (x.median(), x.median(1))):
        for mine, compiled in zip(fn(x), script(fn)(x), strict=True):
            assert mine.dtype == compiled.dtype and mine.tolist() == compiled.tolist()
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'y'"):
        tj.where(x > 2, x)


def test_one_hot_finds_the_number_of_classes() -> None:
    for found in (lambda x: F.one_hot(x), lambda x: tj.one_hot(x), lambda x: tj.one_hot(x, -1)):
        scripted = script(found)
        for places in ([0, 2, 1], [1], [5, 0]):
            x = tj.tensor(places)
            assert scripted(x).tolist() == found(x).tolist() == np.eye(max(places) + 1)[places].tolist()
        with pytest.raises(ValueError, match="negative"):
            scripted(tj.tensor([1, -1]))


def test_one_hot_of_a_number_of_classes() -> None:
    scripted = script(lambda x, n: tj.one_hot(x, n))
    x = tj.tensor([0, 2, 1])
    for n in (-1, 3, 5):
        assert scripted(x, n).tolist() == tj.one_hot(x, n).tolist()
    for run in (tj.one_hot, scripted):
        with pytest.raises(ValueError, match="the number 2 is not among 2 classes"):
            run(x, 2)


def summed_from_rank_0(v):
    total = np.zeros(())
    for i in range(len(v)):
        total = total + v[i]
    return total * 1


def on_one_path(z, c):
    return (z if c > 0 else z * 2) * 1


def summed_tensors(v):
    total = tj.zeros(())
    for i in range(3):
        if v[i] > 1:
            total = total + v[i] * v[i]
        total += 1
    return total


def test_arrays_of_rank_0_meet_the_scalars_that_arithmetic_makes_of_them() -> None:
    rank_0 = np.array(2.5)
    assert outcome(script(summed_from_rank_0), (V,)) == outcome(summed_from_rank_0, (V,))
    for side in (1, -1):
        assert outcome(script(on_one_path), (rank_0, side)) == outcome(on_one_path, (rank_0, side))
    x = tj.tensor([1.0, 2.0, 3.0], requires_grad=True)
    script(lambda v: tj.cat([summed_tensors(v)[None], v[1:].sum()[None] * 0])[0])(x).backward()
    assert x.grad is not None and x.grad.tolist() == [0.0, 4.0, 6.0]
